/**
 * What goes into the core and what comes out, as data. The durability rule is in the type: a reply
 * that promises something about this disk travels inside the `persist` it depends on.
 *
 * The driver has exactly one rule: perform persists in order; when one completes, send its `after`
 * messages and feed its token back. Everything else may be done at once.
 */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { EntryDesc, EntryType } from './entry.ts';
import type { Envelope, Message } from './messages.ts';

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** Must be durable before any reply that depends on it (Raft 5.2, hazard H7). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | null;
}

export type Input =
  /** One unit of Raft time (tickMs). The driver credits at most one per loop turn (H26). */
  | { readonly kind: 'tick' }
  | { readonly kind: 'receive'; readonly from: NodeId; readonly message: Message }
  | { readonly kind: 'propose'; readonly proposals: readonly Proposal[] }
  /** Tokens complete in the order in which their effects were emitted. */
  | { readonly kind: 'persisted'; readonly token: number }
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** The way to the peer broke: stop pipelining and probe. */
  | { readonly kind: 'peerUnreachable'; readonly peer: NodeId };

export interface Proposal {
  /** Names the proposal in `proposeResult`; chosen by the driver, unique while the process lives. */
  readonly tag: number;
  readonly type: EntryType;
  readonly payloadSizeBytes: number;
  readonly payloadCrc: number;
}

export type Effect =
  | PersistEffect
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: Message }
  /** Entries [from, to] are committed and durable here: apply them in order, then say `applied`. */
  | { readonly kind: 'apply'; readonly from: LogIndex; readonly to: LogIndex }
  | ProposeResult
  /** Emitted at every change of role, term or known leader. */
  | {
      readonly kind: 'role';
      readonly role: Role;
      readonly term: Term;
      readonly leader: NodeId | null;
    }
  /** Something an operator must see; safety is not in danger, or we would have crashed. */
  | { readonly kind: 'alarm'; readonly id: AlarmId; readonly details: object };

export interface PersistEffect {
  readonly kind: 'persist';
  readonly token: number;
  /** null: unchanged. */
  readonly hardState: HardState | null;
  /** null: no cut. Else entries from here on are void, and `entries` start here. */
  readonly truncateFrom: LogIndex | null;
  /** Contiguous. Fillers among them have no payload. */
  readonly entries: readonly EntryDesc[];
  /** May be sent only when this persist and all before it are durable. */
  readonly after: readonly Envelope[];
}

/**
 * `accepted`: appended at this place, outcome open. `rejected`: surely never in the log.
 * `overwritten`: a committed entry of another term occupies the place (H29): surely never applied.
 */
export type ProposeResult =
  | {
      readonly kind: 'proposeResult';
      readonly tag: number;
      readonly result: 'accepted';
      readonly index: LogIndex;
      readonly term: Term;
    }
  | {
      readonly kind: 'proposeResult';
      readonly tag: number;
      readonly result: 'rejected';
      readonly why: 'notLeader' | 'uncommittedBytesFull';
    }
  | { readonly kind: 'proposeResult'; readonly tag: number; readonly result: 'overwritten' };

export type AlarmId =
  /** A follower reports less durable log than it once acknowledged (H23). */
  | 'followerLostLog'
  /** A message came from a node that is not in the configuration. */
  | 'strangerMessage';
