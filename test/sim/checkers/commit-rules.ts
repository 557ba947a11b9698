/** I5, N2, N3, L2: how commit moves, and what it forbids. */
import type { CoreStatus } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { SimNode } from '../node.ts';
import type { CommitHistory } from './commit-history.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { Checker, Step } from './observers.ts';
import type { Judge } from './violation.ts';

/** I5: a leader holds every entry that was committed in a lower term. */
export function leaderCompletenessChecker(
  judge: Judge,
  nodes: readonly SimNode[],
  history: CommitHistory,
): Checker {
  function require(leader: SimNode, entry: EntryDesc): void {
    const own = leader.log[entry.index - 1];
    judge.require(own?.term === entry.term, 'I5', () => {
      return `${leader.id} leads without the committed ${show(entry)}, it has ${show(own)}`;
    });
  }
  return {
    elected(node: SimNode): void {
      history.forEachCommittedBelow(node.status.term, (entry) => require(node, entry));
    },
    committed(node: SimNode, entry: EntryDesc): void {
      // An older leader may commit while a newer one is at work.
      const { term } = node.status;
      for (const other of nodes) {
        if (!other.isUp || other === node) continue;
        const { role, term: otherTerm } = other.status;
        if (role === 'leader' && otherTerm > term) require(other, entry);
      }
    },
  };
}

/** N2: commit and applied never fall, and applied <= commit <= last, applied <= durable. */
export function commitMonotoneChecker(judge: Judge, nodes: readonly SimNode[]): Checker {
  return {
    ended(): void {
      for (const node of nodes) {
        for (const entry of node.log) {
          const own = node.core.entryAt(entry.index);
          judge.require(own !== null && isSameEntry(own, entry), 'N4', () => {
            return `${node.id} knows ${show(own ?? undefined)}, told was ${show(entry)}`;
          });
        }
      }
    },
    stepped({ node, before, after }: Step): void {
      judge.require(after.commitIndex >= before.commitIndex, 'N2', () => {
        return `commit of ${node.id} falls from ${before.commitIndex} to ${after.commitIndex}`;
      });
      judge.require(after.appliedIndex >= before.appliedIndex, 'N2', () => {
        return `applied of ${node.id} falls from ${before.appliedIndex} to ${after.appliedIndex}`;
      });
      judge.require(after.appliedIndex <= after.commitIndex, 'N2', () => {
        return `${node.id} applied ${after.appliedIndex}, commit is ${after.commitIndex}`;
      });
      judge.require(after.commitIndex <= after.lastIndex, 'N2', () => {
        return `commit of ${node.id} is ${after.commitIndex}, its log ends at ${after.lastIndex}`;
      });
      judge.require(after.lastIndex === node.log.length, 'N4', () => {
        return `${node.id} says its log ends at ${after.lastIndex}, told were ${node.log.length}`;
      });
    },
    applied(node: SimNode, entry: EntryDesc): void {
      judge.require(entry.index <= node.disk.durableIndex, 'N2', () => {
        return `${node.id} applies ${show(entry)}, durable is ${node.disk.durableIndex}`;
      });
      judge.require(entry.index <= node.status.commitIndex, 'N2', () => {
        return `${node.id} applies ${show(entry)} above its commit index`;
      });
    },
  };
}

/** N3: a cut needs a conflict in hand and never touches what is committed. */
export function truncationChecker(judge: Judge): Checker {
  return {
    persisting(node: SimNode, persist: PersistEffect, before: CoreStatus): void {
      const { truncateFrom } = persist;
      if (truncateFrom === null) return;
      judge.require(truncateFrom > before.commitIndex, 'N3', () => {
        return `${node.id} cuts from ${truncateFrom}, its commit is ${before.commitIndex}`;
      });
      const ours = node.log[truncateFrom - 1];
      const theirs = persist.entries[0];
      const isConflict = ours !== undefined && theirs !== undefined && ours.term !== theirs.term;
      judge.require(isConflict, 'N3', () => {
        return `${node.id} cuts ${show(ours)} for ${show(theirs)}: no conflict`;
      });
    },
  };
}

/** L2: a leader commits by counting only what it appended in its own term (Raft 5.4.2). */
export function ownTermCommitChecker(judge: Judge): Checker {
  return {
    stepped({ node, before, after }: Step): void {
      if (after.role !== 'leader' || after.commitIndex <= before.commitIndex) return;
      const entry = node.log[after.commitIndex - 1];
      judge.require(entry?.term === after.term, 'L2', () => {
        return `leader ${node.id} of term ${after.term} commits up to ${show(entry)}`;
      });
    },
  };
}
