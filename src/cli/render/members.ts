/** Who belongs to the group, as a table and as JSON. */
import type { MemberReport, MembersReport } from '../../protocol/admin-report.ts';
import { jsonLine } from './json.ts';
import { sizeText } from './log-words.ts';
import {
  type Cell,
  type Column,
  cell,
  fittingTable,
  type Paint,
  plural,
  timeText,
  wrap,
} from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'role', align: 'left' },
  { title: 'zone', align: 'left' },
  { title: 'raft address', align: 'left' },
  { title: 'store', align: 'left' },
  { title: 'match', align: 'right' },
  { title: 'lag', align: 'right' },
  { title: 'state', align: 'left' },
];
const DISPENSABLE = ['store', 'match'];
/** Enough of a UUID to tell two apart. */
const STORE_CHARACTERS = 8;

export function membersText(report: MembersReport, columns: number, paint: Paint): string {
  const rows = report.members.map((member) => rowOf(member, report));
  const hasZones = report.members.some(({ zone }) => zone !== null && zone !== '');
  const omissions = { useless: hasZones ? [] : ['zone'], dispensable: DISPENSABLE };
  const lines = [
    ...membersHeadline(report, columns, paint),
    '',
    ...fittingTable(COLUMNS, rows, omissions, columns, paint),
  ];
  const { removed, lock } = report;
  if (removed.length > 0) {
    lines.push('', ...wrap(`removed for ever: ${removed.join(', ')}`, columns));
  }
  if (lock !== null) {
    const { action, owner, takenAtMs } = lock;
    const since = timeText(takenAtMs);
    const underWay = wrap(`under way: ${action}, by ${owner}, since ${since}`, columns);
    lines.push('', ...underWay.map((line) => paint(line, 'accent')));
    lines.push(`  the same command goes on with it; \`mq-raft unlock\` gives it up`);
  }
  return `${lines.join('\n')}\n`;
}

/** `group broker-a of prod, config #118 (stable), leader n1 in term 42, quorum 2 of 3, ...`. */
export function membersHeadline(
  report: MembersReport,
  columns: number,
  paint: Paint,
): readonly string[] {
  const { groupId, clusterId, term, leader, isFromLeader, answeredBy } = report;
  const facts = [
    `group ${groupId} of ${clusterId}`,
    `config ${configText(report)}`,
    leader === null ? 'no leader' : `leader ${leader} in term ${term}`,
    quorumText(report),
    ...(isFromLeader ? [] : [`as ${answeredBy} knows it`]),
  ];
  const style = leader === null ? 'bad' : 'bold';
  return wrappedFacts(facts, columns).map((line) => paint(line, style));
}

/** A line never ends within a fact, unless it alone is too long. */
function wrappedFacts(facts: readonly string[], columns: number): readonly string[] {
  const lines: string[] = [];
  for (const [i, fact] of facts.entries()) {
    const text = i < facts.length - 1 ? `${fact},` : fact;
    const longer = `${lines.at(-1) ?? ''} ${text}`;
    if (lines.length > 0 && longer.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(text);
  }
  return lines.flatMap((line) => wrap(line, columns));
}

export function configText(report: MembersReport): string {
  return `#${report.configIndex} (${configState(report)})`;
}

export function configState({ outgoing, isCommitted }: MembersReport): string {
  return outgoing.length > 0 ? 'joint' : isCommitted ? 'stable' : 'not committed';
}

/** Majorities of the sets that decide now. */
export function quorumText(report: MembersReport): string {
  const quorums = decidingSets(report).map(({ length }) => `${majority(length)} of ${length}`);
  const tolerates = failuresSurvived(report);
  if (tolerates === null) return `quorum ${quorums.join(' AND ')}`;
  const survives = tolerates < 0 ? 'no quorum' : `survives ${plural(tolerates, 'failure')}`;
  return `quorum ${quorums.join(' AND ')}, ${survives}`;
}

/** Of the weakest set that decides; below 0: it cannot. null: who answered does not know who is live. */
export function failuresSurvived(report: MembersReport): number | null {
  const { members } = report;
  if (members.some(({ isLive }) => isLive === null)) return null;
  const isLive = (id: string): boolean =>
    members.some((member) => member.nodeId === id && member.isLive === true);
  const margins = decidingSets(report).map(
    (set) => set.filter(isLive).length - majority(set.length),
  );
  return Math.min(...margins);
}

function decidingSets({ voters, outgoing }: MembersReport): readonly (readonly string[])[] {
  return [voters, ...(outgoing.length > 0 ? [outgoing] : [])];
}

function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

function rowOf(member: MemberReport, { leader }: MembersReport): readonly Cell[] {
  const { nodeId, role, raftAddress, storeUuid, matchIndex, lagBytes } = member;
  const isLeader = nodeId === leader;
  const state = memberState(member, isLeader);
  return [
    cell(nodeId),
    isLeader ? cell('LEADER', 'bold') : cell(role),
    cell(zoneText(member.zone)),
    cell(raftAddress),
    storeUuid === null ? cell('-', 'dim') : cell(storeUuid.slice(0, STORE_CHARACTERS)),
    cell(matchIndex ?? '-'),
    lagBytes === null ? cell('-') : cell(lagBytes === 0 ? 0 : sizeText(lagBytes)),
    cell(state, state === 'ok' || state === 'drained' ? 'good' : 'bad'),
  ];
}

/** Shown where any is set. */
export function zoneText(zone: string | null): string {
  return zone === null ? '?' : zone === '' ? '-' : zone;
}

/** The leader is what it is; of the others, the first thing that is amiss. */
function memberState(member: MemberReport, isLeader: boolean): string {
  if (member.isJoining) return 'joining';
  if (!isLeader && member.isLive === false) return member.isConnected ? 'silent' : 'away';
  if (!isLeader && member.isLive === null && !member.isConnected) return 'not connected';
  return member.isDrained ? 'drained' : 'ok';
}

export function membersJson(report: MembersReport): string {
  const { lock, members } = report;
  return jsonLine({
    kind: 'members',
    ...report,
    term: String(report.term),
    configIndex: String(report.configIndex),
    members: members.map((member) => ({
      ...member,
      matchIndex: textOrNull(member.matchIndex),
      lagBytes: textOrNull(member.lagBytes),
    })),
    lock:
      lock === null
        ? null
        : {
            operationId: lock.operationId,
            owner: lock.owner,
            action: lock.action,
            takenAt: new Date(lock.takenAtMs).toISOString(),
          },
  });
}

function textOrNull(value: number | null): string | null {
  return value === null ? null : String(value);
}
