/** The leader's view of the other members: one `Progress` each, in step with the membership. */
import { advance, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { PeerProgress } from './core-types.ts';
import { SNAPSHOT_PATIENCE_TICKS } from './limits.ts';
import { isVoter } from './membership.ts';
import { Progress } from './progress.ts';
import type { LeaderState } from './role-state.ts';

/** For the start of a leadership. */
export function peersOf(state: CoreState): Map<NodeId, Progress> {
  return new Map(otherMembers(state).map((peer) => [peer, newProgress(state)]));
}

/** After a change of membership: whoever is new is unknown, whoever is gone counts no more. */
export function trackMembers(state: CoreState, leader: LeaderState): void {
  const others = otherMembers(state);
  for (const peer of others) {
    if (!leader.peers.has(peer)) leader.peers.set(peer, newProgress(state));
  }
  if (!state.rules.forgetsRemovedPeers()) return;
  for (const peer of leader.peers.keys()) {
    if (!others.includes(peer)) leader.peers.delete(peer);
  }
}

export function lagBytesOf(state: CoreState, progress: Progress): number {
  const { log } = state;
  if (progress.matchIndex < log.baseIndex) return log.endOffset;
  return log.endOffset - log.endOffsetOf(progress.matchIndex);
}

export function peerStatuses(state: CoreState): readonly PeerProgress[] {
  const { role, nowTicks } = state;
  if (role.kind !== 'leader') return [];
  const { membership } = state.membership;
  return [...role.peers].map(([nodeId, progress]) => ({
    nodeId,
    matchIndex: progress.matchIndex,
    nextIndex: progress.nextIndex,
    state: progress.state,
    lagBytes: lagBytesOf(state, progress),
    isLearner: !isVoter(membership, nodeId),
    isActive: progress.isActive(nowTicks),
    isDiskStalled: progress.isDiskStalled,
  }));
}

function otherMembers(state: CoreState): readonly NodeId[] {
  const { members } = state.membership.membership;
  return members.map(({ nodeId }) => nodeId).filter((nodeId) => nodeId !== state.self);
}

function newProgress(state: CoreState): Progress {
  const { config, log, nowTicks } = state;
  const limits = {
    inflightCountMax: config.inflightCountMax,
    inflightSizeBytesMax: config.inflightSizeBytesMax,
    patienceTicks: config.heartbeatTicks,
    lostLogTicks: config.electionTimeoutTicksMax,
    snapshotPatienceTicks: SNAPSHOT_PATIENCE_TICKS,
    activeTicks: config.electionTimeoutTicksMin,
  };
  return new Progress(limits, advance(log.lastIndex, 1), nowTicks);
}
