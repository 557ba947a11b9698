/** A {@link KvStore} in memory, for tests and the simulator: what is committed survives a "crash". */
import { assert } from '../../base/assert.ts';
import type { KvChanges, KvKey, KvRow, KvStore, KvView } from './kv-store.ts';

export class MemoryKvStore implements KvStore {
  readonly #rows = new Map<KvKey, Uint8Array>();
  #sortedKeys: KvKey[] | null = null;

  get(key: KvKey): Uint8Array | null {
    return this.#rows.get(key)?.slice() ?? null;
  }

  *range(from: KvKey, to: KvKey): Generator<KvRow> {
    this.#sortedKeys ??= [...this.#rows.keys()].sort();
    for (const key of this.#sortedKeys) {
      if (key >= to) return;
      const value = this.#rows.get(key);
      assert(value !== undefined, 'a sorted key has a row');
      if (key >= from) yield { key, value: value.slice() };
    }
  }

  async commit(changes: KvChanges): Promise<void> {
    for (const [key, value] of changes) {
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, value.slice());
    }
    this.#sortedKeys = null;
  }

  view(): KvView {
    const copy = new MemoryKvStore();
    for (const [key, value] of this.#rows) copy.#rows.set(key, value);
    return {
      get: (key) => copy.get(key),
      range: (from, to) => copy.range(from, to),
      close: () => {},
    };
  }

  async clear(): Promise<void> {
    this.#rows.clear();
    this.#sortedKeys = null;
  }

  async close(): Promise<void> {}
}
