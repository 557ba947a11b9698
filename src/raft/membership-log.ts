/**
 * The memberships that the log says, in its order. The last one is in force, committed or not (G1,
 * Raft 6), and when the log is cut the one before is in force again.
 *
 * Invariants: indices ascend strictly from the base on; every membership is sound (`problemOf`).
 * The base is what the log stands on (a snapshot, or the founding): no cut reaches it, and it is not
 * an entry of the log.
 */
import { assert } from '../base/assert.ts';
import type { LogIndex } from '../base/units.ts';
import type { LoggedMembership } from './membership.ts';
import { problemOf } from './membership-change.ts';

const NONE: readonly LoggedMembership[] = [];

export class MembershipLog {
  #base: LoggedMembership;
  /** Ascending by index, all above the base. */
  #logged: LoggedMembership[] = [];

  constructor(base: LoggedMembership, logged: readonly LoggedMembership[]) {
    assertSound(base);
    this.#base = base;
    for (const one of logged) this.append(one);
  }

  /** In force now. */
  get current(): LoggedMembership {
    return this.#logged.at(-1) ?? this.#base;
  }

  append(logged: LoggedMembership): void {
    assert(logged.index > this.current.index, 'memberships are logged in order', () => ({
      index: logged.index,
      current: this.current.index,
    }));
    assertSound(logged);
    this.#logged.push(logged);
  }

  /** Drops those at `index` and above, never the base. @returns whether another one is in force now. */
  truncateFrom(index: LogIndex): boolean {
    const keptCount = this.#countBelow(index);
    if (keptCount === this.#logged.length) return false;
    this.#logged.length = keptCount;
    return true;
  }

  /** The entries up to `index` leave the log; the membership in force there becomes the base. */
  compactTo(index: LogIndex): void {
    const goneCount = this.#countThrough(index);
    if (goneCount === 0) return;
    this.#base = this.#logged[goneCount - 1]!; // at least one is gone, at most all
    this.#logged.splice(0, goneCount);
  }

  /** Another log takes the place of this one. */
  resetTo(base: LoggedMembership): void {
    assertSound(base);
    this.#base = base;
    this.#logged = [];
  }

  /** What the config entries of the log from `from` through `to` say. */
  between(from: LogIndex, to: LogIndex): readonly LoggedMembership[] {
    const last = this.#logged.at(-1);
    // Asked for every append message, which hardly ever carries one: stays free of a search.
    if (last === undefined || last.index < from) return NONE;
    const begin = this.#countBelow(from);
    const end = this.#countThrough(to);
    return begin < end ? this.#logged.slice(begin, end) : NONE;
  }

  /** In force when the log ended at `index`. */
  at(index: LogIndex): LoggedMembership {
    assert(index >= this.#base.index, 'what was in force before the base is forgotten', () => ({
      index,
      base: this.#base.index,
    }));
    const count = this.#countThrough(index);
    return count === 0 ? this.#base : this.#logged[count - 1]!; // at most all
  }

  /** How many logged ones are below `index`; those asked for are mostly near the end. */
  #countBelow(index: LogIndex): number {
    let count = this.#logged.length;
    while (count > 0 && this.#logged[count - 1]!.index >= index) count -= 1; // in range
    return count;
  }

  #countThrough(index: LogIndex): number {
    let count = this.#logged.length;
    while (count > 0 && this.#logged[count - 1]!.index > index) count -= 1; // in range
    return count;
  }
}

function assertSound({ index, membership }: LoggedMembership): void {
  const problem = problemOf(membership);
  assert(problem === null, 'a logged membership is sound', () => ({ index, problem }));
}
