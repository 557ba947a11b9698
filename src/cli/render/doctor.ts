/** What the doctor found, and what a node says of its health. */
import type {
  CheckReport,
  Departure,
  MemberHealth,
  NodeHealth,
} from '../../protocol/admin-report.ts';
import { jsonLine } from './json.ts';
import { sizeText } from './log-words.ts';
import { zoneText } from './members.ts';
import { checkJson, checksText } from './plan.ts';
import { type Cell, type Column, cell, durationText, fittingTable, type Paint } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'zone', align: 'left' },
  { title: 'state', align: 'left' },
  { title: 'applied', align: 'right' },
  { title: 'log', align: 'right' },
  { title: 'disk free', align: 'right' },
  { title: 'fsync p99', align: 'right' },
  { title: 'loop p99', align: 'right' },
  { title: 'clock', align: 'right' },
  { title: 'version', align: 'left' },
];

export function checkReportText(report: CheckReport, columns: number, paint: Paint): string {
  const { checks, members } = report;
  return `${healthLines(members, columns, paint).join('\n')}\n\n${checksText(checks, columns, paint)}`;
}

export function healthLines(
  members: readonly MemberHealth[],
  columns: number,
  paint: Paint,
): readonly string[] {
  const rows = members.map(rowOf);
  const remarks = members.flatMap(({ nodeId, health, silence }) => {
    if (health === null) return [`  ${nodeId}: ${silence}`];
    const { repair, refused } = health;
    return [
      ...departureRemarks(nodeId, health.departure),
      ...(repair === '' ? [] : [`  ${nodeId}: ${repair}`]),
      ...(refused === '' ? [] : [`  ${nodeId}: ${refused}`]),
    ];
  });
  const hasZones = members.some(({ health }) => health !== null && health.zone !== '');
  // Nodes that are asked one by one are compared with nobody.
  const hasClocks = members.some(({ clockSkewMs }) => clockSkewMs !== null);
  const useless = [...(hasZones ? [] : ['zone']), ...(hasClocks ? [] : ['clock'])];
  const omissions = { useless, dispensable: DISPENSABLE };
  const table = fittingTable(COLUMNS, rows, omissions, columns, paint);
  return remarks.length === 0 ? table : [...table, '', ...remarks];
}

function departureRemarks(nodeId: string, departure: Departure | null): readonly string[] {
  if (departure === null || departure.state === 'serving') return [];
  const { state, userCount } = departure;
  const nobody = state === 'left' ? 'no client needs it' : 'no client uses it at the moment';
  const users = `used by ${userCount} client${userCount === 1 ? '' : 's'}`;
  const clients = userCount === 0 ? nobody : users;
  return [`  ${nodeId}: drained or about to stop, ${clients}`];
}

const DISPENSABLE = ['version', 'loop p99', 'log'];

function rowOf({ nodeId, health, clockSkewMs }: MemberHealth): readonly Cell[] {
  if (health === null) {
    const unknown = Array.from({ length: 7 }, () => cell('-'));
    return [cell(nodeId), cell(zoneText(null)), cell('no answer', 'bad'), ...unknown];
  }
  const { state, isDiskStalled, diskFreeBytes, diskTotalBytes } = health;
  const isWell = (state === 'leading' || state === 'following') && !isDiskStalled;
  const free = diskFreeBytes === null ? '-' : sizeText(diskFreeBytes);
  const share =
    diskFreeBytes === null || diskTotalBytes === null || diskTotalBytes === 0
      ? ''
      : ` (${Math.floor((100 * diskFreeBytes) / diskTotalBytes)} %)`;
  return [
    cell(nodeId),
    cell(zoneText(health.zone)),
    cell(isDiskStalled ? 'disk stalled' : state, isWell ? 'good' : 'bad'),
    cell(health.appliedIndex),
    cell(sizeText(health.logSizeBytes)),
    cell(free + share),
    cell(msText(health.syncMsP99)),
    cell(msText(health.loopDelayMsP99)),
    cell(clockSkewMs === null ? '-' : `${clockSkewMs >= 0 ? '+' : ''}${clockSkewMs.toFixed(0)} ms`),
    cell(health.version),
  ];
}

function msText(ms: number | null): string {
  return ms === null ? '-' : durationText(ms);
}

export function checkReportJson({ checks, members }: CheckReport): string {
  const isHealthy = checks.every(({ verdict }) => verdict !== 'failed');
  return jsonLine({
    kind: 'check',
    healthy: isHealthy,
    checks: checks.map(checkJson),
    nodes: members.map(memberHealthJson),
  });
}

export function memberHealthJson(member: MemberHealth): object {
  const { nodeId, health, silence, clockSkewMs, roundTripMs } = member;
  return {
    nodeId,
    health: health === null ? null : healthJson(health),
    silence,
    clockSkewMs,
    roundTripMs,
  };
}

function healthJson(health: NodeHealth): object {
  const text = (value: number | null): string | null => (value === null ? null : String(value));
  const { scrubFinishedAtMs, wallMs, ...rest } = health;
  return {
    ...rest,
    wallTime: new Date(wallMs).toISOString(),
    bootCount: text(health.bootCount),
    term: text(health.term),
    lastIndex: text(health.lastIndex),
    durableIndex: text(health.durableIndex),
    commitIndex: text(health.commitIndex),
    appliedIndex: text(health.appliedIndex),
    logSizeBytes: text(health.logSizeBytes),
    diskFreeBytes: text(health.diskFreeBytes),
    diskTotalBytes: text(health.diskTotalBytes),
    swapUsedBytes: text(health.swapUsedBytes),
    scrubFinishedAt: scrubFinishedAtMs === null ? null : new Date(scrubFinishedAtMs).toISOString(),
  };
}
