/**
 * Giving leadership away on purpose: by request, or to a preferred node (Raft thesis 3.10).
 *
 * Proposals stop, the target gets the rest of the log, and is told to campaign at once. When it has
 * not taken over within an election timeout, we go on leading. A target that lags or whose disk is
 * stalled is never chosen: elsewhere a preferred node with a dead disk took leadership back for ever
 * (dledger #287). Priority is a matter of the leader alone; no vote depends on it.
 */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { TransferRefusal } from './effects.ts';
import { isJoint } from './membership.ts';
import { lagBytesOf } from './peers.ts';
import type { Progress } from './progress.ts';
import { sendAppends } from './replication.ts';
import type { LeaderState } from './role-state.ts';

export function onTransfer(state: CoreState, tag: number, to: NodeId): void {
  const why = refusalOf(state, to);
  if (why !== null) {
    state.outbox.notify({ kind: 'transferResult', tag, result: 'refused', why });
    return;
  }
  assert(state.role.kind === 'leader', 'only a leader hands over');
  begin(state, state.role, to, tag);
}

/** Gives up what takes too long; starts what the priorities ask for. */
export function tickHandover(state: CoreState, leader: LeaderState): void {
  const { handover } = leader;
  if (handover !== null) {
    const elapsedTicks = state.nowTicks - handover.startedAtTicks;
    if (elapsedTicks >= state.config.electionTimeoutTicksMin) abort(state, leader);
    return;
  }
  if (!isAllWell(state, leader)) {
    leader.wellSinceTicks = state.nowTicks;
    return;
  }
  if (state.nowTicks - leader.wellSinceTicks < state.config.preferenceTicks) return;
  const to = preferredVoter(state, leader);
  if (to === null) return;
  // Not again at once, should it fail.
  leader.wellSinceTicks = state.nowTicks;
  begin(state, leader, to, null);
}

/** The target may have everything now. */
export function continueHandover(state: CoreState, leader: LeaderState): void {
  const { handover } = leader;
  if (handover === null || handover.isAsked) return;
  const progress = leader.peers.get(handover.to);
  if (progress?.matchIndex !== state.log.lastIndex) return;
  handover.isAsked = true;
  state.outbox.send(handover.to, { kind: 'campaignNow', term: state.term });
}

/** Leadership that ends anyway: whoever has most of the log should not wait for its timer. */
export function passOn(state: CoreState, leader: LeaderState): void {
  const { voters } = state.membership.membership;
  let best: { readonly to: NodeId; readonly progress: Progress } | null = null;
  for (const to of voters) {
    const progress = leader.peers.get(to);
    if (progress === undefined || !isFit(state, progress)) continue;
    if (best === null || progress.matchIndex > best.progress.matchIndex) best = { to, progress };
  }
  if (best !== null) state.outbox.send(best.to, { kind: 'campaignNow', term: state.term });
}

function refusalOf(state: CoreState, to: NodeId): TransferRefusal | null {
  const { role, self } = state;
  if (role.kind !== 'leader') return 'notLeader';
  if (to === self) return 'isSelf';
  const progress = role.peers.get(to);
  if (progress === undefined || !state.membership.membership.voters.includes(to)) return 'notVoter';
  if (role.handover !== null) return 'inProgress';
  if (isFit(state, progress)) return null;
  if (!progress.isActive(state.nowTicks)) return 'silent';
  return progress.isDiskStalled ? 'diskStalled' : 'behind';
}

function isFit(state: CoreState, progress: Progress): boolean {
  return state.rules.mayHandOverTo({
    isActive: progress.isActive(state.nowTicks),
    isDiskStalled: progress.isDiskStalled,
    lagBytes: lagBytesOf(state, progress),
    lagBytesMax: state.config.handoverLagBytesMax,
  });
}

function begin(state: CoreState, leader: LeaderState, to: NodeId, tag: number | null): void {
  leader.handover = { to, tag, startedAtTicks: state.nowTicks, isAsked: false };
  const progress = leader.peers.get(to);
  assert(progress !== undefined, 'a target is a member', () => ({ to }));
  sendAppends(state, to, progress);
  continueHandover(state, leader);
}

function abort(state: CoreState, leader: LeaderState): void {
  const { handover } = leader;
  leader.handover = null;
  leader.wellSinceTicks = state.nowTicks;
  if (handover === null || handover.tag === null) return;
  const { tag } = handover;
  state.outbox.notify({ kind: 'transferResult', tag, result: 'aborted' });
}

function isAllWell(state: CoreState, leader: LeaderState): boolean {
  const { index, membership } = state.membership;
  if (isJoint(membership) || index > state.commitIndex) return false;
  for (const progress of leader.peers.values()) {
    if (!progress.isActive(state.nowTicks) || progress.isDiskStalled) return false;
  }
  return true;
}

function preferredVoter(state: CoreState, leader: LeaderState): NodeId | null {
  const { members, voters } = state.membership.membership;
  const own = members.find(({ nodeId }) => nodeId === state.self)?.priority ?? 0;
  let best: { readonly nodeId: NodeId; readonly priority: number } | null = null;
  for (const { nodeId, priority } of members) {
    if (priority <= Math.max(own, best?.priority ?? own) || !voters.includes(nodeId)) continue;
    const progress = leader.peers.get(nodeId);
    if (progress !== undefined && isFit(state, progress)) best = { nodeId, priority };
  }
  return best?.nodeId ?? null;
}
