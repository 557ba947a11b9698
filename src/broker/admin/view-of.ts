/** Takes the view of the group from the leader's replica and the answers of the members. */
import { LogIndex, type NodeId } from '../../base/units.ts';
import type { Member } from '../../raft/membership.ts';
import type { Replica, ReplicaStatus } from '../../replica/replica.ts';
import type { GroupView, MemberView } from './group-view.ts';
import { logSizeBytesOf } from './local-health.ts';
import type { Answers } from './survey.ts';

/** What nodes have told of their zones, so that those of silent ones are known as well. */
export type Zones = ReadonlyMap<NodeId, string>;

export function viewOf(replica: Replica, answers: Answers, zones: Zones): GroupView {
  const status = replica.status();
  const { admin } = replica.state;
  const { index: configIndex, membership } = status.membership;
  return {
    self: status.nodeId,
    term: status.term,
    membership,
    configIndex,
    isCommitted: status.isMembershipCommitted,
    commitIndex: status.commitIndex,
    isOwnTermCommitted: replica.leadership() !== null,
    transferTo: status.transferTo,
    members: membership.members.map((member) => memberViewOf(member, status, answers, zones)),
    lock: admin.lock,
    drained: admin.drained,
    retired: admin.retired,
    featureLevel: admin.featureLevel,
    logSizeBytes: logSizeBytesOf(replica, status),
  };
}

function memberViewOf(
  member: Member,
  status: ReplicaStatus,
  answers: Answers,
  zones: Zones,
): MemberView {
  const { nodeId, storeUuid, raftAddress } = member;
  const answer = answers.get(nodeId);
  const said = {
    ...{ health: answer?.health ?? null, silence: answer?.silence ?? '' },
    zone: zones.get(nodeId) ?? null,
  };
  if (nodeId === status.nodeId) {
    const { isDiskStalled, durableIndex } = status;
    const own = { isSelf: true, isActive: true, isMet: true, lagBytes: 0 };
    const disk = { isDiskStalled, durableIndex };
    return { nodeId, storeUuid, raftAddress, ...own, ...disk, ...said };
  }
  const peer = status.peers.find((one) => one.nodeId === nodeId);
  return {
    ...{ nodeId, storeUuid, raftAddress },
    isSelf: false,
    isActive: peer?.isActive === true && peer.connected,
    isMet: peer?.addresses != null,
    // Of a stranger to the leader nothing is known to be there.
    lagBytes: peer?.lagBytes ?? status.endOffset,
    durableIndex: peer?.matchIndex ?? LogIndex(0),
    isDiskStalled: peer?.isDiskStalled === true || said.health?.isDiskStalled === true,
    ...said,
  };
}
