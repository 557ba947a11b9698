/**
 * What must never happen in a group, whatever happens to it: checked by the bench after every step,
 * with the view on all disks at once that no replica has.
 *
 * - Two leaders in a term.
 * - A leader that commits what is not durable on a majority of every set that decides at that moment.
 * - Two values committed at one index, on any two nodes, ever; a snapshot that ends in another one.
 * - A node that applies what is not committed, or not durable on its own disk, or out of order.
 * - A read that misses something that was committed anywhere when it arrived.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { LogIndex, type NodeId, type Term } from '../../src/base/units.ts';
import type { CoreStatus, Effect, EntryDesc, Membership } from '../../src/raft/index.ts';
import { type BenchNode, entryOn, isDurableOn } from './bench-node.ts';

type NodeOf = (id: NodeId) => BenchNode;

export class Promises {
  /** What was committed anywhere, by index. */
  readonly committed = new Map<LogIndex, EntryDesc>();
  /** What some replica was told to apply, by index. */
  readonly applied = new Map<LogIndex, EntryDesc>();
  readonly #nodeOf: NodeOf;
  readonly #leaders = new Map<Term, NodeId>();
  /** The least index that answers each open read. */
  readonly #readFloors = new Map<number, LogIndex>();
  #committedIndex = LogIndex(0);

  constructor(nodeOf: NodeOf) {
    this.#nodeOf = nodeOf;
  }

  /** Highest index that was ever committed. */
  get committedIndex(): LogIndex {
    return this.#committedIndex;
  }

  onRead(tag: number): void {
    this.#readFloors.set(tag, this.#committedIndex);
  }

  afterStep(node: BenchNode, before: CoreStatus, effects: readonly Effect[]): void {
    const after = node.core.status();
    const { self, role, term } = after;
    if (role === 'leader') {
      equal(this.#leaders.get(term) ?? self, self, `term ${term} has one leader`);
      this.#leaders.set(term, self);
    }
    const wasLeader = before.role === 'leader' && before.term === term;
    for (let i = before.commitIndex + 1; i <= after.commitIndex; i++) {
      this.#checkCommit(node, LogIndex(i), wasLeader ? before.membership.membership : null);
    }
    for (const effect of effects) this.#checkEffect(node, effect);
  }

  #checkEffect(node: BenchNode, effect: Effect): void {
    if (effect.kind === 'apply') {
      equal(effect.from, node.applyingIndex + 1, 'ranges to apply are contiguous');
      for (let i: number = effect.from; i <= effect.to; i++) this.#checkApply(node, LogIndex(i));
    } else if (effect.kind === 'persist' && effect.snapshot !== null) {
      const { last } = effect.snapshot;
      equal(this.committed.get(last.index)?.term, last.term, 'a snapshot is of committed entries');
    } else if (effect.kind === 'readResult' && effect.result === 'confirmed') {
      const floor = this.#readFloors.get(effect.tag);
      ok(floor !== undefined, 'a read is answered once');
      ok(effect.index >= floor, `read ${effect.tag} at ${effect.index} misses ${floor}`);
      this.#readFloors.delete(effect.tag);
    }
  }

  /** @param deciding in force at the leader that commits; null when another node learns of it */
  #checkCommit(node: BenchNode, index: LogIndex, deciding: Membership | null): void {
    const entry = node.core.entryAt(index);
    // A snapshot brought it.
    if (entry === null) return;
    const known = this.committed.get(index);
    if (known !== undefined) deepEqual(entry, known, `one entry is committed at ${index}`);
    if (deciding === null) {
      ok(known !== undefined, `what is committed at ${index} was committed by a leader`);
      return;
    }
    const sets = [deciding.voters, deciding.outgoing].filter(({ length }) => length > 0);
    for (const set of sets) {
      const holders = set.filter((id) => isDurableOn(this.#nodeOf(id), entry));
      ok(holders.length > set.length / 2, `entry ${index} is durable on a majority of ${set}`);
    }
    this.committed.set(index, entry);
    if (index > this.#committedIndex) this.#committedIndex = index;
  }

  #checkApply(node: BenchNode, index: LogIndex): void {
    const entry = node.core.entryAt(index);
    ok(entry !== null, 'an applied entry is in the log');
    deepEqual(entryOn(node, index), entry, 'an applied entry is durable here');
    deepEqual(entry, this.committed.get(index), 'all replicas apply the entry that was committed');
    this.applied.set(index, entry);
  }
}
