/** Answers to questions, made from what one node knows. */
import type {
  EventsReport,
  FeaturesReport,
  MemberReport,
  MembersReport,
} from '../../protocol/admin-report.ts';
import type { Member, Membership } from '../../raft/membership.ts';
import type { Replica, ReplicaStatus } from '../../replica/replica.ts';
import { EVENTS_PER_ANSWER_MAX, FEATURE_LEVEL_MAX } from './limits.ts';
import type { Answers } from './survey.ts';
import type { Zones } from './view-of.ts';

export function membersReport(replica: Replica, zones: Zones): MembersReport {
  const status = replica.status();
  const { index: configIndex, membership } = status.membership;
  const { voters, outgoing, learners, removed, members } = membership;
  const { lock, featureLevel, drained } = replica.state.admin;
  return {
    clusterId: status.clusterId,
    groupId: status.groupId,
    answeredBy: status.nodeId,
    isFromLeader: replica.leadership() !== null,
    term: status.term,
    leader: status.leader,
    configIndex,
    isCommitted: status.isMembershipCommitted,
    ...{ voters, outgoing, learners, removed, lock, featureLevel },
    members: members.map((member) => ({
      ...memberReport(member, status, membership),
      isDrained: drained.includes(member.nodeId),
      zone: zones.get(member.nodeId) ?? null,
    })),
  };
}

function memberReport(
  member: Member,
  status: ReplicaStatus,
  membership: Membership,
): Omit<MemberReport, 'isDrained' | 'zone'> {
  const { nodeId, storeUuid, raftAddress, priority } = member;
  const isSelf = nodeId === status.nodeId;
  const peer = status.peers.find((one) => one.nodeId === nodeId);
  const role = roleOf(member, membership);
  const isLeading = status.role === 'leader';
  return {
    ...{ nodeId, storeUuid, raftAddress, priority, role },
    isJoining: role === 'learner' && storeUuid === null && peer?.addresses == null && !isSelf,
    isConnected: isSelf || peer?.connected === true,
    isLive: isSelf ? true : (peer?.isActive ?? null),
    matchIndex: isSelf && isLeading ? status.durableIndex : (peer?.matchIndex ?? null),
    lagBytes: isSelf && isLeading ? 0 : (peer?.lagBytes ?? null),
  };
}

function roleOf(
  { nodeId }: Member,
  { voters, outgoing, learners }: Membership,
): MemberReport['role'] {
  if (learners.includes(nodeId)) return 'learner';
  if (outgoing.length === 0) return 'voter';
  if (!voters.includes(nodeId)) return 'outgoing';
  return outgoing.includes(nodeId) ? 'voter' : 'incoming';
}

export function eventsReport(
  replica: Replica,
  afterSequence: number,
  countMax: number,
): EventsReport {
  const { admin } = replica.state;
  const count = Math.min(countMax, EVENTS_PER_ANSWER_MAX);
  return { events: admin.eventsAfter(afterSequence, count), lastSequence: admin.lastSequence };
}

export function featuresReport(replica: Replica, answers: Answers): FeaturesReport {
  const { members } = replica.status().membership.membership;
  const nodes = members.map(({ nodeId }) => {
    const health = answers.get(nodeId)?.health ?? null;
    return { nodeId, levelMax: health?.featureLevelMax ?? null, version: health?.version ?? '' };
  });
  const known = nodes.flatMap(({ levelMax }) => (levelMax === null ? [] : [levelMax]));
  const { featureLevel: level } = replica.state.admin;
  return { level, levelMax: Math.min(FEATURE_LEVEL_MAX, ...known), nodes };
}
