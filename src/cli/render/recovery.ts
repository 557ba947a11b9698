/** Survivors, what would be done, and what may be lost. */
import type { LossBound, RecoveryPlan } from '../../store/recover/recovery-plan.ts';
import type { Survivor } from '../../store/recover/survivor.ts';
import { remainingText } from './catchup.ts';
import { labelled } from './log-words.ts';
import { type Column, cell, type Paint, plural, printable, tableLines } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'node', align: 'left' },
  { title: 'last entry', align: 'right' },
  { title: 'of term', align: 'right' },
  { title: 'proves', align: 'right' },
  { title: 'last message', align: 'left' },
  { title: 'directory', align: 'left' },
];
const LABEL_AT = 12;

/** Best first. */
export function survivorsText(ranking: readonly Survivor[], paint: Paint): string {
  const rows = ranking.map((survivor, i) => [
    cell(i === 0 ? '*' : '', 'good'),
    cell(survivor.nodeId, i === 0 ? 'bold' : 'plain'),
    cell(survivor.lastIndex),
    cell(survivor.lastTerm),
    cell(survivor.provenCommitIndex),
    cell(timeText(survivor.traffic.lastAtMs)),
    cell(printable(survivor.directory), survivor.problem === null ? 'plain' : 'bad'),
  ]);
  const remarks = ranking.flatMap(({ nodeId, problem }) =>
    problem === null ? [] : [`  ${nodeId}: ${printable(problem)}`],
  );
  return `${[...tableLines(COLUMNS, rows, paint), ...remarks].join('\n')}\n`;
}

export function recoveryText(plan: RecoveryPlan, columns: number, paint: Paint): string {
  const { winner, loss, newClusterId, newTerm, lost } = plan;
  const facts: (readonly [string, string])[] = [
    ['goes on', `${winner.nodeId}, alone, from ${winner.directory}`],
    ['kept', keptText(loss)],
    ['may be lost', lossText(loss)],
    ['cluster', `${newClusterId} instead of ${winner.clusterId}, from term ${newTerm} on`],
    [
      'for ever out',
      `${lost.join(', ')}: never started again, their directories wiped, their names not used`,
    ],
  ];
  const lines = facts.flatMap(([label, text]) =>
    labelled(label, text, LABEL_AT + 2, columns).map((line) =>
      label === 'may be lost' ? paint(line, 'bad') : line,
    ),
  );
  return `${lines.join('\n')}\n`;
}

function keptText({ provenIndex, keptIndex }: LossBound): string {
  const unsure = keptIndex - provenIndex;
  const proven = `entries up to ${provenIndex} are proven committed and present`;
  if (unsure === 0) return proven;
  return `${proven}; ${plural(unsure, 'entry').replace('entrys', 'entries')} after it, up to ${keptIndex}, are kept, whether anybody was told of them or not`;
}

export function lossText({
  keptIndex,
  messagesPerSecond,
  unseenMs,
  messagesMax,
}: LossBound): string {
  const what = `entries after ${keptIndex} may have been acknowledged by the lost majority: nobody who is left knows how many`;
  if (unseenMs === null) return `${what}, and no message here tells a rate`;
  const rate = messagesPerSecond.toFixed(messagesPerSecond < 10 ? 2 : 0);
  return `${what}. At the last rate, ${rate} messages a second, for ${remainingText(unseenMs)}: at most ${messagesMax}`;
}

export function recoveryJson(plan: RecoveryPlan): object {
  const { winner, ranking, loss, newClusterId, newTerm, lost } = plan;
  return {
    winner: winner.nodeId,
    directory: winner.directory,
    clusterId: winner.clusterId,
    groupId: winner.groupId,
    newClusterId,
    newTerm: String(newTerm),
    lost,
    loss: {
      provenIndex: String(loss.provenIndex),
      keptIndex: String(loss.keptIndex),
      messagesPerSecond: loss.messagesPerSecond,
      unseenMs: loss.unseenMs,
      messagesMax: String(loss.messagesMax),
    },
    survivors: ranking.map(survivorJson),
  };
}

export function survivorJson(survivor: Survivor): object {
  const { directory, nodeId, storeUuid, lastIndex, lastTerm, provenCommitIndex } = survivor;
  const { lastAtMs, messagesPerSecond } = survivor.traffic;
  return {
    ...{ directory, nodeId, storeUuid },
    lastIndex: String(lastIndex),
    lastTerm: String(lastTerm),
    provenCommitIndex: String(provenCommitIndex),
    lastMessageAt: lastAtMs === null ? null : new Date(lastAtMs).toISOString(),
    messagesPerSecond,
    problem: survivor.problem,
  };
}

function timeText(atMs: number | null): string {
  return atMs === null ? '-' : new Date(atMs).toISOString().replace('T', ' ').slice(0, 19);
}
