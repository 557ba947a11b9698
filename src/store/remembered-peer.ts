/**
 * What a node remembers of another member: which store it has, which start of it was the latest, and
 * what it has promised (hazards H21 to H23). How it is judged is in replica/peer-history.ts.
 */
import { LogIndex, Term } from '../base/units.ts';
import type { EntryId } from '../raft/entry.ts';

/** What a directory that is not older than it should be cannot lack. */
export interface PeerPromise {
  /** Was durable there when we heard of it. */
  readonly term: Term;
  /** Acknowledged to the leader of that very term: later leaders may cut it again. */
  readonly last: EntryId;
  /** Acknowledged, and committed since: nobody cuts it. */
  readonly committed: EntryId;
}

export interface RememberedPeer {
  readonly storeUuid: string;
  /** The latest start that was seen, and its id. */
  readonly bootCount: number;
  readonly bootId: string;
  /** A start of an older image that was refused last: it and what comes from it stay refused. */
  readonly refusedBootId: string | null;
  readonly promise: PeerPromise;
}

const NO_ENTRY: EntryId = { term: Term(0), index: LogIndex(0) };
export const NO_PROMISE: PeerPromise = { term: Term(0), last: NO_ENTRY, committed: NO_ENTRY };

export const BOOT_ID_SIZE_BYTES = 8;

/** Each start of a store draws one: eight random bytes, in hex. */
export function isBootId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}
