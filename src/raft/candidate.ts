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
import type { CoreState } from './core-state.ts';
import { becomeLeader } from './leader.ts';
import type { PreVoteReply, VoteReply } from './messages.ts';
import { voteOutcome } from './quorum.ts';
import { becomeFollower } from './role-change.ts';

export function onElectionTick(state: CoreState): void {
  assert(state.role.kind !== 'leader', 'a leader does not campaign');
  state.electionElapsedTicks += 1;
  if (state.electionElapsedTicks < state.electionTimeoutTicks) return;
  // On a stalled disk another campaign could only queue behind this one, in one more term.
  if (isOwnVoteOnItsWay(state)) return;
  askForPreVotes(state);
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
  decidePreVotes(state, role.votes);
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
  role.votes.set(state.config.self, true);
  decideVotes(state, role.votes);
}

function isOwnVoteOnItsWay({ role, config }: CoreState): boolean {
  return role.kind === 'candidate' && !role.votes.has(config.self);
}

function askForPreVotes(state: CoreState): void {
  const votes = new Map([[state.config.self, true]]);
  state.role = { kind: 'preCandidate', votes };
  state.leader = null;
  state.drawElectionTimeout();
  const term = advance(state.term, 1);
  for (const peer of state.others) {
    state.outbox.send(peer, { kind: 'preVoteRequest', term, last: state.log.last });
  }
  decidePreVotes(state, votes);
}

function campaign(state: CoreState): void {
  state.enterTerm(advance(state.term, 1), state.config.self);
  state.role = { kind: 'candidate', votes: new Map() };
  state.drawElectionTimeout();
  const { term, log } = state;
  for (const to of state.others) {
    state.outbox.promise({
      to,
      message: { kind: 'voteRequest', term, last: log.last },
      durableThrough: log.lastIndex,
    });
  }
}

function decidePreVotes(state: CoreState, votes: ReadonlyMap<NodeId, boolean>): void {
  const outcome = voteOutcome(state.config.voters, votes);
  if (outcome === 'won') campaign(state);
  if (outcome === 'lost') becomeFollower(state, state.term, null);
}

function decideVotes(state: CoreState, votes: ReadonlyMap<NodeId, boolean>): void {
  // The answers may overtake the news that our own write is done; nobody leads before that.
  if (!state.isHardStateDurable) return;
  const outcome = voteOutcome(state.config.voters, votes);
  if (outcome === 'won') becomeLeader(state);
  if (outcome === 'lost') becomeFollower(state, state.term, null);
}
