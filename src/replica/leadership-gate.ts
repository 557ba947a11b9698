/**
 * When this node may serve as leader: not from winning the election on, but from the moment at which
 * a no-op of its term is applied here. Then everything earlier leaders committed is applied too
 * (Raft 5.4.2), and derived state is exact.
 */
import { assert } from '../base/assert.ts';
import type { Term } from '../base/units.ts';
import type { Leadership } from './replica.ts';

export class LeadershipGate {
  readonly #listeners: ((leadership: Leadership | null) => void)[] = [];
  /** The term in which we lead, served or not; null: somebody else does, or nobody. */
  #leadingTerm: Term | null = null;
  #leadership: Leadership | null = null;
  gainedCount = 0;

  get leadership(): Leadership | null {
    return this.#leadership;
  }

  onChange(listener: (leadership: Leadership | null) => void): void {
    this.#listeners.push(listener);
  }

  onRole(isLeader: boolean, term: Term): void {
    this.#leadingTerm = isLeader ? term : null;
    if (this.#leadership !== null) {
      assert(this.#leadership.term === this.#leadingTerm, 'lost leadership is taken back first');
    }
  }

  onNoopApplied(term: Term): void {
    if (term !== this.#leadingTerm || this.#leadership !== null) return;
    this.gainedCount++;
    this.#leadership = { term };
    this.#tell();
  }

  lose(): void {
    this.#leadingTerm = null;
    if (this.#leadership === null) return;
    this.#leadership = null;
    this.#tell();
  }

  #tell(): void {
    const leadership = this.#leadership;
    for (const listener of this.#listeners) listener(leadership);
  }
}
