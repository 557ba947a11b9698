/** A {@link KvStore} in memory, for tests and the simulator: what is committed survives a "crash". */
import { assert } from '../../base/assert.ts';
import {
  type KvChanges,
  type KvKey,
  type KvRow,
  type KvStore,
  type KvView,
  ViewRevoked,
} from './kv-store.ts';

export class MemoryKvStore implements KvStore {
  readonly #rows = new Map<KvKey, Uint8Array>();
  #sortedKeys: KvKey[] | null = null;
  /** It opens again with the next process: views are of one of its lives. */
  #lifeCount = 0;

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
    const life = this.#lifeCount;
    const rows = (): MemoryKvStore => {
      if (life !== this.#lifeCount) throw new ViewRevoked();
      return copy;
    };
    return {
      get: (key) => rows().get(key),
      range: (from, to) => rows().range(from, to),
      close: () => {},
    };
  }

  async clear(): Promise<void> {
    this.#rows.clear();
    this.#sortedKeys = null;
  }

  async close(): Promise<void> {
    this.#lifeCount++;
  }
}
