/**
 * A plan and what speaks against it. Each step says who decides while it runs and how many failures are
 * survived meanwhile, for that is what an operator has to weigh.
 */
import type { ChangedResponse, JoinTicket } from '../../protocol/admin.ts';
import type { Check, Plan, PlanStep, QuorumArithmetic } from '../../protocol/admin-plan.ts';
import { catchupJson, remainingText } from './catchup.ts';
import { jsonLine } from './json.ts';
import { labelled, sizeText } from './log-words.ts';
import {
  type Cell,
  type Column,
  cell,
  type Paint,
  printable,
  type Style,
  tableLines,
  widthOf,
  wrap,
} from './text.ts';

const STEP_COLUMNS: readonly Column[] = [
  { title: '', align: 'right' },
  { title: 'step', align: 'left' },
  { title: 'who decides', align: 'left' },
  { title: 'live', align: 'left' },
  { title: 'survives', align: 'left' },
];
const DETAILS_AT = 6;
const LABEL_AT = 13;

export function planText(plan: Plan, columns: number, paint: Paint): string {
  const { hash, action, configIndex, steps } = plan;
  const title = `${paint(`PLAN ${hash}`, 'bold')}  ${printable(action)}  (valid for config #${configIndex})`;
  const deciding = steps.flatMap((step, i) => (isDeciding(step) ? [stepCells(step, i + 1)] : []));
  const isTable = deciding.length > 0 && widthOf(STEP_COLUMNS, deciding) <= columns;
  const body = isTable
    ? wideSteps(steps, deciding, columns, paint)
    : steps.flatMap((step, i) => narrowStep(step, i + 1, columns, paint));
  return `${[title, ...body].join('\n')}\n`;
}

/** Else it is a sentence only, and need not fit into a column. */
function isDeciding({ quorums }: PlanStep): boolean {
  return quorums.length > 0;
}

function wideSteps(
  steps: readonly PlanStep[],
  deciding: readonly (readonly Cell[])[],
  columns: number,
  paint: Paint,
): readonly string[] {
  const [titles = '', ...rows] = tableLines(STEP_COLUMNS, deciding, paint);
  const numberWidth = Math.max(...deciding.map(([number]) => number?.text.length ?? 0));
  const body = steps.flatMap((step, i) => {
    if (isDeciding(step)) return [rows.shift() ?? ''];
    const label = `  ${String(i + 1).padStart(numberWidth)}  `;
    return labelled(label, stepSentence(step), label.length, columns);
  });
  return [titles, ...body];
}

const MARKS = { done: 'done', now: 'now', later: '' } as const;

function stepCells(step: PlanStep, number: number): readonly Cell[] {
  const { quorums } = step;
  const survives = toleranceOf(quorums);
  return [
    cell(number, step.status === 'done' ? 'dim' : 'plain'),
    cell(stepSentence(step), step.status === 'done' ? 'dim' : 'plain'),
    cell(quorums.map(decidersText).join(' AND ')),
    cell(quorums.map(liveText).join(', ')),
    survives === null ? cell('') : cell(failuresText(survives), toleranceStyle(survives)),
  ];
}

function stepSentence({ sentence, status, bytes }: PlanStep): string {
  const size = bytes === null ? '' : `, ${sizeText(bytes)}`;
  const mark = MARKS[status] === '' ? '' : ` [${MARKS[status]}]`;
  return `${printable(sentence)}${size}${mark}`;
}

/** Where the table is too wide: the step, and below it who decides. */
function narrowStep(step: PlanStep, number: number, columns: number, paint: Paint): string[] {
  const label = `  ${String(number).padStart(2)} `;
  const lines = [...labelled(label, stepSentence(step), DETAILS_AT, columns)];
  const survives = toleranceOf(step.quorums);
  if (survives === null) return lines;
  const deciders = step.quorums.map((each) => `${decidersText(each)}, live ${liveText(each)}`);
  const details = `${deciders.join(' AND ')}; ${failuresText(survives)}`;
  const style = toleranceStyle(survives);
  return [
    ...lines,
    ...labelled('', details, DETAILS_AT, columns).map((line) => paint(line, style)),
  ];
}

function decidersText({ needed, voters }: QuorumArithmetic): string {
  return `${needed} of {${voters.join(',')}}`;
}

function liveText({ live, voters }: QuorumArithmetic): string {
  return `${live.length}/${voters.length}`;
}

/** The weakest set counts: each must have its majority. */
function toleranceOf(quorums: readonly QuorumArithmetic[]): number | null {
  return quorums.length === 0 ? null : Math.min(...quorums.map(({ tolerates }) => tolerates));
}

