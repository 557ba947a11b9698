/** Readers of the parts of admin messages; the messages themselves are in admin-codec.ts. */
import type { ChangedResponse, ChangeOptions, JoinGrant, JoinTicket } from './admin.ts';
import { CHANGE_STATES } from './admin.ts';
import {
  ALLOWANCES,
  CHECK_IDS,
  CHECK_VERDICTS,
  type Check,
  type Plan,
  type PlanStep,
  type QuorumArithmetic,
  STEP_KINDS,
  STEP_STATUSES,
} from './admin-plan.ts';
import {
  type AdminEvent,
  CATCHUP_STATES,
  type CatchupReport,
  type CheckReport,
  DEPARTURE_STATES,
  type Departure,
  type EventsReport,
  type FeaturesReport,
  type LockReport,
  MEMBER_ROLES,
  type MemberHealth,
  type MemberReport,
  type MembersReport,
  NODE_STATES,
  type NodeHealth,
} from './admin-report.ts';
import {
  count,
  decimal,
  flag,
  integer,
  listOf,
  logIndex,
  nodeId,
  optional,
  record,
  term,
  text,
  word,
} from './wire-reader.ts';

export const changeOptions = record<ChangeOptions>({
  actor: text,
  dryRun: flag,
  ifConfig: optional(logIndex),
  ifPlan: optional(text),
  steal: flag,
  allow: listOf(word(ALLOWANCES)),
});

const quorum = record<QuorumArithmetic>({
  voters: listOf(nodeId),
  live: listOf(nodeId),
  needed: count,
  tolerates: integer,
});

const step = record<PlanStep>({
  kind: word(STEP_KINDS),
  sentence: text,
  status: word(STEP_STATUSES),
  quorums: listOf(quorum),
  bytes: optional(count),
});

const plan = record<Plan>({
  hash: text,
  configIndex: logIndex,
  action: text,
  steps: listOf(step),
});

const check = record<Check>({
  id: word(CHECK_IDS),
  verdict: word(CHECK_VERDICTS),
  subject: optional(nodeId),
  observed: text,
  limit: text,
  remedy: text,
});

export const planned = record<{ plan: Plan; checks: readonly Check[] }>({
  plan,
  checks: listOf(check),
});

export const catchup = record<CatchupReport>({
  nodeId,
  state: word(CATCHUP_STATES),
  lagBytes: count,
  logBytes: count,
  bytesPerSecond: optional(decimal),
  remainingMs: optional(count),
});

const ticket = record<JoinTicket>({
  clusterId: text,
  groupId: text,
  nodeId,
  raftAddress: text,
  joinAddresses: listOf(text),
  token: text,
  expiresAtMs: count,
});

export const changed = record<Omit<ChangedResponse, 'kind'>>({
  state: word(CHANGE_STATES),
  sentence: text,
  phase: text,
  configIndex: logIndex,
  plan,
  checks: listOf(check),
  progress: optional(catchup),
  ticket: optional(ticket),
});

export const grant = record<JoinGrant>({
  clusterId: text,
  groupId: text,
  segmentSizeBytes: count,
  founders: listOf(record<JoinGrant['founders'][number]>({ nodeId, raftAddress: text })),
  configIndex: logIndex,
  logSizeBytes: count,
});

const lock = record<LockReport>({
  operationId: text,
  owner: text,
  action: text,
  takenAtMs: count,
});

const member = record<MemberReport>({
  nodeId,
  role: word(MEMBER_ROLES),
  storeUuid: optional(text),
  raftAddress: text,
  priority: integer,
  isDrained: flag,
  isJoining: flag,
  isConnected: flag,
  isLive: optional(flag),
  matchIndex: optional(logIndex),
  lagBytes: optional(count),
  zone: optional(text),
});

export const members = record<MembersReport>({
  clusterId: text,
  groupId: text,
  answeredBy: nodeId,
  isFromLeader: flag,
  term,
  leader: optional(nodeId),
  configIndex: logIndex,
  isCommitted: flag,
  voters: listOf(nodeId),
  outgoing: listOf(nodeId),
  learners: listOf(nodeId),
  removed: listOf(nodeId),
  members: listOf(member),
  lock: optional(lock),
  featureLevel: count,
});

const departure = record<Departure>({
  state: word(DEPARTURE_STATES),
  userCount: count,
});

export const health = record<NodeHealth>({
  nodeId,
  storeUuid: text,
  version: text,
  zone: text,
  featureLevelMax: count,
  state: word(NODE_STATES),
  uptimeMs: count,
  wallMs: count,
  term,
  lastIndex: logIndex,
  durableIndex: logIndex,
  commitIndex: logIndex,
  appliedIndex: logIndex,
  logSizeBytes: count,
  diskFreeBytes: optional(count),
  diskTotalBytes: optional(count),
  syncMsP50: optional(decimal),
  syncMsP99: optional(decimal),
  isDiskStalled: flag,
  loopDelayMsP99: optional(decimal),
  swapUsedBytes: optional(count),
  repair: text,
  scrubFinishedAtMs: optional(count),
  refused: text,
  bootCount: count,
  departure: optional(departure),
});

export const checkReport = record<CheckReport>({
  checks: listOf(check),
  members: listOf(
    record<MemberHealth>({
      nodeId,
      health: optional(health),
      silence: text,
      clockSkewMs: optional(decimal),
      roundTripMs: optional(decimal),
    }),
  ),
});

const event = record<AdminEvent>({
  sequence: count,
  logIndex,
  atMs: count,
  actor: text,
  action: text,
  phase: text,
  planHash: text,
  configIndex: logIndex,
  details: text,
});

export const events = record<EventsReport>({ events: listOf(event), lastSequence: count });

export const features = record<FeaturesReport>({
  level: count,
  levelMax: count,
  nodes: listOf(
    record<FeaturesReport['nodes'][number]>({
      nodeId,
      levelMax: optional(count),
      version: text,
    }),
  ),
});
