/** I1, I2, and the vote memory of N1: who may lead, and what a leader may do to its log. */
import type { NodeId } from '../../../src/base/units.ts';
import type { CoreStart, CoreStatus } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { SimNode } from '../node.ts';
import type { Checker, Observers, Step } from './observers.ts';
import type { Judge } from './violation.ts';

/** I1: at most one node ever leads in a term. Tells the others about each election. */
export function electionSafetyChecker(judge: Judge, observers: Observers): Checker {
  const leaders = new Map<number, NodeId>();
  return {
    stepped({ node, before, after }: Step): void {
      if (after.role !== 'leader') return;
      if (before.role === 'leader' && before.term === after.term) return;
      const known = leaders.get(after.term);
      judge.require(known === undefined || known === node.id, 'I1', () => {
        return `${known} and ${node.id} both lead in term ${after.term}`;
      });
      leaders.set(after.term, node.id);
      observers.elected(node);
    },
  };
}

/** I2: a leader only ever appends. */
export function leaderAppendOnlyChecker(judge: Judge): Checker {
  return {
    persisting(node: SimNode, persist: PersistEffect, before: CoreStatus): void {
      if (before.role !== 'leader' || persist.truncateFrom === null) return;
      // It may have been deposed in this very step; then the new term is in the same persist.
      const isDeposed = persist.hardState !== null && persist.hardState.term > before.term;
      const isStillLeading = node.core.status().role === 'leader';
      judge.require(isDeposed || !isStillLeading, 'I2', () => {
        return `${node.id} leads in term ${before.term} and cuts from ${persist.truncateFrom}`;
      });
    },
    stepped({ node, before, after }: Step): void {
      if (before.role !== 'leader' || after.role !== 'leader') return;
      if (before.term !== after.term) return;
      judge.require(after.lastIndex >= before.lastIndex, 'I2', () => {
        return `the log of leader ${node.id} shrinks: ${before.lastIndex} to ${after.lastIndex}`;
      });
    },
  };
}

interface Promises {
  /** The highest term in which the node promised something that must survive a crash. */
  term: number;
  /** Term to candidate: the votes that others were told of. */
  readonly votes: Map<number, NodeId>;
}

/** N1: terms never fall, one vote per term, and both hold across a restart. */
export function voteMemoryChecker(judge: Judge): Checker {
  const promises = new Map<NodeId, Promises>();

  function promisesOf(node: SimNode): Promises {
    const known = promises.get(node.id);
    if (known !== undefined) return known;
    const fresh: Promises = { term: 0, votes: new Map() };
    promises.set(node.id, fresh);
    return fresh;
  }

  function vote(node: SimNode, term: number, candidate: NodeId): void {
    const { votes } = promisesOf(node);
    const earlier = votes.get(term);
    judge.require(earlier === undefined || earlier === candidate, 'N1', () => {
      return `${node.id} votes for ${candidate} in term ${term}, and voted for ${earlier} before`;
    });
    votes.set(term, candidate);
  }

  function promise(node: SimNode, term: number): void {
    const mine = promisesOf(node);
    judge.require(term >= mine.term, 'N1', () => {
      return `${node.id} promises in term ${term} after a promise in term ${mine.term}`;
    });
    mine.term = term;
  }

  return {
    started(node: SimNode, start: CoreStart): void {
      const { term } = promisesOf(node);
      judge.require(start.hardState.term >= term, 'N1', () => {
        return `${node.id} restarts in term ${start.hardState.term} after a promise in ${term}`;
      });
    },
    released(node: SimNode, to: NodeId, message: Message): void {
      if (message.kind === 'voteReply' && message.granted) {
        promise(node, message.term);
        vote(node, message.term, to);
      }
      if (message.kind === 'appendAccepted') promise(node, message.term);
    },
    elected(node: SimNode): void {
      promise(node, node.status.term);
      vote(node, node.status.term, node.id);
    },
    stepped({ node, before, after }: Step): void {
      judge.require(after.term >= before.term, 'N1', () => {
        return `the term of ${node.id} falls from ${before.term} to ${after.term}`;
      });
      const isChanged = after.votedFor !== before.votedFor && before.votedFor !== null;
      judge.require(!isChanged || after.term > before.term, 'N1', () => {
        return `${node.id} changes its vote in term ${after.term} to ${after.votedFor}`;
      });
    },
  };
}
