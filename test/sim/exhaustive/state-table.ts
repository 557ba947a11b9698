/**
 * All states seen, with the choice that led to each first. States are compared number by number, not
 * by a digest: none is ever taken for another.
 */
import { assert } from '../../../src/base/assert.ts';
import { STATE_SIZE, type State } from './world.ts';

const CAPACITY_FIRST = 1 << 14;
const EMPTY = -1;

export class StateTable {
  #numbers = new Int32Array(CAPACITY_FIRST * STATE_SIZE);
  #parents = new Int32Array(CAPACITY_FIRST);
  #choices = new Int32Array(CAPACITY_FIRST);
  /** Open addressing, at most half full. */
  #slots = new Int32Array(2 * CAPACITY_FIRST).fill(EMPTY);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @returns whether the state is new. */
  add(state: State, parent: number, choice: number): boolean {
    if (this.#count === this.#parents.length) this.#grow();
    const slot = this.#slotOf(state);
    if (this.#slots[slot] !== EMPTY) return false;
    this.#slots[slot] = this.#count;
    this.#numbers.set(state, this.#count * STATE_SIZE);
    this.#parents[this.#count] = parent;
    this.#choices[this.#count] = choice;
    this.#count++;
    return true;
  }

  read(id: number, into: State): void {
    into.set(this.#numbers.subarray(id * STATE_SIZE, (id + 1) * STATE_SIZE));
  }

  /** The choices from the first state to this one. */
  pathTo(id: number): readonly number[] {
    const path: number[] = [];
    for (let at = id; at !== 0; ) {
      const parent = this.#parents[at];
      const choice = this.#choices[at];
      assert(parent !== undefined && choice !== undefined, 'a state was reached', () => ({ at }));
      path.push(choice);
      at = parent;
    }
    return path.reverse();
  }

  /** Where the state is, or where it belongs. */
  #slotOf(state: State): number {
    const mask = this.#slots.length - 1;
    let slot = hashOf(state) & mask;
    // Ends: half of the slots are empty.
    for (;;) {
      const id = this.#slots[slot];
      if (id === undefined || id === EMPTY || this.#isAt(id, state)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #isAt(id: number, state: State): boolean {
    const offset = id * STATE_SIZE;
    for (let i = 0; i < STATE_SIZE; i++) {
      if (this.#numbers[offset + i] !== state[i]) return false;
    }
    return true;
  }

  #grow(): void {
    this.#numbers = grown(this.#numbers);
    this.#parents = grown(this.#parents);
    this.#choices = grown(this.#choices);
    this.#slots = new Int32Array(2 * this.#slots.length).fill(EMPTY);
    const state = new Int32Array(STATE_SIZE);
    for (let id = 0; id < this.#count; id++) {
      this.read(id, state);
      this.#slots[this.#slotOf(state)] = id;
    }
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

function hashOf(state: State): number {
  let hash = 0x811c9dc5;
  for (const number of state) {
    hash = Math.imul(hash ^ number, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash, 0x85ebca6b) >>> 4;
}
