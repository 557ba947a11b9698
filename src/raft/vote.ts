/**
 * Answering those who want to lead, in whatever role we are (Raft 5.2, 5.4.1; thesis 4.2.3, 9.6).
 *
 * A pre-vote changes nothing here and may be answered at once. A vote is a promise to a whole term:
 * the reply waits until the vote is on disk.
 */
import { LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { PreVoteRequest, VoteRequest } from './messages.ts';
import { becomeFollower } from './role-change.ts';

export function onPreVoteRequest(state: CoreState, from: NodeId, request: PreVoteRequest): void {
  const granted =
    request.term > state.term && state.isUpToDate(request.last) && mayDisturb(state, from);
  const term = granted ? request.term : state.term;
  state.outbox.send(from, { kind: 'preVoteReply', term, granted });
}

export function onVoteRequest(state: CoreState, from: NodeId, request: VoteRequest): void {
  // Not even the term is taken over: a removed or isolated node must not unseat a live leader.
  if (!mayDisturb(state, from)) return;
  if (request.term > state.term) becomeFollower(state, request.term, null);

  const granted = isVoteFree(state, from, request) && state.isUpToDate(request.last);
  if (granted) {
    becomeFollower(state, state.term, state.leader);
    state.vote(from);
    state.electionElapsedTicks = 0;
  }
  const reply = { kind: 'voteReply', term: state.term, granted } as const;
  if (granted && !state.rules.voteWaitsForDisk()) state.outbox.send(from, reply);
  else state.outbox.promise({ to: from, message: reply, durableThrough: LogIndex(0) });
}

/** The leader itself may ask: it has restarted, and waiting for it would be waiting for nobody. */
function mayDisturb(state: CoreState, candidate: NodeId): boolean {
  return !state.hasHeardLeader || state.leader === candidate;
}

function isVoteFree(state: CoreState, candidate: NodeId, request: VoteRequest): boolean {
  if (request.term < state.term) return false;
  if (state.votedFor !== null) return state.votedFor === candidate;
  return state.leader === null || state.leader === candidate;
}
