/**
 * The checkers' own account of every node's log in memory, kept from what the core told its driver.
 * Being ours, it cannot share a mistake with the node, and it knows the membership at every index.
 */
import type { LogIndex } from '../../../src/base/units.ts';
import type { CoreStart, TermLookup } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from '../../../src/raft/entry.ts';
import type { LoggedMembership } from '../../../src/raft/membership.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';

export class NodeLog {
  #base: SnapshotDesc;
  #entries: EntryDesc[];
  /** Memberships of the base and of the config entries, ascending. */
  #memberships: LoggedMembership[];

  constructor({ base, entries, memberships }: Omit<CoreStart, 'hardState' | 'commitIndex'>) {
    this.#base = base;
    this.#entries = [...entries];
    this.#memberships = [base.membership, ...memberships];
  }

  get base(): SnapshotDesc {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base.last.index + this.#entries.length;
  }

  get last(): EntryId {
    return this.#entries.at(-1) ?? this.#base.last;
  }

  /** Of the last config entry. */
  get membership(): LoggedMembership {
    return this.#memberships.at(-1) ?? this.#base.membership;
  }

  /** Config entries above `index`, ascending. */
  membershipsAfter(index: number): readonly LoggedMembership[] {
    return this.#memberships.filter((logged) => logged.index > index);
  }

  /** Which was in force when the log ended at `index`. */
  membershipAt(index: number): LoggedMembership {
    return this.#memberships.findLast((logged) => logged.index <= index) ?? this.#base.membership;
  }

  entryAt(index: number): EntryDesc | undefined {
    return this.#entries[index - this.#base.last.index - 1];
  }

  termAt(index: number): TermLookup {
    const { last } = this.#base;
    if (index < last.index) return 'compacted';
    if (index === last.index) return last.term;
    return this.entryAt(index)?.term ?? 'absent';
  }

  endOffsetAt(index: number): number {
    const entry = this.entryAt(index);
    return entry === undefined ? this.#base.endOffset : entry.physicalOffset + entry.sizeBytes;
  }

  write({ snapshot, truncateFrom, entries, memberships }: PersistEffect): void {
    if (snapshot !== null) {
      this.#base = snapshot;
      this.#entries = [];
      this.#memberships = [snapshot.membership];
    }
    if (truncateFrom !== null) {
      this.#entries.length = Math.max(0, truncateFrom - this.#base.last.index - 1);
      this.#memberships = this.#memberships.filter(({ index }) => index < truncateFrom);
    }
    this.#entries.push(...entries);
    this.#memberships.push(...memberships);
  }

  /** Forgets what is at or below `through`. */
  compact(through: LogIndex): void {
    const last = this.entryAt(through);
    if (last === undefined) return;
    const membership = this.membershipAt(through);
    this.#entries = this.#entries.slice(through - this.#base.last.index);
    const { term, index } = last;
    this.#base = { last: { term, index }, endOffset: endOffsetOf(last), membership };
    this.#memberships = [membership, ...this.membershipsAfter(through)];
  }
}

export class LogBook {
  /** By node and not by id: a clone of a directory runs under the same id. */
  readonly #logs = new Map<NodeView, NodeLog>();

  /** To be told first: what others look up is up to date. */
  readonly reader: Checker = {
    started: (node: NodeView, start: CoreStart) => {
      this.#logs.set(node, new NodeLog(start));
    },
    stepped: ({ node, after }: Step) => {
      const log = this.of(node);
      if (after.baseIndex > log.base.last.index) log.compact(after.baseIndex);
    },
  };

  /** To be told last: while the others look at a persist, the log is as it was before. */
  readonly writer: Checker = {
    persisting: (node: NodeView, persist: PersistEffect) => this.of(node).write(persist),
  };

  of(node: NodeView): NodeLog {
    const log = this.#logs.get(node);
    if (log === undefined) throw new Error(`${node.id} was never started`);
    return log;
  }
}

export function endOffsetOf(entry: EntryDesc): SnapshotDesc['endOffset'] {
  return (entry.physicalOffset + entry.sizeBytes) as SnapshotDesc['endOffset'];
}
