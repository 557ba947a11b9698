/** N7 and N9: what a node may say, given its term, its place in the group and its disk. */
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import { isVoter } from '../../../src/raft/membership.ts';
import type { Envelope, Message } from '../../../src/raft/messages.ts';
import type { LogBook } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import type { Judge } from './violation.ts';

/** Everything that an effect sends, now or when the disk has caught up. */
export function envelopesOf(effect: Effect): readonly Envelope[] {
  if (effect.kind === 'send') return [effect];
  return effect.kind === 'persist' ? effect.after : [];
}

/**
 * N7: nobody speaks in a term that it has not entered, a message of an older term changes nothing,
 * and whoever answers a candidate is in its term (dledger #325: a pair that never hears of the
 * other's term stays apart for ever).
 */
export function termsOfMessagesChecker(judge: Judge): Checker {
  function requireKnownTerm({ node, after }: Step, message: Message): void {
    if (message.kind === 'preVoteReply') return; // echoes the term it was asked about
    const known = message.kind === 'preVoteRequest' ? after.term + 1 : after.term;
    judge.require(message.term <= known, 'N7', () => {
      return `${node.id} is in term ${after.term} and sends a ${message.kind} of ${message.term}`;
    });
  }

  function requireNoEffect({ node, before, after }: Step, message: Message): void {
    const isSame =
      after.term === before.term &&
      after.lastIndex === before.lastIndex &&
      after.commitIndex === before.commitIndex &&
      after.leader === before.leader;
    judge.require(isSame, 'N7', () => {
      return `a ${message.kind} of term ${message.term} changes ${node.id} in term ${before.term}`;
    });
  }

  return {
    stepped(step: Step): void {
      const { node, input, effects, before, after } = step;
      for (const effect of effects) {
        for (const { message } of envelopesOf(effect)) requireKnownTerm(step, message);
      }
      if (input.kind !== 'receive') return;
      const { from, message } = input;
      // A refusal in an older term refuses all the same: a pre-vote binds nobody to a term.
      const isOld = message.term < before.term && message.kind !== 'preVoteReply';
      if (isOld) requireNoEffect(step, message);
      if (message.kind !== 'voteRequest') return;
      const answer = effects.flatMap(envelopesOf).find(({ to }) => to === from);
      judge.require(answer === undefined || after.term >= message.term, 'N7', () => {
        return `${node.id} answers ${from} in term ${message.term} and stays in ${after.term}`;
      });
    },
  };
}

/**
 * N9: a learner or a removed node never asks for a vote; a node whose disk is stalled neither asks
 * for one nor gives one, nor says that it would. (A learner may vote: it may be a voter and not know
 * yet.) What counts is when the core says it, not when a slow disk lets it go.
 */
export function fitnessChecker(judge: Judge, book: LogBook): Checker {
  const stalled = new Set<NodeView>();

  function mayAsk(node: NodeView): boolean {
    const log = book.of(node);
    // Its own removal may be in no other log: then nobody else can be elected (thesis 4.2.2). And
    // what it knows to be committed may lie several changes back.
    const { commitIndex } = node.status;
    const possible = [log.membershipAt(commitIndex), ...log.membershipsAfter(commitIndex)];
    return possible.some(({ membership }) => isVoter(membership, node.id));
  }

  return {
    started(node: NodeView, _start: CoreStart): void {
      stalled.delete(node);
    },
    emitted(node: NodeView, effect: Effect): void {
      for (const { to, message } of envelopesOf(effect)) {
        const isAsking = message.kind === 'voteRequest' || message.kind === 'preVoteRequest';
        const isReply = message.kind === 'voteReply' || message.kind === 'preVoteReply';
        const isGranting = isReply && message.granted;
        judge.require(!((isAsking || isGranting) && stalled.has(node)), 'N9', () => {
          return `${node.id} sends a ${message.kind} to ${to} while its disk is stalled`;
        });
        judge.require(!isAsking || mayAsk(node), 'N9', () => {
          const { index } = book.of(node).membership;
          return `${node.id} sends a ${message.kind}, it is no voter by the entry ${index}`;
        });
      }
    },
    stepped({ node, input }: Step): void {
      if (input.kind !== 'diskHealth') return;
      if (input.isStalled) stalled.add(node);
      else stalled.delete(node);
    },
  };
}
