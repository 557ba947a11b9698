/** Composes what operators see of a replica from core, store and peers. */
import type { NodeId } from '../base/units.ts';
import type { CoreStatus } from '../raft/core-types.ts';
import type { StoreIdentity } from '../store/commit-log.ts';
import { refusalsBy } from './group-standing.ts';
import type { PeerLink } from './peer-transport.ts';
import type { PeerStatus, ReplicaStatus } from './replica.ts';

export function replicaStatus(
  core: CoreStatus,
  identity: StoreIdentity,
  linkOf: (peer: NodeId) => PeerLink,
): ReplicaStatus {
  const { membership } = core;
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
    appliedIndex: core.appliedIndex,
    endOffset: core.endOffset,
    membership,
    isMembershipCommitted: membership.index <= core.commitIndex,
    transferTo: core.transferTo,
    isDiskStalled: core.isDiskStalled,
    refusedBy: refusalsBy(membership.membership, core.self, linkOf),
    peers: peers.map(({ nodeId }) => peerStatus(nodeId, core, linkOf(nodeId))),
  };
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
