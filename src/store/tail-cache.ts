/**
 * The newest entries with their bytes, bounded in bytes: what live followers and consumers ask for.
 * It keeps the caller's arrays, no copies. An entry that is not durable yet is never dropped, because
 * it cannot be read back; those are bounded by whoever appends.
 */
import { assert } from '../base/assert.ts';
import { LogIndex } from '../base/units.ts';
import type { StoredEntry } from './commit-log.ts';

/** Dropped places at the front are given back once they are this many and most of the array. */
const DROPPED_MIN = 1024;

export class TailCache {
  readonly #sizeBytesMax: number;
  #entries: StoredEntry[] = [];
  /** Places at the front of the array that are dropped. */
  #dropped = 0;
  #firstIndex = 1;
  #sizeBytes = 0;

  constructor(sizeBytesMax: number, nextIndex: LogIndex) {
    this.#sizeBytesMax = sizeBytesMax;
    this.#firstIndex = nextIndex;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  append(entry: StoredEntry): void {
    assert(entry.desc.index === this.#nextIndex, 'the cache has no holes');
    this.#entries.push(entry);
    this.#sizeBytes += entry.bytes.length;
  }

  /** Drops the oldest entries beyond the bound, as far as they are durable. */
  shrink(durableIndex: LogIndex): void {
    while (this.#sizeBytes > this.#sizeBytesMax && this.#firstIndex <= durableIndex) {
      if (!this.#dropOldest()) break;
    }
    this.#giveBack();
  }

  /** Drops the entries up to `index`: they are not part of the log any more. */
  forgetThrough(index: LogIndex): void {
    while (this.#firstIndex <= index && this.#dropOldest());
    this.#giveBack();
  }

  /** Nothing of the log is left; another one goes on with `nextIndex`. */
  resetTo(nextIndex: LogIndex): void {
    this.#entries = [];
    this.#dropped = 0;
    this.#firstIndex = nextIndex;
    this.#sizeBytes = 0;
  }

  truncateFrom(index: LogIndex): void {
    if (index <= this.#firstIndex) {
      this.resetTo(index);
      return;
    }
    const removed = this.#entries.splice(this.#dropped + index - this.#firstIndex);
    for (const entry of removed) this.#sizeBytes -= entry.bytes.length;
  }

  at(index: LogIndex): StoredEntry | null {
    if (index < this.#firstIndex) return null;
    return this.#entries[this.#dropped + index - this.#firstIndex] ?? null;
  }

  /** null unless all of [from, to] are here. */
  range(from: LogIndex, to: LogIndex): readonly StoredEntry[] | null {
    if (from < this.#firstIndex || to >= this.#nextIndex || from > to) return null;
    const start = this.#dropped + from - this.#firstIndex;
    return this.#entries.slice(start, start + (to - from) + 1);
  }

  /** @returns false when there is none */
  #dropOldest(): boolean {
    const oldest = this.#entries[this.#dropped];
    if (oldest === undefined) return false;
    this.#sizeBytes -= oldest.bytes.length;
    // Keep no reference: the array itself is compacted only now and then.
    delete this.#entries[this.#dropped];
    this.#dropped += 1;
    this.#firstIndex += 1;
    return true;
  }

  #giveBack(): void {
    if (this.#dropped < DROPPED_MIN || this.#dropped * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#dropped);
    this.#dropped = 0;
  }

  get #nextIndex(): number {
    return LogIndex(this.#firstIndex + this.#entries.length - this.#dropped);
  }
}
