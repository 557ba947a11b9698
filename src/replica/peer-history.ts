/**
 * Is the directory that a peer comes with as new as it must be (hazard H23)? An image of it, restored
 * after a failure or started as a clone, has the right store uuid, and has forgotten votes and
 * acknowledgements that others count on. Three things give it away:
 *
 * - Each start of a store draws a random id and keeps those of the starts before it. The start that we
 *   have seen last must be among them; in an image that has since been started on its own it is not.
 * - The term it was seen in, and what it acknowledged in that term, must be on its disk. In a later
 *   term a new leader may have cut that, and put in its place entries of lower terms than it cut; so
 *   there only the next rule holds.
 * - What it acknowledged and what was committed is on its disk for ever.
 *
 * Promises are asked for when a start is new to us. Nothing is lost while a process lives; and what it
 * says of itself on one stream may be overtaken by what it promises on another.
 */
import type { EntryId } from '../raft/entry.ts';
import type { PeerPromise, RememberedPeer } from '../store/remembered-peer.ts';

/** What a peer says about its store. */
export interface ClaimedHistory {
  readonly bootCount: number;
  /** The start it speaks from, always, then those before it. */
  readonly bootIds: readonly string[];
  readonly term: PeerPromise['term'];
  readonly last: EntryId;
}

export type HistoryVerdict =
  /** The start that was seen last. */
  | { readonly kind: 'sameStart' }
  /** `isProven`: it comes from the start that was seen last. Else its memory is too short to tell. */
  | { readonly kind: 'laterStart'; readonly isProven: boolean }
  /**
   * `clause` continues "node n2 ...". `isLasting`: the image has been started on its own, so what comes
   * from this start is to be refused whatever it says later: what it forgot does not come back.
   */
  | { readonly kind: 'older'; readonly clause: string; readonly isLasting: boolean };

export function judgeHistory(known: RememberedPeer, claimed: ClaimedHistory): HistoryVerdict {
  const start = judgeStart(known, claimed);
  if (start.kind !== 'laterStart') return start;
  const missing = missingPromise(known.promise, claimed);
  if (missing !== null) return forked(missing);
  const { refusedBootId } = known;
  if (refusedBootId === null || !claimed.bootIds.includes(refusedBootId)) return start;
  return forked(
    `comes from start ${refusedBootId} of its store, which was refused as an old image`,
  );
}

function judgeStart(known: RememberedPeer, claimed: ClaimedHistory): HistoryVerdict {
  const startsSince = claimed.bootCount - known.bootCount;
  if (startsSince < 0) {
    // Perhaps a call of an earlier process that is delivered late: no reason to refuse for ever.
    const clause = `comes with start ${claimed.bootCount} of its store after start ${known.bootCount} was seen`;
    return { kind: 'older', clause, isLasting: false };
  }
  const then = claimed.bootIds[startsSince];
  if (then === undefined) return { kind: 'laterStart', isProven: false };
  if (then !== known.bootId) {
    return forked(
      `comes with a store whose start ${known.bootCount} was ${then}, ` +
        `while ${known.bootId} was seen`,
    );
  }
  return startsSince === 0 ? { kind: 'sameStart' } : { kind: 'laterStart', isProven: true };
}

function missingPromise(promise: PeerPromise, { term, last }: ClaimedHistory): string | null {
  const has = `comes with term ${term} and last entry ${nameOf(last)}`;
  if (term < promise.term) return `${has}, but was seen in term ${promise.term}`;
  if (term === promise.term && isBefore(last, promise.last)) {
    return `${has}, but acknowledged entry ${nameOf(promise.last)} in that term`;
  }
  if (isBefore(last, promise.committed)) {
    return `${has}, but acknowledged entry ${nameOf(promise.committed)}, which is committed`;
  }
  return null;
}

/** What is remembered after `news`, which was durable at the peer as well. */
export function withPromise(promise: PeerPromise, news: PeerPromise): PeerPromise {
  const committed = later(promise.committed, news.committed);
  if (news.term < promise.term) return { ...promise, committed };
  if (news.term > promise.term) return { ...news, committed };
  return { term: news.term, last: later(promise.last, news.last), committed };
}

function forked(clause: string): HistoryVerdict {
  return { kind: 'older', clause, isLasting: true };
}

function later(a: EntryId, b: EntryId): EntryId {
  return isBefore(a, b) ? b : a;
}

/** As logs are compared in elections (Raft 5.4.1). */
function isBefore(a: EntryId, b: EntryId): boolean {
  return a.term < b.term || (a.term === b.term && a.index < b.index);
}

function nameOf({ term, index }: EntryId): string {
  return `${index} of term ${term}`;
}
