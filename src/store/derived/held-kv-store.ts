/** For tests: commits take effect when the test says so, so that a crash can come before they do. */
import { assert } from '../../base/assert.ts';
import type { KvChanges, KvKey, KvRow, KvStore, KvView } from './kv-store.ts';

export class HeldKvStore implements KvStore {
  readonly #store: KvStore;
  #finish: (() => Promise<void>) | null = null;

  /** @param store outlives this one: what reached it survives the crash */
  constructor(store: KvStore) {
    this.#store = store;
  }

  get(key: KvKey): Uint8Array | null {
    return this.#store.get(key);
  }

  range(from: KvKey, to: KvKey): Iterable<KvRow> {
    return this.#store.range(from, to);
  }

  commit(changes: KvChanges): Promise<void> {
    assert(this.#finish === null, 'one commit at a time');
    return new Promise((resolve, reject) => {
      this.#finish = () => this.#store.commit(changes).then(resolve, reject);
    });
  }

  /** @returns false when no commit runs */
  async finishCommit(): Promise<boolean> {
    const finish = this.#finish;
    this.#finish = null;
    await finish?.();
    return finish !== null;
  }

  view(): KvView {
    return this.#store.view();
  }

  clear(): Promise<void> {
    return this.#store.clear();
  }

  async close(): Promise<void> {}
}
