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
 */
import { assert } from '../base/assert.ts';
import { LogIndex } from '../base/units.ts';
import type { HardState } from './effects.ts';

/** A write as it is handed to the driver. */
export interface QueuedWrite {
  readonly hardState: HardState | null;
  readonly truncateFrom: LogIndex | null;
  /** Last index of the log after this write. */
  readonly lastIndex: LogIndex;
}

export class Durability {
  /** Oldest first. Bounded by the windows of those who send us work. */
  readonly #queued: QueuedWrite[] = [];
  #nextToken = 1;
  #durableIndex: LogIndex;
  #hardState: HardState;

  constructor(lastIndex: LogIndex, hardState: HardState) {
    this.#durableIndex = lastIndex;
    this.#hardState = hardState;
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
    this.#queued.push(write);
    this.#durableIndex = belowCut(this.#durableIndex, write);
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
    this.#durableIndex = this.#queued.reduce(belowCut, done.lastIndex);
  }
}

function belowCut(index: LogIndex, write: QueuedWrite): LogIndex {
  if (write.truncateFrom === null) return index;
  return LogIndex(Math.min(index, write.truncateFrom - 1));
}
