/** Who belongs to the group, as a table and as JSON. */
import type { MemberReport, MembersReport } from '../../protocol/admin-report.ts';
import { jsonLine } from './json.ts';
import { sizeText } from './log-words.ts';
import { type Cell, type Column, cell, type Paint, plural, tableLines, wrap } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'role', align: 'left' },
  { title: 'raft address', align: 'left' },
  { title: 'store', align: 'left' },
  { title: 'match', align: 'right' },
  { title: 'lag', align: 'right' },
  { title: 'state', align: 'left' },
];
/** Enough of a UUID to tell two apart. */
const STORE_CHARACTERS = 8;

export function membersText(report: MembersReport, columns: number, paint: Paint): string {
  const rows = report.members.map((member) => rowOf(member, report));
  const lines = [...headline(report, columns, paint), '', ...tableLines(COLUMNS, rows, paint)];
  const { removed, lock } = report;
  if (removed.length > 0) lines.push('', `removed for ever: ${removed.join(', ')}`);
  if (lock !== null) {
    const { action, owner, takenAtMs } = lock;
    const since = new Date(takenAtMs).toISOString();
    lines.push('', paint(`under way: ${action}, by ${owner}, since ${since}`, 'accent'));
    lines.push(`  the same command goes on with it; \`mq-raft unlock\` gives it up`);
  }
  return `${lines.join('\n')}\n`;
}

/** `group broker-a of prod, config #118 (stable), leader n1 in term 42, quorum 2 of 3, ...`. */
function headline(report: MembersReport, columns: number, paint: Paint): readonly string[] {
  const { groupId, clusterId, term, leader, isFromLeader, answeredBy } = report;
  const facts = [
    `group ${groupId} of ${clusterId}`,
    `config ${configText(report)}`,
    leader === null ? 'no leader' : `leader ${leader} in term ${term}`,
    quorumText(report),
    ...(isFromLeader ? [] : [`as ${answeredBy} knows it`]),
  ];
  const style = leader === null ? 'bad' : 'bold';
  return wrap(facts.join(', '), columns).map((line) => paint(line, style));
}

export function configText({ configIndex, outgoing, isCommitted }: MembersReport): string {
  const state = outgoing.length > 0 ? 'joint' : isCommitted ? 'stable' : 'not committed';
  return `#${configIndex} (${state})`;
}

/** Majorities of the sets that decide now. */
export function quorumText({ voters, outgoing, members }: MembersReport): string {
  const majority = (count: number): number => Math.floor(count / 2) + 1;
  const sets = [voters, ...(outgoing.length > 0 ? [outgoing] : [])];
  const quorums = sets.map(({ length }) => `${majority(length)} of ${length}`).join(' AND ');
  if (members.some(({ isLive }) => isLive === null)) return `quorum ${quorums}`;
  const isLive = (id: string): boolean =>
    members.some((member) => member.nodeId === id && member.isLive === true);
  const margins = sets.map((set) => set.filter(isLive).length - majority(set.length));
  const tolerates = Math.min(...margins);
  const survives = tolerates < 0 ? 'no quorum' : `survives ${plural(tolerates, 'failure')}`;
  return `quorum ${quorums}, ${survives}`;
}

function rowOf(member: MemberReport, { leader }: MembersReport): readonly Cell[] {
  const { nodeId, role, raftAddress, storeUuid, matchIndex, lagBytes } = member;
  const isLeader = nodeId === leader;
  const state = memberState(member, isLeader);
  return [
    cell(nodeId),
    isLeader ? cell('LEADER', 'bold') : cell(role),
    cell(raftAddress),
    storeUuid === null ? cell('-', 'dim') : cell(storeUuid.slice(0, STORE_CHARACTERS)),
    cell(matchIndex ?? '-'),
    lagBytes === null ? cell('-') : cell(lagBytes === 0 ? 0 : sizeText(lagBytes)),
    cell(state, state === 'ok' || state === 'drained' ? 'good' : 'bad'),
  ];
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
