/** Composes what operators see of a replica from core, store and peers. */
import type { NodeId } from '../base/units.ts';
import type { CoreStatus } from '../raft/core-types.ts';
import type { StoreIdentity } from '../store/commit-log.ts';
import type { PeerLink } from './peer-transport.ts';
import type { PeerStatus, ReplicaStatus } from './replica.ts';

export interface PeersView {
  readonly peers: readonly NodeId[];
  linkOf(peer: NodeId): PeerLink;
}

export function replicaStatus(
  core: CoreStatus,
  identity: StoreIdentity,
  view: PeersView,
): ReplicaStatus {
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
    peers: view.peers.map((nodeId) => peerStatus(nodeId, core, view)),
  };
}

function peerStatus(nodeId: NodeId, core: CoreStatus, view: PeersView): PeerStatus {
  const { connected, addresses } = view.linkOf(nodeId);
  const progress = core.peers.find((peer) => peer.nodeId === nodeId);
  return {
    nodeId,
    connected,
    addresses,
    matchIndex: progress?.matchIndex ?? null,
    lagBytes: progress?.lagBytes ?? null,
  };
}
