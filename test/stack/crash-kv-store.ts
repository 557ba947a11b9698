/**
 * The database of one node on a machine that can fail: commits finish when the disk's turn comes, are
 * lost newest first in a power cut, and survive the end of the process once they have finished.
 */
import type { Prng } from '../../src/base/prng.ts';
import type { KvChanges, KvKey, KvRow, KvStore, KvView } from '../../src/store/derived/kv-store.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';

/** Commits that the machine has not written back yet; beyond it the oldest are durable. */
const UNSYNCED_COMMITS_MAX = 4;

export class CrashKvStore implements KvStore {
  readonly #seen = new MemoryKvStore();
  readonly #later: (step: () => void) => void;
  /** All rows that no power cut takes. */
  readonly #durable: Map<KvKey, Uint8Array>;
  readonly #unsynced: KvChanges[] = [];
  #isDead = false;

  private constructor(later: (step: () => void) => void, rows: ReadonlyMap<KvKey, Uint8Array>) {
    this.#later = later;
    this.#durable = new Map(rows);
  }

  static async open(
    later: (step: () => void) => void,
    rows: ReadonlyMap<KvKey, Uint8Array> = new Map(),
  ): Promise<CrashKvStore> {
    const store = new CrashKvStore(later, rows);
    await store.#seen.commit(rows);
    return store;
  }

  get(key: KvKey): Uint8Array | null {
    return this.#seen.get(key);
  }

  range(from: KvKey, to: KvKey): Iterable<KvRow> {
    return this.#seen.range(from, to);
  }

  view(): KvView {
    return this.#seen.view();
  }

  commit(changes: KvChanges): Promise<void> {
    return new Promise((resolve) => {
      this.#later(() => {
        if (this.#isDead) return;
        void this.#seen.commit(changes); // In memory: done when it returns.
        this.#unsynced.push(copyOf(changes));
        if (this.#unsynced.length > UNSYNCED_COMMITS_MAX) this.#writeBack();
        resolve();
      });
    });
  }

  async clear(): Promise<void> {
    await this.#seen.clear();
    this.#durable.clear();
    this.#unsynced.length = 0;
  }

  async close(): Promise<void> {}

  /** What the next process finds after the power failed: a prefix of the commits. */
  powerCut(random: Prng): Promise<CrashKvStore> {
    this.#isDead = true;
    const keptCount = random.below(this.#unsynced.length + 1);
    for (let i = 0; i < keptCount; i++) this.#writeBack();
    return CrashKvStore.open(this.#later, this.#durable);
  }

  /** What the next process finds after this one was killed: every finished commit. */
  killed(): Promise<CrashKvStore> {
    this.#isDead = true;
    while (this.#unsynced.length > 0) this.#writeBack();
    return CrashKvStore.open(this.#later, this.#durable);
  }

  /** The same rows, all of them durable, on another machine. */
  imageOn(later: (step: () => void) => void): Promise<CrashKvStore> {
    const rows = [...this.#seen.range('\x00', '\xff')];
    return CrashKvStore.open(later, new Map(rows.map(({ key, value }) => [key, value.slice()])));
  }

  #writeBack(): void {
    for (const [key, value] of this.#unsynced.shift() ?? []) {
      if (value === null) this.#durable.delete(key);
      else this.#durable.set(key, value);
    }
  }
}

/** Every row, as text that can be compared. */
export function dumpOf(store: KvStore): readonly string[] {
  return [...store.range('\x00', '\xff')].map(
    ({ key, value }) =>
      `${Buffer.from(key, 'latin1').toString('hex')}=${Buffer.from(value).toString('hex')}`,
  );
}

function copyOf(changes: KvChanges): KvChanges {
  return new Map([...changes].map(([key, value]) => [key, value === null ? null : value.slice()]));
}
