/**
 * Changes that the database does not have yet, on top of it: reads see them at once.
 *
 * Invariant: a row's value is the one in `active`, else in `frozen` (being committed), else in the
 * store. `freeze` happens only when the last commit has finished.
 */
import { assert } from '../../base/assert.ts';
import type { KvChanges, KvKey, KvRow, KvStore } from './kv-store.ts';

/** @param value null: the row is gone */
export type ChangeListener = (key: KvKey, value: Uint8Array | null) => void;

export class Overlay {
  readonly #store: KvStore;
  #active = new PendingChanges();
  #frozen: PendingChanges | null = null;
  /** Hears of each change while somebody listens. */
  #listener: ChangeListener | null = null;

  constructor(store: KvStore) {
    this.#store = store;
  }

  get changeCount(): number {
    return this.#active.rows.size;
  }

  /** The caller must not modify the value. */
  get(key: KvKey): Uint8Array | null {
    const active = this.#active.rows.get(key);
    if (active !== undefined) return active;
    const frozen = this.#frozen?.rows.get(key);
    if (frozen !== undefined) return frozen;
    return this.#store.get(key);
  }

  /** The value must not change afterwards. */
  put(key: KvKey, value: Uint8Array): void {
    this.#active.set(key, value);
    this.#listener?.(key, value);
  }

  delete(key: KvKey): void {
    this.#active.set(key, null);
    this.#listener?.(key, null);
  }

  /** Tells the listener of every change that `work` makes. */
  listenDuring<T>(listener: ChangeListener, work: () => T): T {
    this.#listener = listener;
    try {
      return work();
    } finally {
      this.#listener = null;
    }
  }

  /** Rows with from <= key < to, ascending, both of one table. Write nothing while iterating. */
  *range(from: KvKey, to: KvKey): Generator<KvRow> {
    const pending = this.#pendingIn(from, to);
    let next = 0;
    for (const row of this.#store.range(from, to)) {
      for (; next < pending.length; next++) {
        const [key, value] = pending[next]!; // below the length
        if (key >= row.key) break;
        if (value !== null) yield { key, value };
      }
      if (pending[next]?.[0] !== row.key) yield row;
    }
    for (; next < pending.length; next++) {
      const [key, value] = pending[next]!; // below the length
      if (value !== null) yield { key, value };
    }
  }

  /** Hands out what is to be committed; reads go on seeing it until `thaw`. */
  freeze(): KvChanges {
    assert(this.#frozen === null, 'one commit at a time');
    this.#frozen = this.#active;
    this.#active = new PendingChanges();
    return this.#frozen.rows;
  }

  /** The database has what was frozen. */
  thaw(): void {
    assert(this.#frozen !== null, 'only what is frozen can be thawed');
    this.#frozen = null;
  }

  #pendingIn(from: KvKey, to: KvKey): readonly (readonly [KvKey, Uint8Array | null])[] {
    const active = this.#active.keysIn(from, to);
    const frozen = this.#frozen?.keysIn(from, to) ?? [];
    const keys =
      frozen.length === 0 ? active : [...new Set([...active, ...frozen])].sort(compareKeys);
    return keys.map((key) => {
      const value = this.#active.rows.get(key);
      return [key, value !== undefined ? value : (this.#frozen?.rows.get(key) ?? null)];
    });
  }
}

/** Point reads are by hash; a range sorts the new keys of its table once, when it is asked for. */
class PendingChanges {
  readonly rows = new Map<KvKey, Uint8Array | null>();
  /** By first character of the key. */
  readonly #tables = new Map<number, { keys: KvKey[]; sorted: boolean }>();

  set(key: KvKey, value: Uint8Array | null): void {
    const countBefore = this.rows.size;
    this.rows.set(key, value);
    if (this.rows.size === countBefore) return;
    const letter = key.charCodeAt(0);
    const table = this.#tables.get(letter);
    if (table === undefined) {
      this.#tables.set(letter, { keys: [key], sorted: true });
    } else {
      table.keys.push(key);
      table.sorted = false;
    }
  }

  keysIn(from: KvKey, to: KvKey): readonly KvKey[] {
    const table = this.#tables.get(from.charCodeAt(0));
    if (table === undefined) return [];
    if (!table.sorted) {
      table.keys.sort(compareKeys);
      table.sorted = true;
    }
    return table.keys.slice(lowerBound(table.keys, from), lowerBound(table.keys, to));
  }
}

function compareKeys(a: KvKey, b: KvKey): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function lowerBound(keys: readonly KvKey[], key: KvKey): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key)
      low = middle + 1; // below the length
    else high = middle;
  }
  return low;
}
