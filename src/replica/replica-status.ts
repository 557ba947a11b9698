/** Composes what operators see of a replica from core, store and peers. */
import { advance, LogIndex, type NodeId, type PhysicalOffset } from '../base/units.ts';
import type { CoreStatus } from '../raft/core-types.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { DerivedState } from '../store/derived/derived-state.ts';
import { refusalsBy } from './group-standing.ts';
import type { PeerLink } from './peer-transport.ts';
import type { LogExtent, PeerStatus, ReplicaStatus } from './replica.ts';
import type { LogNeeds } from './snapshot/log-needs.ts';
import type { InstallStatus } from './snapshot/snapshot-status.ts';

export interface StatusSources {
  readonly core: CoreStatus;
  readonly log: Pick<CommitLog, 'identity' | 'base'>;
  readonly state: Pick<DerivedState, 'appliedIndex' | 'logStart'>;
  readonly install: InstallStatus | null;
  readonly linkOf: (peer: NodeId) => PeerLink;
  readonly isRemoved: boolean;
}

export function replicaStatus(sources: StatusSources): ReplicaStatus {
  const { core, log, state, install, linkOf, isRemoved } = sources;
  const { membership } = core;
  const { identity, base } = log;
  const peers = membership.membership.members.filter(({ nodeId }) => nodeId !== core.self);
  return {
    nodeId: identity.nodeId,
    clusterId: identity.clusterId,
    groupId: identity.groupId,
    storeUuid: identity.storeUuid,
    role: core.role,
    term: core.term,
    leader: core.leader,
    lastIndex: core.lastIndex,
    durableIndex: core.durableIndex,
    commitIndex: core.commitIndex,
    endOffset: core.endOffset,
    // The core counts as applied what a snapshot is to bring; nobody can see that yet.
    appliedIndex: LogIndex(Math.min(core.appliedIndex, state.appliedIndex)),
    firstIndex: LogIndex(core.baseIndex + 1),
    logStart: state.logStart,
    keptBytes: core.endOffset - (base.desc?.endOffset ?? 0),
    install,
    membership,
    isMembershipCommitted: membership.index <= core.commitIndex,
    transferTo: core.transferTo,
    isDiskStalled: core.isDiskStalled,
    refusedBy: refusalsBy(membership.membership, core.self, linkOf),
    isRemoved,
    peers: peers.map(({ nodeId }) => peerStatus(nodeId, core, linkOf(nodeId))),
  };
}

/** @param needs null: nothing may go */
export function logExtentOf(
  log: Pick<CommitLog, 'segmentStarts'>,
  endOffset: PhysicalOffset,
  needs: LogNeeds | null,
): LogExtent {
  const segments = log.segmentStarts().map(({ firstIndex, physicalOffset }) => ({
    firstIndex,
    physicalOffset: advance(physicalOffset, SEGMENT_HEADER_SIZE_BYTES),
  }));
  return { segments, endOffset, removableBefore: needs?.removableBefore ?? LogIndex(0) };
}

function peerStatus(nodeId: NodeId, core: CoreStatus, link: PeerLink): PeerStatus {
  const { connected, addresses } = link;
  const progress = core.peers.find((peer) => peer.nodeId === nodeId);
  return {
    nodeId,
    connected,
    addresses,
    matchIndex: progress?.matchIndex ?? null,
    lagBytes: progress?.lagBytes ?? null,
    isActive: progress?.isActive ?? null,
    isDiskStalled: progress?.isDiskStalled ?? false,
  };
}
