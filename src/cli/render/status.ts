/** The state of a cluster as text and as JSON. */
import type { ClusterStatus, GroupStatus, MemberStatus } from '../../client/cluster-status.ts';
import type { MembersReport } from '../../protocol/admin-report.ts';
import { UNDER_REPAIR } from '../../protocol/repair-codec.ts';
import type {
  CheckpointReport,
  LogReport,
  NodeReport,
  RoomReport,
  ScrubReport,
} from '../../protocol/verbs.ts';
import { jsonLine } from './json.ts';
import { labelled } from './log-words.ts';
import { configState, failuresSurvived, membersHeadline } from './members.ts';
import { type Cell, type Column, cell, durationText, fittingTable, type Paint } from './text.ts';

/** A sync that takes longer is no longer slow: the disk does not answer. */
const DISK_STALLED_MS = 1_000;

export type NodeState =
  | 'ready'
  | 'installing snapshot'
  | 'catching up'
  | 'no leader'
  | 'not serving yet'
  | 'disk stalled'
  | 'disk full'
  | 'diverged'
  | 'damaged'
  | 'under repair'
  | 'unreachable';

export function stateOf({ report, why }: MemberStatus, leader: NodeReport | null): NodeState {
  if (report === null) return why.includes(UNDER_REPAIR) ? 'under repair' : 'unreachable';
  if (report.checkpoints.divergence !== null) return 'diverged';
  if (report.disk.oldestPendingMs > DISK_STALLED_MS) return 'disk stalled';
  if ((report.log?.install ?? null) !== null) return 'installing snapshot';
  if (report.serving) return 'ready';
  if (report.role === 'leader') return 'not serving yet';
  if (report.leader === null) return 'no leader';
  if (leader !== null && report.appliedIndex < leader.commitIndex - CATCH_UP_ENTRIES) {
    return 'catching up';
  }
  return 'ready';
}

/** Replication is always a little behind; a report is also a little old. */
const CATCH_UP_ENTRIES = 100;

/** Entries that the leader has and this disk has not; null: unknown. */
export function lagOf(report: NodeReport | null, leader: NodeReport | null): number | null {
  if (report === null || leader === null) return null;
  return Math.max(0, leader.lastIndex - report.durableIndex);
}

export function isHealthy({ groups }: ClusterStatus): boolean {
  return groups.every(({ leader }) => leader !== null);
}

/** Nobody answered at all: that is not a bad state but an unknown one. */
export function isReachable({ groups }: ClusterStatus): boolean {
  return groups.some(({ nodes }) => nodes.some(({ report }) => report !== null));
}

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'role', align: 'left' },
  { title: 'term', align: 'right' },
  { title: 'last', align: 'right' },
  { title: 'durable', align: 'right' },
  { title: 'commit', align: 'right' },
  { title: 'applied', align: 'right' },
  { title: 'lag', align: 'right' },
  { title: 'fsync p99', align: 'right' },
  { title: 'state', align: 'left' },
];
const SCRUB_LABEL_AT = 9;
const DISPENSABLE = ['fsync p99'];

