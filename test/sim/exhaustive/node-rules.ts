/**
 * What one node must keep by itself (N1, N2, N5, N9, G1), said once more by other hands than those
 * of the core and of ../checkers/. Every function returns what is broken, or null.
 */
import type { NodeId } from '../../../src/base/units.ts';
import type { CoreStatus } from '../../../src/raft/core-types.ts';
import type { Effect, HardState } from '../../../src/raft/effects.ts';
import { isVoter, type LoggedMembership } from '../../../src/raft/membership.ts';
import type { Message } from '../../../src/raft/messages.ts';
import { type Breach, type BrokenInvariant, lastIndexOf, type ShortLog } from './local-action.ts';
import { envelopesOf } from './mirror.ts';

interface StepAtNode {
  readonly before: CoreStatus;
  readonly after: CoreStatus;
  readonly effects: readonly Effect[];
  /** As the effects told it. */
  readonly log: ShortLog;
  /** Likewise, what the log stands on first. */
  readonly memberships: readonly LoggedMembership[];
}

export function breachOfStep(step: StepAtNode): Breach | null {
  const { before, after, effects, log, memberships } = step;
  const { self } = after;
  const newest = memberships.at(-1);
  if (after.term < before.term) {
    return breach('N1', `the term of ${self} falls from ${before.term} to ${after.term}`);
  }
  if (after.term === before.term && before.votedFor !== null) {
    if (after.votedFor !== before.votedFor) return breach('N1', `${self} votes again`);
  }
  if (after.commitIndex < before.commitIndex) return breach('N2', `commit of ${self} falls`);
  if (after.commitIndex > after.lastIndex) return breach('N2', `${self} commits what it lacks`);
  if (after.lastIndex !== lastIndexOf(log)) {
    return breach('N2', `${self} says its log ends at ${after.lastIndex}, not ${lastIndexOf(log)}`);
  }
  if (newest?.index !== after.membership.index) {
    const told = `${self} lives by the membership of ${after.membership.index}`;
    return breach('G1', `${told}, the last one in its log is of ${newest?.index}`);
  }
  const campaigns = envelopesOf(effects).some(({ message }) => message.kind === 'voteRequest');
  if (campaigns && !mayCampaign(self, after.commitIndex, memberships)) {
    return breach('N9', `${self} campaigns and is no voter`);
  }
  return null;
}

/**
 * A voter of the newest membership that is committed, or of one after it. Whoever is removed by an
 * entry that is not committed yet may be the only one with a log that can win (thesis 4.2.2).
 */
export function mayCampaign(
  self: NodeId,
  commitIndex: number,
  memberships: readonly LoggedMembership[],
): boolean {
  const committed = memberships.findLastIndex(({ index }) => index <= commitIndex);
  return memberships.slice(Math.max(0, committed)).some((one) => isVoter(one.membership, self));
}

/** The disk of a node when a message leaves it. */
interface Sender {
  readonly self: NodeId;
  readonly to: NodeId;
  readonly hardState: HardState;
  readonly lastIndex: number;
}

/** What others are told must survive a crash in the next moment. */
export function breachOfMessage(
  message: Message,
  { self, to, hardState, lastIndex }: Sender,
): Breach | null {
  const { term } = message;
  switch (message.kind) {
    case 'voteReply':
      if (message.granted && !remembersVote(hardState, term, to)) {
        return breach('N5', `${self} grants ${to} term ${term} before that is on disk`);
      }
      return null;
    case 'voteRequest':
      if (!remembersVote(hardState, term, self)) {
        return breach('N5', `${self} asks for votes in term ${term} before that is on disk`);
      }
      return null;
    case 'appendAccepted':
      if (message.matchIndex > lastIndex) {
        return breach(
          'N5',
          `${self} acknowledges ${message.matchIndex}, its disk has ${lastIndex}`,
        );
      }
      if (hardState.term < term) {
        return breach(
          'N5',
          `${self} acknowledges in term ${term}, its disk says ${hardState.term}`,
        );
      }
      return null;
    default:
      return null;
  }
}

function remembersVote(hardState: HardState, term: number, candidate: NodeId): boolean {
  if (hardState.term !== term) return hardState.term > term;
  return hardState.votedFor === candidate;
}

function breach(invariant: BrokenInvariant, message: string): Breach {
  return { invariant, message };
}
