/**
 * Changing the members of the group while it works (Raft 6; thesis chapter 4), by joint consensus.
 *
 *     old -- change is appended --> joint(old, new) -- committed --> new -- committed --> done
 *
 * Both phases are in force from their append on. The leader makes the second step by itself, whoever
 * leads then. Changes that leave the voters alone need one step only.
 *
 * One change at a time, none before an entry of the own term is committed (the bug of 2015: two
 * leaders, each with one uncommitted change, commit without common voter), and only on the
 * membership that the asker has seen (H20).
 */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { Input } from './effects.ts';
import { passOn } from './handover.ts';
import { appendMembership, hasRoomFor } from './leader-log.ts';
import {
  type ChangeProblem,
  isJoint,
  isVoter,
  type Membership,
  type MembershipStep,
} from './membership.ts';
import { applySteps, leaveJoint } from './membership-change.ts';
import { lagBytesOf } from './peers.ts';
import { majorityOf } from './quorum.ts';
import { sendHeartbeats } from './replication.ts';
import { becomeFollower } from './role-change.ts';
import type { LeaderState } from './role-state.ts';

export type ChangeInput = Extract<Input, { kind: 'changeMembership' }>;

export function onChangeMembership(state: CoreState, input: ChangeInput): void {
  const { tag } = input;
  const { role } = state;
  if (role.kind !== 'leader') {
    refuse(state, tag, [{ kind: 'notLeader' }]);
    return;
  }
  const blockers = situationProblems(state, role, input);
  const { membership: current } = state.membership;
  // Of a change that is under way only its end is known to come.
  const settled = isJoint(current) ? leaveJoint(current) : current;
  const applied = applySteps(settled, input.steps);
  if (applied.kind === 'invalid') {
    refuse(state, tag, [...blockers, ...applied.problems]);
    return;
  }
  const { membership } = applied;
  const problems = [...blockers, ...fitnessProblems(state, role, input.steps, membership)];
  if (problems.length > 0) {
    refuse(state, tag, problems);
    return;
  }
  const index = appendMembership(state, role, membership);
  state.outbox.notify({ kind: 'changeResult', tag, result: 'accepted', index, term: state.term });
}

/** After a commit: ends a joint phase, and with it, perhaps, our own leadership. */
export function settleMembership(state: CoreState, leader: LeaderState): void {
  const { index, membership } = state.membership;
  if (index > state.commitIndex) return;
  if (isJoint(membership)) {
    appendMembership(state, leader, leaveJoint(membership));
    return;
  }
  if (isVoter(membership, state.self)) return;
  // Removed, and everybody's majority knows: say so to the rest, and go.
  sendHeartbeats(state, leader);
  passOn(state, leader);
  becomeFollower(state, state.term, null);
}

function refuse(state: CoreState, tag: number, problems: readonly ChangeProblem[]): void {
  assert(problems.length > 0, 'a refusal has reasons');
  state.outbox.notify({ kind: 'changeResult', tag, result: 'refused', problems });
}

function situationProblems(
  state: CoreState,
  leader: LeaderState,
  { ifMembershipIndex }: ChangeInput,
): readonly ChangeProblem[] {
  const { index, membership } = state.membership;
  const { hasCommittedInOwnTerm } = state;
  const hasChangeInFlight = index > state.commitIndex || isJoint(membership);
  const problems: ChangeProblem[] = [];
  if (!state.rules.mayChangeMembership({ hasCommittedInOwnTerm, hasChangeInFlight })) {
    if (!hasCommittedInOwnTerm) problems.push({ kind: 'ownTermNotCommitted' });
    if (hasChangeInFlight) problems.push({ kind: 'changeInFlight', index });
  }
  if (ifMembershipIndex !== index) {
    problems.push({ kind: 'membershipMoved', asked: ifMembershipIndex, current: index });
  }
  if (leader.handover !== null) {
    problems.push({ kind: 'transferInProgress', to: leader.handover.to });
  }
  return problems;
}

/** Would the group still work afterwards? */
function fitnessProblems(
  state: CoreState,
  leader: LeaderState,
  steps: readonly MembershipStep[],
  next: Membership,
): readonly ChangeProblem[] {
  const problems: ChangeProblem[] = [];
  for (const step of steps) {
    const progress = step.kind === 'promote' ? leader.peers.get(step.nodeId) : undefined;
    if (step.kind !== 'promote' || progress === undefined) continue;
    const lagBytes = lagBytesOf(state, progress);
    const isClose = lagBytes <= state.config.handoverLagBytesMax;
    if (isClose && progress.isActive(state.nowTicks)) continue;
    problems.push({ kind: 'learnerBehind', nodeId: step.nodeId, lagBytes });
  }
  const isActive = (voter: NodeId): boolean =>
    voter === state.self || leader.peers.get(voter)?.isActive(state.nowTicks) === true;
  for (const set of state.rules.decidingSets(next)) {
    const active = set.filter(isActive).length;
    const needed = majorityOf(set.length);
    if (active < needed) problems.push({ kind: 'noQuorumAfter', active, needed });
  }
  const { payloadSizeBytes } = state.config.describeMembership(next);
  if (!hasRoomFor(state, leader, payloadSizeBytes)) problems.push({ kind: 'noRoom' });
  return problems;
}
