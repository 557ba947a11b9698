/**
 * Who may offer and ask (H21 to H23). Whoever gives us a snapshot to install must be the very process that
 * passed the handshake of the peer protocol: same store, same start. Whoever only reads what the group has
 * committed may also be a member under repair, which has met nobody yet.
 */
import type { NodeId } from '../../base/units.ts';
import type { SnapshotCaller } from '../../protocol/snapshot-codec.ts';
import type { CommitLog } from '../../store/commit-log.ts';
import type { PeerLink } from '../peer-transport.ts';

export type CallingLog = Pick<CommitLog, 'identity' | 'recovered'>;

/** We, on our way to a node. */
export function callerOf({ identity, recovered }: CallingLog, toNodeId: NodeId): SnapshotCaller {
  const { clusterId, groupId, nodeId, storeUuid, segmentSizeBytes } = identity;
  const bootId = recovered.bootIds[0] ?? '';
  return { clusterId, groupId, nodeId, storeUuid, bootId, segmentSizeBytes, toNodeId };
}

/** @returns the problem in words */
export function readerProblem(
  caller: SnapshotCaller,
  { identity }: Pick<CallingLog, 'identity'>,
): string | null {
  const { clusterId, groupId, nodeId, segmentSizeBytes } = identity;
  if (caller.clusterId !== clusterId || caller.groupId !== groupId) {
    return `This node is of ${clusterId}/${groupId}, not of ${caller.clusterId}/${caller.groupId}`;
  }
  if (caller.segmentSizeBytes !== segmentSizeBytes) {
    return `This node has segments of ${segmentSizeBytes} bytes, not of ${caller.segmentSizeBytes}`;
  }
  if (caller.nodeId === nodeId) return `This node is ${nodeId} itself`;
  return caller.toNodeId === nodeId ? null : `This node is ${nodeId}, not ${caller.toNodeId}`;
}

/** @returns the problem in words */
export function offererProblem(
  caller: SnapshotCaller,
  log: Pick<CommitLog, 'identity' | 'peers'>,
  linkOf: (peer: NodeId) => PeerLink,
): string | null {
  const problem = readerProblem(caller, log);
  if (problem !== null) return problem;
  const nodeId = caller.nodeId as NodeId; // as it says; nothing is believed that is not known of it
  const { connected, storeUuid } = linkOf(nodeId);
  if (!connected || storeUuid !== caller.storeUuid) {
    return `${nodeId} with store ${caller.storeUuid} has not passed the handshake here`;
  }
  const known = log.peers.get(nodeId);
  // A leader that our membership does not name yet is not remembered.
  if (known === undefined || known.storeUuid !== caller.storeUuid) return null;
  return known.bootId === caller.bootId
    ? null
    : `${nodeId} was started again since: ${caller.bootId} is not the start that is here`;
}