export function statusText(
  { groups, nameServers }: ClusterStatus,
  members: MembersReport | null,
  columns: number,
  paint: Paint,
): string {
  const lines = groups.flatMap((group) => [...groupLines(group, members, columns, paint), '']);
  if (nameServers.length > 0) {
    const seen = nameServers.map(
      ({ address, isReachable }) =>
        `${address} ${isReachable ? paint('ok', 'good') : paint('no answer', 'bad')}`,
    );
    lines.push(`name servers  ${seen.join(', ')}`);
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function groupLines(
  group: GroupStatus,
  members: MembersReport | null,
  columns: number,
  paint: Paint,
): readonly string[] {
  const leader = leaderOf(group);
  const rows = group.nodes.map((node) => rowOf(node, leader));
  const who =
    leader === null
      ? paint('no leader: nothing can be sent or received', 'bad')
      : `leader ${leader.nodeId} in term ${leader.term}`;
  const away = group.nodes
    .filter(({ report }) => report === null)
    .map(({ nodeId, why }) => `  ${nodeId}: ${why}`);
  const troubles = [...away, ...group.nodes.flatMap((node) => soundnessLines(node, paint))];
  const title = group.group === '' ? 'group unknown' : `group ${group.group} of ${group.cluster}`;
  const table = fittingTable(COLUMNS, rows, { dispensable: DISPENSABLE }, columns, paint);
  const hasMembers = leader !== null && members?.isFromLeader === true;
  const head = hasMembers ? membersHeadline(members, columns, paint) : [`${title}, ${who}`];
  return [
    ...head,
    '',
    ...table,
    ...scrubLines(group, columns),
    ...(troubles.length > 0 ? ['', ...troubles] : []),
  ];
}

/** How far each node is in reading its log again; nothing where that is switched off everywhere. */
function scrubLines({ nodes }: GroupStatus, columns: number): readonly string[] {
  const parts = nodes.flatMap(({ nodeId, report }) =>
    report?.scrub == null ? [] : [`${nodeId} ${scrubText(report.scrub)}`],
  );
  if (parts.length === 0) return [];
  return ['', ...labelled('  scrub', parts.join(', '), SCRUB_LABEL_AT, columns)];
}

function scrubText({ passCount, passDoneBytes, passTotalBytes }: ScrubReport): string {
  if (passDoneBytes >= passTotalBytes)
    return passCount === 0 ? 'nothing to read yet' : `pass ${passCount} done`;
  return `${Math.floor((100 * passDoneBytes) / passTotalBytes)} % of pass ${passCount + 1}`;
}

/** What a node has found out about itself, as long as it lasts. */
function soundnessLines({ nodeId, report }: MemberStatus, paint: Paint): readonly string[] {
  if (report === null) return [];
  const { scrub, checkpoints } = report;
  const found = [scrub?.damage ?? null, checkpoints.divergence];
  const late = 'reading the log again takes longer than the scrub period: raise scrub-rate-bytes';
  const lines = [...found, scrub?.isLate === true ? late : null];
  return lines.flatMap((line) => (line === null ? [] : [paint(`  ${nodeId}: ${line}`, 'bad')]));
}

/** What a follower says of itself, put right by what is known of the group. */
function shownState(node: MemberStatus, leader: NodeReport | null): NodeState {
  const state = stateOf(node, leader);
  // It may not have noticed yet that the leader it follows is gone.
  if (state === 'ready' && leader === null) return 'no leader';
  // It serves on, except for sends: worth a word, and no reason to wait for anything.
  if (state !== 'ready') return state;
  if (node.report?.disk.room?.level === 'full') return 'disk full';
  return node.report?.scrub?.damage == null ? state : 'damaged';
}

function rowOf(node: MemberStatus, leader: NodeReport | null): readonly Cell[] {
  const { report } = node;
  const state = shownState(node, leader);
  const stateCell = cell(stateText(state, report), state === 'ready' ? 'good' : 'bad');
  if (report === null) {
    return [cell(node.nodeId), ...Array.from({ length: 8 }, () => cell('-', 'dim')), stateCell];
  }
  const p99 = report.disk.syncMsP99;
  return [
    cell(node.nodeId),
    report.role === 'leader' ? cell('LEADER', 'bold') : cell(report.role),
    cell(report.term),
    cell(report.lastIndex),
    cell(report.durableIndex),
    cell(report.commitIndex),
    cell(report.appliedIndex),
    cell(lagOf(report, leader) ?? '-'),
    cell(p99 === null ? '-' : durationText(p99)),
    stateCell,
  ];
}

function stateText(state: NodeState, report: NodeReport | null): string {
  const install = report?.log?.install ?? null;
  if (state !== 'installing snapshot' || install === null) return state;
  if (install.phase === 'receiving') return `${state} ${install.percent} %`;
  return install.phase === 'missing' ? 'needs a snapshot' : `${state}, ${install.phase}`;
}

export function statusJson(
  { groups, nameServers }: ClusterStatus,
  members: MembersReport | null,
): string {
  return jsonLine({
    kind: 'status',
    groups: groups.map((group) => {
      const leader = leaderOf(group);
      return {
        cluster: group.cluster,
        group: group.group,
        leader: group.leader,
        term: leader === null ? null : String(leader.term),
        config: members === null ? null : configJson(members),
        nodes: group.nodes.map((node) => nodeJson(node, leader)),
      };
    }),
    nameServers: nameServers.map(({ address, isReachable }) => ({
      address,
      reachable: isReachable,
    })),
  });
}

function configJson(members: MembersReport): object {
  return {
    index: String(members.configIndex),
    state: configState(members),
    voters: members.voters,
    survives: failuresSurvived(members),
  };
}

function nodeJson(node: MemberStatus, leader: NodeReport | null): object {
  const { report, raft, grpc, http } = node;
  const base = { id: node.nodeId, state: shownState(node, leader), raft, grpc, http };
  if (report === null) return { ...base, why: node.why };
  const lag = lagOf(report, leader);
  return {
    ...base,
    role: report.role,
    serving: report.serving,
    storeUuid: report.storeUuid,
    term: String(report.term),
    lastIndex: String(report.lastIndex),
    durableIndex: String(report.durableIndex),
    commitIndex: String(report.commitIndex),
    appliedIndex: String(report.appliedIndex),
    lag: lag === null ? null : String(lag),
    fsyncP50Ms: report.disk.syncMsP50,
    fsyncP99Ms: report.disk.syncMsP99,
    disk: report.disk.room === null ? null : roomJson(report.disk.room),
    log: report.log && logJson(report.log),
    scrub: report.scrub,
    checkpoints: checkpointsJson(report.checkpoints),
  };
}

function checkpointsJson({ lastIndex, agreedIndex, divergence }: CheckpointReport): object {
  return {
    lastIndex: lastIndex === null ? null : String(lastIndex),
    agreedIndex: agreedIndex === null ? null : String(agreedIndex),
    divergence,
  };
}

function roomJson({ level, totalBytes, freeBytes, reserveBytes }: RoomReport): object {
  return {
    level,
    totalBytes: String(totalBytes),
    freeBytes: String(freeBytes),
    reserveBytes: String(reserveBytes),
  };
}

function logJson({ firstIndex, keptBytes, install }: LogReport): object {
  const index = install?.index ?? null;
  return {
    firstIndex: String(firstIndex),
    keptBytes: String(keptBytes),
    install: install && { ...install, index: index === null ? null : String(index) },
  };
}

function leaderOf({ leader, nodes }: GroupStatus): NodeReport | null {
  if (leader === null) return null;
  return nodes.find(({ nodeId }) => nodeId === leader)?.report ?? null;
}
