/** The way down: how any role becomes a follower. The ways up are in candidate.ts and leader.ts. */
import { assert } from '../base/assert.ts';
import type { NodeId, Term } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { LeaderState } from './role-state.ts';

/** @param leader who leads `term`, null when that is not known yet */
export function becomeFollower(state: CoreState, term: Term, leader: NodeId | null): void {
  assert(term >= state.term, 'terms grow', () => ({ term, current: state.term }));
  // Learning who leads counts: the short timeout of a start must not outlive the first heartbeat.
  const isChange = term > state.term || state.role.kind !== 'follower' || state.leader !== leader;
  if (state.role.kind === 'leader') resign(state, state.role);
  if (term > state.term) state.enterTerm(term, null);
  state.role = { kind: 'follower' };
  state.leader = leader;
  if (leader !== null) state.hasKnownLeader = true;
  if (isChange) state.drawElectionTimeout();
}

/** A message that only the leader of our term can send has arrived from `leader`. */
export function followLeader(state: CoreState, leader: NodeId): void {
  assert(state.role.kind !== 'leader', 'a term has one leader (Raft 5.2)', () => ({
    term: state.term,
    leader,
  }));
  if (state.leader !== null) {
    assert(state.leader === leader, 'a term has one leader (Raft 5.2)', () => ({
      term: state.term,
      leaders: [state.leader, leader],
    }));
  }
  becomeFollower(state, state.term, leader);
  state.electionElapsedTicks = 0;
  state.leaderHeardAtTicks = state.nowTicks;
}

/** What only the leader of this term could have answered. */
function resign(state: CoreState, leader: LeaderState): void {
  for (const tag of leader.reads.drain()) refuseRead(state, tag, 'notLeader');
  const { handover } = leader;
  if (handover === null || handover.tag === null) return;
  const { tag } = handover;
  state.outbox.notify({ kind: 'transferResult', tag, result: 'handedOver' });
}

export function refuseRead(state: CoreState, tag: number, why: 'notLeader' | 'tooMany'): void {
  state.outbox.notify({ kind: 'readResult', tag, result: 'refused', why });
}
