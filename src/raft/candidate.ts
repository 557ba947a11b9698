/**
 * Wanting to lead: first ask whether a campaign could succeed (pre-vote, Raft thesis 9.6), then enter
 * a new term and campaign (Raft 5.2).
 *
 * Our own vote counts when it is durable, and vote requests wait for that same write. They could go
 * out earlier and save one disk flush, but then a crash in between would let this node campaign
 * twice in one term with two different logs: answers to the longer log, still on the wire, would
 * elect the shorter one that survived the crash. Behind the write, term and log of every request
 * survive, and a node never campaigns in the same term again.
 */
import { assert } from '../base/assert.ts';
import { advance, type NodeId } from '../base/units.ts';
import { type CoreState, isBehind } from './core-state.ts';
import { becomeLeader } from './leader.ts';
import type { PreVoteReply, VoteReply } from './messages.ts';
import { voteOutcome } from './quorum.ts';
import { becomeFollower } from './role-change.ts';
import type { PreCandidateState } from './role-state.ts';

export function onElectionTick(state: CoreState): void {
  assert(state.role.kind !== 'leader', 'a leader does not campaign');
  state.electionElapsedTicks += 1;
  const { role } = state;
  // The poll is over for everybody at once: a majority that was only waiting goes on now.
  const isPollOver = state.nowTicks === state.config.extentPollTicks;
  if (isPollOver && role.kind === 'preCandidate') decidePreVotes(state, role);
  if (state.electionElapsedTicks < state.electionTimeoutTicks) return;
  if (!mayCampaign(state)) return;
  if (state.rules.asksBeforeCampaign()) askForPreVotes(state);
  else campaign(state, false);
}

/** The leader hands over to us: it has stopped proposing and waits for our campaign. */
export function onCampaignNow(state: CoreState): void {
  if (state.role.kind !== 'leader' && mayCampaign(state)) campaign(state, true);
}

export function onPreVoteReply(state: CoreState, from: NodeId, reply: PreVoteReply): void {
  const { role } = state;
  if (!reply.granted && reply.term > state.term) {
    becomeFollower(state, reply.term, null);
    return;
  }
  if (role.kind !== 'preCandidate') return;
  // A grant of an earlier question names another term. A refusal cannot be told apart from an
  // earlier one; believing it costs at most this round.
  if (reply.granted && reply.term !== state.term + 1) return;
  if (role.votes.get(from) !== true) role.votes.set(from, reply.granted);
  if (isBehind(role.longest, reply.last)) role.longest = reply.last;
  if (reply.hasTornTail) role.hasSeenTornTail = true;
  decidePreVotes(state, role);
}

export function onVoteReply(state: CoreState, from: NodeId, reply: VoteReply): void {
  if (reply.term > state.term) {
    becomeFollower(state, reply.term, null);
    return;
  }
  const { role } = state;
  if (reply.term < state.term || role.kind !== 'candidate') return;
  role.votes.set(from, reply.granted);
  decideVotes(state, role.votes);
}

/** Our own vote may have become durable. */
export function onHardStateDurable(state: CoreState): void {
  const { role } = state;
  if (role.kind !== 'candidate' || !state.isHardStateDurable) return;
  role.votes.set(state.self, true);
  decideVotes(state, role.votes);
}

function mayCampaign(state: CoreState): boolean {
  // Removed, a learner, or not a member yet: nobody would count what we won (N9). A node whose
  // removal is not in its own log is still a voter, and must campaign (cowsql #150, H20).
  if (!state.mayLead || state.isDiskStalled) return false;
  // On a stalled disk another campaign could only queue behind this one, in one more term.
  return !isOwnVoteOnItsWay(state);
}

function isOwnVoteOnItsWay({ role, self }: CoreState): boolean {
  return role.kind === 'candidate' && !role.votes.has(self);
}

function askForPreVotes(state: CoreState): void {
  const { last } = state.log;
  const role: PreCandidateState = {
    kind: 'preCandidate',
    votes: new Map([[state.self, true]]),
    longest: last,
    hasSeenTornTail: state.hasTornTail,
  };
  state.role = role;
  state.leader = null;
  state.drawElectionTimeout();
  const term = advance(state.term, 1);
  for (const peer of state.otherVoters) {
    state.outbox.send(peer, { kind: 'preVoteRequest', term, last });
  }
  decidePreVotes(state, role);
}

/** @param isTransfer the leader of our present term asked for it */
function campaign(state: CoreState, isTransfer: boolean): void {
  state.enterTerm(advance(state.term, 1), state.self);
  state.role = { kind: 'candidate', votes: new Map() };
  state.drawElectionTimeout();
  const { term, log } = state;
  for (const to of state.otherVoters) {
    state.outbox.promise({
      to,
      message: { kind: 'voteRequest', term, last: log.last, isTransfer },
      durableThrough: log.lastIndex,
    });
  }
}

function decidePreVotes(state: CoreState, role: PreCandidateState): void {
  const outcome = voteOutcome(state.decidingSets, role.votes);
  if (outcome === 'lost') becomeFollower(state, state.term, null);
  if (outcome !== 'won') return;
  if (!isPollingExtents(state, role)) {
    campaign(state, false);
  } else if (isBehind(state.log.last, role.longest)) {
    becomeFollower(state, state.term, null);
  } else if (state.otherVoters.every((voter) => role.votes.has(voter))) {
    campaign(state, false);
  }
}

/**
 * After a power cut of the whole group the first majority must not decide alone: somebody lost a tail
 * of unknown fate, and another log may still have it. Nothing acknowledged depends on it, for that
 * is on a majority; but what was nearly acknowledged is kept where it can be (H30).
 */
function isPollingExtents(state: CoreState, role: PreCandidateState): boolean {
  const isSoonAfterStart = state.nowTicks < state.config.extentPollTicks;
  return role.hasSeenTornTail && isSoonAfterStart && !state.hasKnownLeader;
}

function decideVotes(state: CoreState, votes: ReadonlyMap<NodeId, boolean>): void {
  // The answers may overtake the news that our own write is done; nobody leads before that.
  if (!state.isHardStateDurable) return;
  const outcome = voteOutcome(state.decidingSets, votes);
  if (outcome === 'won') becomeLeader(state);
  if (outcome === 'lost') becomeFollower(state, state.term, null);
}
