/** I1, I2, the vote memory of N1, and E1: who may lead, and what a leader may do to its log. */
import type { NodeId } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { IdentityBook } from './identity.ts';
import type { LogBook } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Observers, Step } from './observers.ts';
import { isDecided } from './quorums.ts';
import type { Judge } from './violation.ts';

/** I1: at most one node ever leads in a term. Tells the others about each election. */
export function electionSafetyChecker(
  judge: Judge,
  observers: Pick<Observers, 'elected'>,
): Checker {
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
    stepped({ node, effects, before, after }: Step): void {
      if (before.role !== 'leader' || after.role !== 'leader') return;
      if (before.term !== after.term) return;
      const cut = effects.find((effect) => {
        return effect.kind === 'persist' && (effect.truncateFrom ?? effect.snapshot) !== null;
      });
      judge.require(cut === undefined, 'I2', () => `${node.id} leads and replaces its log`);
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

/**
 * N1: terms never fall, one vote per term, and both hold across a restart. A store that was wiped
 * promised nothing; one that was rolled back is bound by what it no longer remembers.
 */
export function voteMemoryChecker(judge: Judge, identity: IdentityBook): Checker {
  const promises = new Map<NodeId, Promises>();

  function promisesOf(node: NodeView): Promises {
    const known = promises.get(node.id);
    if (known !== undefined) return known;
    const fresh: Promises = { term: 0, votes: new Map() };
    promises.set(node.id, fresh);
    return fresh;
  }

  function vote(node: NodeView, term: number, candidate: NodeId): void {
    const { votes } = promisesOf(node);
    const earlier = votes.get(term);
    judge.require(earlier === undefined || earlier === candidate, 'N1', () => {
      return `${node.id} votes for ${candidate} in term ${term}, and voted for ${earlier} before`;
    });
    votes.set(term, candidate);
  }

  function promise(node: NodeView, term: number): void {
    const mine = promisesOf(node);
    judge.require(term >= mine.term, 'N1', () => {
      return `${node.id} promises in term ${term} after a promise in term ${mine.term}`;
    });
    mine.term = term;
  }

  return {
    wiped(node: NodeView): void {
      promises.delete(node.id);
    },
    started(node: NodeView, start: CoreStart): void {
      if (!identity.isTrue(node)) return; // it has forgotten; N8 sees to it that nobody listens
      const { term } = promisesOf(node);
      judge.require(start.hardState.term >= term, 'N1', () => {
        return `${node.id} restarts in term ${start.hardState.term} after a promise in ${term}`;
      });
    },
    released(node: NodeView, to: NodeId, message: Message): void {
      if (!identity.isTrue(node)) return;
      if (message.kind === 'voteReply' && message.granted) {
        promise(node, message.term);
        vote(node, message.term, to);
      }
      if (message.kind === 'appendAccepted') promise(node, message.term);
    },
    elected(node: NodeView): void {
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

/**
 * E1: a node enters a new term as a candidate only when a majority said that it would vote for it
 * (thesis 9.6), or when the leader asked it to. Without this, a node that comes back from behind a
 * partition unseats a leader whom everybody else can hear.
 */
export function welcomeChecker(judge: Judge, book: LogBook): Checker {
  /** By candidate and term: who granted a pre-vote. */
  const grants = new Map<string, Set<NodeId>>();
  /** Candidates and terms that a leader asked for. */
  const asked = new Set<string>();

  return {
    released(node: NodeView, to: NodeId, message: Message): void {
      if (message.kind === 'campaignNow') asked.add(`${to} ${message.term + 1}`);
      if (message.kind !== 'preVoteReply' || !message.granted) return;
      const key = `${to} ${message.term}`;
      grants.set(key, (grants.get(key) ?? new Set()).add(node.id));
    },
    emitted(node: NodeView, effect: Effect): void {
      if (effect.kind !== 'persist' || effect.hardState === null) return;
      const { term, votedFor } = effect.hardState;
      if (votedFor !== node.id || term <= node.status.term) return;
      const key = `${node.id} ${term}`;
      const from = grants.get(key);
      const { membership } = book.of(node).membership;
      const isWelcome =
        asked.has(key) || isDecided(membership, (id) => id === node.id || from?.has(id) === true);
      judge.require(isWelcome, 'E1', () => {
        const names = [...(from ?? [])].join(' ');
        return `${node.id} campaigns in term ${term}, welcome only to [${names}]`;
      });
    },
  };
}