function failuresText(tolerates: number): string {
  if (tolerates < 0) return 'CANNOT DECIDE';
  return `${tolerates} failure${tolerates === 1 ? '' : 's'}`;
}

function toleranceStyle(tolerates: number): Style {
  return tolerates <= 0 ? 'bad' : 'dim';
}

export function checksText(checks: readonly Check[], columns: number, paint: Paint): string {
  const count = (verdict: Check['verdict']) =>
    checks.filter((each) => each.verdict === verdict).length;
  const [failed, warnings] = [count('failed'), count('warning')];
  const parts = [
    paint(`${count('ok')}/${checks.length} ok`, failed + warnings === 0 ? 'good' : 'plain'),
    ...(warnings > 0 ? [paint(`${warnings} to mind`, 'accent')] : []),
    ...(failed > 0 ? [paint(`${failed} FAILED`, 'bad')] : []),
  ];
  const worth = checks.filter(({ verdict }) => verdict !== 'ok');
  const lines = worth.flatMap((each) => checkLines(each, columns, paint));
  return `${[`CHECKS ${parts.join(', ')}`, ...lines].join('\n')}\n`;
}

/** What was seen, what it must be, and the way out. */
export function checkLines(check: Check, columns: number, paint: Paint): string[] {
  const { id, verdict, subject, observed, limit, remedy } = check;
  const word = { ok: 'ok', warning: 'mind', failed: 'FAILED' }[verdict];
  const style = { ok: 'good', warning: 'accent', failed: 'bad' } as const;
  const about = subject === null ? id : `${id} of ${subject}`;
  const title = `  ${paint(word.padEnd(6), style[verdict])}  ${paint(about, 'bold')}`;
  const facts: (readonly [string, string])[] = [['seen', observed]];
  if (limit !== '') facts.push(['must be', limit]);
  if (remedy !== '' && verdict !== 'ok') facts.push(['to do', remedy]);
  return [
    title,
    ...facts.flatMap(([label, text]) =>
      labelled(`    ${label}`, printable(text), LABEL_AT, columns),
    ),
  ];
}

export interface PlanOutcome {
  readonly kind: 'planned' | 'refused';
  readonly plan: Plan;
  readonly checks: readonly Check[];
}

export function planJsonLine({ kind, plan, checks }: PlanOutcome): string {
  return jsonLine({ kind, plan: planJson(plan), checks: checks.map(checkJson) });
}

export function changedJsonLine(response: ChangedResponse): string {
  const { state, sentence, phase, configIndex, plan, checks, progress, ticket } = response;
  return jsonLine({
    kind: 'changed',
    ...{ state, sentence, phase },
    configIndex: String(configIndex),
    plan: planJson(plan),
    checks: checks.map(checkJson),
    progress: progress === null ? null : catchupJson(progress),
    ticket: ticket === null ? null : ticketJson(ticket),
  });
}

function planJson({ hash, configIndex, action, steps }: Plan): object {
  return {
    hash,
    configIndex: String(configIndex),
    action,
    steps: steps.map(({ kind, sentence, status, quorums, bytes }) => ({
      ...{ kind, sentence, status, quorums },
      bytes: bytes === null ? null : String(bytes),
    })),
  };
}

export function checkJson({ id, verdict, subject, observed, limit, remedy }: Check): object {
  return { id, verdict, subject, observed, limit, remedy };
}

function ticketJson(ticket: JoinTicket): object {
  const { expiresAtMs, ...rest } = ticket;
  return { ...rest, expiresAt: new Date(expiresAtMs).toISOString() };
}

/** The line to run on the new machine. */
export function ticketText(
  ticket: JoinTicket,
  nowMs: number,
  columns: number,
  paint: Paint,
): string {
  const { nodeId, raftAddress, clusterId, groupId, joinAddresses, token, expiresAtMs } = ticket;
  const left = remainingText(Math.max(0, expiresAtMs - nowMs));
  const port = raftAddress.slice(raftAddress.lastIndexOf(':') + 1);
  const head = `On the machine of ${nodeId}, with an empty directory (the token works once, for ${left}):`;
  return [
    ...wrap(head, columns).map((line) => paint(line, 'bold')),
    '',
    `  mq-raft-broker --node-id ${nodeId} --cluster-id ${clusterId} --group-id ${groupId} \\`,
    `    --join ${joinAddresses.join(',')} \\`,
    `    --token ${token} \\`,
    `    --raft 0.0.0.0:${port} --advertise-raft ${raftAddress} \\`,
    `    --dir /var/lib/mq-raft/${nodeId}`,
    '',
  ].join('\n');
}
