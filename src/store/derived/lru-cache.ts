/** A bounded map that forgets what was used longest ago. */
import { assert } from '../../base/assert.ts';

export class LruCache<K, V> {
  readonly #sizeMax: number;
  /** In order of last use. */
  readonly #entries = new Map<K, V>();

  constructor(sizeMax: number) {
    assert(sizeMax > 0, 'a cache holds something');
    this.#sizeMax = sizeMax;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#sizeMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
