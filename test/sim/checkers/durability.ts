/** I6, I7 and N5: what was promised or committed is on disks, and stays there. */
import type { NodeId } from '../../../src/base/units.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import type { AppendAccepted, Message } from '../../../src/raft/messages.ts';
import type { CommitHistory } from './commit-history.ts';
import { show } from './entry-registry.ts';
import type { IdentityBook } from './identity.ts';
import type { LogBook } from './log-book.ts';
import { durableIndexOf, holdsDurably, type NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import { isDecided, majorityOf, setsOf } from './quorums.ts';
import type { Judge } from './violation.ts';

export interface DurabilityBooks {
  readonly nodes: readonly NodeView[];
  readonly book: LogBook;
  readonly history: CommitHistory;
  readonly identity: IdentityBook;
}

/**
 * I7: an entry is on the disks of a majority when it commits, and no disk loses it later. The
 * majority is that of the membership in force in the log of the leader that commits it (Raft 6): an
 * entry between the two halves of a joint change needs the new set only, once the joint entry itself
 * was committed by both. A copy counts that was acknowledged in the term and lost with its directory
 * afterwards: the leader cannot know (and I6 says whether too many were lost).
 */
export function committedIsDurableChecker(judge: Judge, books: DurabilityBooks): Checker {
  const { nodes, book, history, identity } = books;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  /** What each node acknowledged last, while it had its memory. */
  const acknowledged = new Map<NodeView, AppendAccepted>();
  /** By index: the term of the leadership that committed it. */
  const committedIn: number[] = [];
  let checkedIndex = 0;

  /**
   * Only who has acknowledged it to the leadership that committed it, or to a later one, must not lose
   * it. Another one may have it on disk by chance, with a cut and the same entry again queued behind
   * it (A-B-A, hazard H14): then it is gone for a moment, and nobody has counted on it.
   */
  function hasPromised(node: NodeView, { index }: EntryDesc): boolean {
    const last = acknowledged.get(node);
    const term = committedIn[index];
    return (
      last !== undefined && term !== undefined && last.term >= term && last.matchIndex >= index
    );
  }

  function holds(nodeId: NodeId, entry: EntryDesc, term: number): boolean {
    const node = byId.get(nodeId);
    if (node === undefined) return false;
    if (identity.isTrue(node)) return holdsDurably(node, entry);
    const last = acknowledged.get(node);
    return last?.term === term && last.matchIndex >= entry.index;
  }

  function deciding(step: Step, entry: EntryDesc): Membership {
    const log = book.of(step.node);
    const counted = log.membershipAt(step.before.lastIndex);
    const isJoint = counted.membership.outgoing.length > 0;
    const isPastJoint = isJoint && entry.index > counted.index;
    const leaves = isPastJoint && counted.index <= step.after.commitIndex;
    return leaves ? log.membership.membership : counted.membership;
  }

  return {
    released(node: NodeView, _to: NodeId, message: Message): void {
      if (message.kind !== 'appendAccepted' || !identity.isTrue(node)) return;
      const last = acknowledged.get(node);
      const isMore = last?.term !== message.term || last.matchIndex < message.matchIndex;
      if (isMore) acknowledged.set(node, message);
    },
    stepped(step: Step): void {
      for (; checkedIndex < history.lastIndex; checkedIndex++) {
        const entry = history.at(checkedIndex + 1)!; // up to lastIndex there are no holes
        const membership = deciding(step, entry);
        committedIn[entry.index] = step.after.term;
        const isHolder = (id: NodeId) => holds(id, entry, step.after.term);
        judge.require(isDecided(membership, isHolder), 'I7', () => {
          const names = nodes.map(({ id }) => id).filter(isHolder);
          const sets = setsOf(membership).map((set) => `{${set.join(' ')}}`);
          return `${step.node.id} commits ${show(entry)}, durable on [${names}] of ${sets.join(' and ')}`;
        });
      }
    },
    cut(node: NodeView, removed: readonly EntryDesc[]): void {
      for (const entry of removed) {
        const isCommitted = history.at(entry.index)?.term === entry.term;
        const isLost = isCommitted && !holdsDurably(node, entry);
        judge.require(!isLost || !hasPromised(node, entry), 'I7', () => {
          return `the disk of ${node.id} loses the committed ${show(entry)}`;
        });
      }
    },
  };
}

/** I6 looks at the whole group; each look costs a few comparisons per node. */
const QUORUM_LOG_EVERY_STEPS = 64;

/**
 * I6: whoever forms a majority, one of them has what is committed, on disk. A store that was wiped
 * or rolled back forms no majority any more.
 */
export function quorumLogChecker(judge: Judge, books: DurabilityBooks): Checker {
  const { nodes, book, history, identity } = books;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  let stepCount = 0;

  function look(membership: Membership): void {
    const entry = history.at(history.lastIndex);
    if (entry === undefined) return;
    // Whoever has the last one has them all (I3). A joint decision needs both sets: one that no
    // majority without the entry can be found in is enough.
    const isSafe = setsOf(membership).some((set) => {
      const without = set.filter((nodeId) => {
        const node = byId.get(nodeId);
        return node !== undefined && identity.isTrue(node) && !holdsDurably(node, entry);
      });
      return without.length < majorityOf(set);
    });
    judge.require(isSafe, 'I6', () => {
      const sets = setsOf(membership).map((set) => `{${set.join(' ')}}`);
      return `${sets.join(' and ')} can decide without ${show(entry)}`;
    });
  }

  function lookAround(): void {
    if (history.membership !== null) look(history.membership.membership);
    for (const node of nodes) {
      if (!node.isUp || node.status.role !== 'leader') continue;
      const { term } = node.status;
      const isNewest = nodes.every((other) => !other.isUp || other.status.term <= term);
      if (isNewest) look(book.of(node).membership.membership);
    }
  }

  return {
    stepped(): void {
      stepCount++;
      if (stepCount % QUORUM_LOG_EVERY_STEPS === 0) lookAround();
    },
    elected: lookAround,
    cut: lookAround,
    wiped: lookAround,
    ended: lookAround,
  };
}

/** N5: no promise leaves a node before its disk can keep it. */
export function promiseIsDurableChecker(judge: Judge): Checker {
  return {
    released(node: NodeView, to: NodeId, message: Message): void {
      const { hardState } = node.disk.image;
      if (message.kind === 'voteReply' && message.granted) {
        const isKept = hardState.term === message.term && hardState.votedFor === to;
        judge.require(isKept, 'N5', () => {
          const kept = `term ${hardState.term}, vote ${hardState.votedFor}`;
          return `${node.id} grants ${to} term ${message.term}, on disk is ${kept}`;
        });
      }
      if (message.kind === 'appendAccepted') {
        judge.require(message.matchIndex <= durableIndexOf(node), 'N5', () => {
          return `${node.id} accepts up to ${message.matchIndex}, durable is ${durableIndexOf(node)}`;
        });
        judge.require(hardState.term >= message.term, 'N5', () => {
          return `${node.id} accepts in term ${message.term}, on disk is ${hardState.term}`;
        });
      }
      if (message.kind === 'heartbeatReply') {
        judge.require(message.durableIndex <= durableIndexOf(node), 'N5', () => {
          return `${node.id} reports ${message.durableIndex}, durable is ${durableIndexOf(node)}`;
        });
      }
    },
    elected(node: NodeView): void {
      const { hardState } = node.disk.image;
      const { term } = node.status;
      judge.require(hardState.term === term && hardState.votedFor === node.id, 'N5', () => {
        return `${node.id} leads in term ${term} before its own vote is durable`;
      });
    },
  };
}
