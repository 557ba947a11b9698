/**
 * What the disk has finished, seen from the in-memory log (hazard H14).
 *
 * Writes complete in order. After write k the disk holds the log as it was when k was queued, up to
 * last(k). Of that, the part below every cut that is still queued equals the log in memory now:
 *
 *   durableIndex = min(last(k), min over queued j > k of truncateFrom(j) - 1)
 *
 * This is exact, needs no test of terms, and cannot be fooled by an index that is written, cut and
 * written again (A-B-A).
 *
 * `durableIndex` means: whenever the power fails from now on, the log that recovery finds holds, up
 * to there, what our memory holds now, be it as entries or summed up in a snapshot.
 *
 * A snapshot that replaces the log (H18) is a cut as well. Until its write is done, recovery finds
 * the old log; after it, the snapshot. What we know both to hold is what was committed when the
 * snapshot was queued, and no more: above that the old log may have been another leader's, and an
 * acknowledgement of it would make the leader believe in a match for ever. Hence `truncateFrom` of
 * such a write is that commit index + 1. So the durable index
 * - does not fall below what is being applied, which was committed and durable before;
 * - stays below the snapshot, and everything after it, until the snapshot is durable itself;
 * - becomes last(k), at least the snapshot's index, when write k is done, under later cuts as usual.
 */
import { assert } from '../base/assert.ts';
import type { LogIndex } from '../base/units.ts';
import type { HardState } from './effects.ts';
import type { SafetyRules } from './rules.ts';

/** A write as it is handed to the driver. */
export interface QueuedWrite {
  readonly hardState: HardState | null;
  /** Index of the snapshot that replaces the log; null: the log stays. */
  readonly snapshot: LogIndex | null;
  /** Entries from here on are void. With a snapshot: the commit index before it, plus one. */
  readonly truncateFrom: LogIndex | null;
  /** Last index of the log after this write. */
  readonly lastIndex: LogIndex;
}

export class Durability {
  readonly #durableAfter: SafetyRules['durableAfter'];
  /** Oldest first. Bounded by the windows of those who send us work. */
  readonly #queued: QueuedWrite[] = [];
  #nextToken = 1;
  #durableIndex: LogIndex;
  #hardState: HardState;

  constructor(
    lastIndex: LogIndex,
    hardState: HardState,
    durableAfter: SafetyRules['durableAfter'],
  ) {
    this.#durableIndex = lastIndex;
    this.#hardState = hardState;
    this.#durableAfter = durableAfter;
  }

  /** Highest index of the log in memory that is surely on disk. */
  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  /** The term and vote that a restart would find now. */
  get hardState(): HardState {
    return this.#hardState;
  }

  get queuedCount(): number {
    return this.#queued.length;
  }

  /** @returns the token of the write. */
  enqueue(write: QueuedWrite): number {
    assertSnapshotIsBounded(write);
    this.#queued.push(write);
    this.#durableIndex = this.#durableAfter(this.#durableIndex, cutsOf([write]));
    const token = this.#nextToken;
    this.#nextToken += 1;
    return token;
  }

  complete(token: number): void {
    const oldest = this.#nextToken - this.#queued.length;
    assert(token === oldest, 'writes complete in order', () => ({ token, oldest }));
    const done = this.#queued.shift();
    assert(done !== undefined, 'a completed write was queued', () => ({ token }));

    if (done.hardState !== null) this.#hardState = done.hardState;
    this.#durableIndex = this.#durableAfter(done.lastIndex, cutsOf(this.#queued));
  }
}

function assertSnapshotIsBounded(write: QueuedWrite): void {
  const { snapshot, truncateFrom, lastIndex } = write;
  if (snapshot === null) return;
  assert(truncateFrom !== null, 'a snapshot voids the log above what was committed', () => write);
  assert(truncateFrom <= snapshot, 'a snapshot goes beyond what was committed', () => write);
  assert(snapshot <= lastIndex, 'a log with a snapshot ends there or later', () => write);
}

function cutsOf(writes: readonly QueuedWrite[]): LogIndex[] {
  return writes.map(({ truncateFrom }) => truncateFrom).filter((cut) => cut !== null);
}
