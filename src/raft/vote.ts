/**
 * Answering those who want to lead, in whatever role we are (Raft 5.2, 5.4.1; thesis 4.2.3, 9.6).
 *
 * A pre-vote changes nothing here and may be answered at once. A vote is a promise to a whole term:
 * the reply waits until the vote is on disk.
 *
 * Whether we are a voter is not asked: we may be behind the membership that made us one, and without
 * our vote it might never get a leader (thesis 4.2.2). The candidate knows whose votes count.
 */
import { LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { PreVoteRequest, VoteRequest } from './messages.ts';
import { becomeFollower } from './role-change.ts';

export function onPreVoteRequest(state: CoreState, from: NodeId, request: PreVoteRequest): void {
  const granted =
    request.term > state.term &&
    state.isUpToDate(request.last) &&
    mayDisturb(state, from) &&
    !state.isDiskStalled;
  const term = granted ? request.term : state.term;
  const { hasTornTail } = state;
  state.outbox.send(from, {
    kind: 'preVoteReply',
    term,
    granted,
    last: state.log.last,
    hasTornTail,
  });
}

export function onVoteRequest(state: CoreState, from: NodeId, request: VoteRequest): void {
  // Not even the term is taken over: a removed or isolated node must not unseat a live leader.
  if (!request.isTransfer && !mayDisturb(state, from)) return;
  // The promise could not be written, and a candidate should not wait for it (H11).
  if (state.isDiskStalled) return;
  const isUpToDate = state.isUpToDate(request.last);
  // The term first, the log second: a stuck pair is the price of the other order (dledger #325).
  const isAdopted = isUpToDate || state.rules.adoptsTermOfStaleCandidate();
  if (request.term > state.term && isAdopted) becomeFollower(state, request.term, null);

  const granted = isVoteFree(state, from, request) && isUpToDate;
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
  if (request.term !== state.term) return false;
  if (state.votedFor !== null) return state.votedFor === candidate;
  return state.leader === null || state.leader === candidate;
}
