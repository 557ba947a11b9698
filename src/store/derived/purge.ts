/**
 * Removes the rows of deleted topics, a bounded number with each applied entry, so that deleting a large
 * topic stops nobody. The pace is counted in entries and rows, which are the same on every replica.
 */
import { prefixEnd, readU32Key, TABLE, u32Key } from './key-codec.ts';
import { PURGE_ROWS_PER_ENTRY } from './limits.ts';
import type { Overlay } from './overlay.ts';
import type { ProgressTable } from './progress-table.ts';

const TOPIC_NUMBER_AT = TABLE.purge.length;
/** In these tables the topic number follows the table letter. */
const TABLES = [
  TABLE.queueRange,
  TABLE.queueChunk,
  TABLE.uniqueKey,
  TABLE.key,
  TABLE.inFlight,
  TABLE.progress,
] as const;
const PENDING = Uint8Array.of(1);

export class Purge {
  readonly #overlay: Overlay;
  readonly #progress: ProgressTable;
  /** Topic numbers, first deleted first among those of one run; numbers only grow. */
  readonly #pending: number[];

  constructor(overlay: Overlay, progress: ProgressTable) {
    this.#overlay = overlay;
    this.#progress = progress;
    this.#pending = [...overlay.range(TABLE.purge, prefixEnd(TABLE.purge))].map(({ key }) =>
      readU32Key(key, TOPIC_NUMBER_AT),
    );
  }

  add(topicNumber: number): void {
    this.#overlay.put(TABLE.purge + u32Key(topicNumber), PENDING);
    this.#pending.push(topicNumber);
    // Lowest number first, as after a restart, where the order of deletion is forgotten.
    this.#pending.sort((a, b) => a - b);
  }

  /** Once for every applied entry. */
  step(): void {
    let budget = PURGE_ROWS_PER_ENTRY;
    while (budget > 0) {
      const topicNumber = this.#pending[0];
      if (topicNumber === undefined) return;
      const removed = this.#removeRows(topicNumber, budget);
      budget -= removed;
      if (budget === 0) return;
      this.#pending.shift();
      this.#overlay.delete(TABLE.purge + u32Key(topicNumber));
    }
  }

  #removeRows(topicNumber: number, countMax: number): number {
    let count = 0;
    for (const table of TABLES) {
      const prefix = table + u32Key(topicNumber);
      const keys: string[] = [];
      for (const { key } of this.#overlay.range(prefix, prefixEnd(prefix))) {
        if (count + keys.length === countMax) break;
        keys.push(key);
      }
      for (const key of keys) {
        if (table === TABLE.progress) this.#progress.forget(key);
        else this.#overlay.delete(key);
      }
      count += keys.length;
      if (count === countMax) return count;
    }
    return count;
  }
}
