/** I5, I10, L2, N2, N3: how commit moves, and what it forbids. */
import type { LogIndex } from '../../../src/base/units.ts';
import type { CoreStart, CoreStatus } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { CommitHistory } from './commit-history.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { LogBook } from './log-book.ts';
import { durableIndexOf, type NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import type { Judge } from './violation.ts';

/** I5: a leader holds every entry that was committed in a lower term. */
export function leaderCompletenessChecker(
  judge: Judge,
  nodes: readonly NodeView[],
  book: LogBook,
  history: CommitHistory,
): Checker {
  return {
    elected(node: NodeView): void {
      const log = book.of(node);
      const needed = history.lastCommittedBelow(node.status.term);
      const matching = history.matchOf(log);
      judge.require(matching >= needed, 'I5', () => {
        const missing = matching + 1;
        const want = show(history.at(missing));
        return `${node.id} leads without the committed ${want}, it has ${show(log.entryAt(missing))}`;
      });
    },
    committed(node: NodeView, entry: EntryDesc): void {
      // An older leader may commit while a newer one is at work.
      const { term } = node.status;
      for (const other of nodes) {
        if (!other.isUp || other.id === node.id) continue;
        const { role, term: otherTerm } = other.status;
        if (role !== 'leader' || otherTerm <= term) continue;
        const found = book.of(other).termAt(entry.index);
        judge.require(found === entry.term || found === 'compacted', 'I5', () => {
          return `${other.id} leads in term ${otherTerm} without ${show(entry)}, committed in ${term}`;
        });
      }
    },
  };
}

/**
 * I10: a log whose last entry is of term t began as a copy of that term's leader, and so holds all
 * that was committed in terms below t. (The reference compares two logs and what one of them *knows*
 * to be committed. That is false in groups of five: a node may learn of a commit of term 4 before it
 * is sent the entry of term 4 that made it so, and a lone entry of term 3 elsewhere is newer then.)
 */
export function newerLogChecker(judge: Judge, book: LogBook, history: CommitHistory): Checker {
  return {
    stepped({ node, before, after }: Step): void {
      if (after.lastTerm === before.lastTerm && after.lastIndex >= before.lastIndex) return;
      const log = book.of(node);
      const needed = Math.min(history.lastCommittedBelow(log.last.term), log.lastIndex);
      const matching = history.matchOf(log);
      judge.require(matching >= needed, 'I10', () => {
        const [want, own] = [show(history.at(matching + 1)), show(log.entryAt(matching + 1))];
        return `the log of ${node.id} ends in term ${log.last.term}, has ${own} and lacks ${want}`;
      });
    },
  };
}

/** N2: commit and applied never fall, and applied <= commit <= last, applied <= durable. */
export function commitMonotoneChecker(judge: Judge, book: LogBook): Checker {
  return {
    started(node: NodeView, { base, appliedIndex }: CoreStart): void {
      judge.require(appliedIndex >= base.last.index, 'N2', () => {
        return `${node.id} starts with applied ${appliedIndex}, its log begins after ${base.last.index}`;
      });
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
      const { last } = book.of(node);
      const isTold = after.lastIndex === last.index && after.lastTerm === last.term;
      judge.require(isTold, 'N4', () => {
        const says = `${after.lastIndex}/${after.lastTerm}`;
        return `${node.id} says its log ends at ${says}, told was ${last.index}/${last.term}`;
      });
    },
    compacted(node: NodeView, through: LogIndex): void {
      const { appliedIndex } = node.disk.image;
      judge.require(through <= appliedIndex, 'N2', () => {
        return `${node.id} forgets up to ${through}, its durable state has applied ${appliedIndex}`;
      });
    },
    applied(node: NodeView, entry: EntryDesc): void {
      judge.require(entry.index <= durableIndexOf(node), 'N2', () => {
        return `${node.id} applies ${show(entry)}, durable is ${durableIndexOf(node)}`;
      });
      judge.require(entry.index <= node.status.commitIndex, 'N2', () => {
        return `${node.id} applies ${show(entry)} above its commit index`;
      });
    },
  };
}

/** N4, in the end: what the core knows of its log is what it told. */
export function toldLogChecker(
  judge: Judge,
  nodes: readonly (NodeView & CoreHolder)[],
  book: LogBook,
): Checker {
  return {
    ended(): void {
      for (const node of nodes) {
        if (!node.isUp) continue;
        const log = book.of(node);
        for (let index = log.base.last.index + 1; index <= log.lastIndex; index++) {
          const told = log.entryAt(index);
          const own = node.core.entryAt(index as LogIndex);
          const isSame = own !== null && told !== undefined && isSameEntry(own, told);
          judge.require(isSame, 'N4', () => {
            return `${node.id} knows ${show(own ?? undefined)}, told was ${show(told)}`;
          });
        }
      }
    },
  };
}

interface CoreHolder {
  readonly core: { entryAt(index: LogIndex): EntryDesc | null };
}

/** N3: a cut needs a conflict in hand and never touches what is committed. */
export function truncationChecker(judge: Judge, book: LogBook): Checker {
  return {
    persisting(node: NodeView, persist: PersistEffect, before: CoreStatus): void {
      const { truncateFrom, snapshot } = persist;
      if (snapshot !== null) {
        judge.require(snapshot.last.index > before.commitIndex, 'N3', () => {
          const { index } = snapshot.last;
          return `a snapshot of ${index} replaces the log of ${node.id}, commit is ${before.commitIndex}`;
        });
        return;
      }
      if (truncateFrom === null) return;
      judge.require(truncateFrom > before.commitIndex, 'N3', () => {
        return `${node.id} cuts from ${truncateFrom}, its commit is ${before.commitIndex}`;
      });
      const ours = book.of(node).entryAt(truncateFrom);
      const theirs = persist.entries[0];
      const isConflict = ours !== undefined && theirs !== undefined && ours.term !== theirs.term;
      judge.require(isConflict, 'N3', () => {
        return `${node.id} cuts ${show(ours)} for ${show(theirs)}: no conflict`;
      });
    },
  };
}

/** L2: a leader commits by counting only what it appended in its own term (Raft 5.4.2). */
export function ownTermCommitChecker(judge: Judge, book: LogBook): Checker {
  return {
    stepped({ node, before, after }: Step): void {
      if (after.role !== 'leader' || after.commitIndex <= before.commitIndex) return;
      const found = book.of(node).termAt(after.commitIndex);
      judge.require(found === after.term, 'L2', () => {
        return `leader ${node.id} of term ${after.term} commits up to ${after.commitIndex}/${found}`;
      });
    },
  };
}
