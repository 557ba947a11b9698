/**
 * A binary heap of timed events. Ties are broken by insertion order, so that a run depends on
 * nothing but its inputs.
 */
import { assert } from '../../src/base/assert.ts';

interface Slot<T> {
  readonly atMs: number;
  readonly order: number;
  readonly item: T;
}

export class EventQueue<T> {
  readonly #heap: Slot<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Infinity when nothing is due any more. */
  get nextAtMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  push(atMs: number, item: T): void {
    const heap = this.#heap;
    const slot: Slot<T> = { atMs, order: this.#order++, item };
    let at = heap.length;
    heap.push(slot);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!; // parent < at < length
      if (isBefore(above, slot)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = slot;
  }

  pop(): T {
    const heap = this.#heap;
    const first = heap[0];
    assert(first !== undefined, 'an event is due');
    const last = heap.pop()!; // there is at least `first`
    if (heap.length > 0) this.#sink(last);
    return first.item;
  }

  /** Places `slot` at the root and lets it sink to where it belongs. */
  #sink(slot: Slot<T>): void {
    const heap = this.#heap;
    const count = heap.length;
    let at = 0;
    for (;;) {
      // Ends at a leaf or above two later events.
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && isBefore(heap[child + 1]!, heap[child]!)) child++; // both < count
      const below = heap[child]!; // child < count
      if (isBefore(slot, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = slot;
  }
}

function isBefore(a: Slot<unknown>, b: Slot<unknown>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
