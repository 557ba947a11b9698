/** What a group that goes on behind a loss keeps, gives up and loses, as text and as JSON. */

import type { WalkedEntry } from '../../store/inspect/walk-options.ts';
import type { EntryRange } from '../../store/recover/entry-marks.ts';
import type { LossAccount, OffsetRange, QueueLoss } from '../../store/recover/loss-account.ts';
import { givenUpRange } from '../../store/recover/loss-files.ts';
import { type LossPlan, lostCountOf } from '../../store/recover/loss-plan.ts';
import { jsonLine } from './json.ts';
import { entryJson } from './log-dump.ts';
import { decodedRecords } from './log-records.ts';
import { labelled } from './log-words.ts';
import { rangesText } from './lost-range.ts';
import { lossText as boundText } from './recovery.ts';
import { type Column, cell, type Paint, plural, printable, tableLines } from './text.ts';

const LABEL_AT = 14;
const QUEUE_COLUMNS: readonly Column[] = [
  { title: 'topic', align: 'left' },
  { title: 'queue', align: 'right' },
  { title: 'lost', align: 'right' },
  { title: 'at offsets', align: 'left' },
  { title: 'given up', align: 'right' },
  { title: 'of offsets', align: 'left' },
];
const GROUP_COLUMNS: readonly Column[] = [
  { title: 'group', align: 'left' },
  { title: 'topic', align: 'left' },
  { title: 'lost', align: 'right' },
  { title: 'given up', align: 'right' },
];
/** Of ranges in a cell; JSON has all. */
const RANGES_SHOWN_MAX = 3;

/** Messages that no consumer gets from the group any more. */
export function goneCountOf({ lostCount, givenUpCount }: LossAccount): number {
  return lostCount + givenUpCount;
}

export function givenUpFileOf({ winner, newClusterId }: LossPlan): string {
  return `${winner.survivor.directory}/given-up-before-${newClusterId}.jsonl`;
}

export function lossPlanText(
  plan: LossPlan,
  account: LossAccount,
  columns: number,
  paint: Paint,
): string {
  const facts = factsOf(plan, account).flatMap(([label, text, isLoss]) =>
    labelled(label, text, LABEL_AT, columns).map((line) => (isLoss ? paint(line, 'bad') : line)),
  );
  const parts = ['', ...facts, ''];
  if (account.queues.length > 0) {
    parts.push(...tableLines(QUEUE_COLUMNS, account.queues.map(queueRow), paint), '');
  }
  if (account.groups.length === 0) {
    parts.push('not consumed of it: nothing, by groups that have received from these topics', '');
  } else {
    const rows = account.groups.map((each) => [
      cell(printable(each.group)),
      cell(printable(each.topic)),
      cell(each.unconsumedLostCount, each.unconsumedLostCount > 0 ? 'bad' : 'plain'),
      cell(each.unconsumedGivenUpCount),
    ]);
    parts.push('not consumed of it, by group', ...tableLines(GROUP_COLUMNS, rows, paint), '');
  }
  return parts.join('\n');
}

type Fact = readonly [label: string, text: string, isLoss: boolean];

function factsOf(plan: LossPlan, account: LossAccount): readonly Fact[] {
  const { winner, snapshot, lost, provenIndex, keptFrom, lastIndex, bound, out } = plan;
  const { survivor } = winner;
  const count = lostCountOf(plan);
  const entries = count === 1 ? 'entry' : `${count} entries,`;
  const committed = lost.every(({ to }) => to <= provenIndex)
    ? 'the group had committed all of it'
    : `the group had committed what is up to ${provenIndex}`;
  const kept =
    keptFrom === null
      ? 'no message: the log begins anew'
      : `messages from entry ${keptFrom} to ${lastIndex}`;
  const { from, to } = givenUpRange(plan);
  const facts: Fact[] = [
    ['goes on', `${survivor.nodeId}, alone, from ${survivor.directory}`, false],
    [
      'lost',
      count === 0
        ? 'nothing that still counts: the group has removed what was before'
        : `${entries} ${rangesText(lost)}, in ${count === 1 ? 'it' : 'them'} ${plural(account.lostCount, 'message')} that nobody can read; ${committed}`,
      count > 0,
    ],
    [
      'given up',
      `${plural(account.givenUpCount, 'message')} that can be read, of entries ${from} to ${to}: they go with the beginning of the log, and are written to ${givenUpFileOf(plan)} first`,
      account.givenUpCount > 0,
    ],
    [
      'kept',
      `${kept}; topics, groups, offsets, deliveries and the window of duplicates as they are after entry ${lastIndex}, from the snapshot at ${snapshot.info.appliedIndex}`,
      false,
    ],
  ];
  if (lost.length > 0) {
    const text =
      'the ids of lost messages: whoever sends one again has it stored as a new one, also where it had been consumed';
    facts.push(['not known', text, true]);
  }
  if (bound !== null) facts.push(['may be lost', boundText(bound), true]);
  return [
    ...facts,
    [
      'cluster',
      `${plan.newClusterId} instead of ${survivor.clusterId}, from term ${plan.newTerm} on`,
      false,
    ],
    [
      'for ever out',
      `${out.join(', ')}: never started again, their directories wiped, their names not used`,
      false,
    ],
  ];
}

function queueRow({ topic, queueId, lost, lostCount, gone, givenUpCount }: QueueLoss) {
  return [
    cell(printable(topic)),
    cell(queueId),
    cell(lostCount, lostCount > 0 ? 'bad' : 'plain'),
    cell(offsetsText(lost)),
    cell(givenUpCount),
    cell(offsetsText([gone])),
  ];
}

function offsetsText(ranges: readonly OffsetRange[]): string {
  if (ranges.length === 0) return '-';
  const shown = ranges
    .slice(0, RANGES_SHOWN_MAX)
    .map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`));
  const rest = ranges.length - shown.length;
  return [...shown, ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}

export function lossPlanJson(plan: LossPlan, account: LossAccount): object {
  const { winner, snapshot, lost, provenIndex, keptFrom, lastIndex, bound, out } = plan;
  const { survivor } = winner;
  return {
    node: survivor.nodeId,
    directory: survivor.directory,
    clusterId: survivor.clusterId,
    groupId: survivor.groupId,
    newClusterId: plan.newClusterId,
    newTerm: String(plan.newTerm),
    out,
    snapshot: { path: snapshot.path, index: String(snapshot.info.appliedIndex) },
    lostEntries: lost.map(entryRangeJson),
    provenIndex: String(provenIndex),
    lastIndex: String(lastIndex),
    keptFrom: keptFrom === null ? null : String(keptFrom),
    givenUpEntries: entryRangeJson(givenUpRange(plan)),
    givenUpFile: givenUpFileOf(plan),
    lostMessages: String(account.lostCount),
    givenUpMessages: String(account.givenUpCount),
    queues: account.queues.map((queue) => ({
      topic: queue.topic,
      queueId: queue.queueId,
      lost: queue.lost.map(offsetRangeJson),
      lostMessages: String(queue.lostCount),
      gone: offsetRangeJson(queue.gone),
      givenUpMessages: String(queue.givenUpCount),
    })),
    groups: account.groups.map((each) => ({
      group: each.group,
      topic: each.topic,
      unconsumedLost: String(each.unconsumedLostCount),
      unconsumedGivenUp: String(each.unconsumedGivenUpCount),
    })),
    unseen:
      bound === null
        ? null
        : {
            messagesPerSecond: bound.messagesPerSecond,
            unseenMs: bound.unseenMs,
            messagesMax: String(bound.messagesMax),
          },
  };
}

function entryRangeJson({ from, to }: EntryRange): object {
  return { from: String(from), to: String(to) };
}

function offsetRangeJson({ from, to }: OffsetRange): object {
  return { from: String(from), to: String(to) };
}

/** As `mq-raft log dump --bodies text -o json` has it, with messages only; null: the entry has none. */
export function givenUpLine(entry: WalkedEntry, directory: string): string | null {
  if (entry.header.desc.type !== 'data' || entry.body.kind === 'bad') return null;
  const decoded = decodedRecords(entry.body.payload);
  const records = decoded.records.filter(({ kind }) => kind === 'message');
  if (records.length === 0) return null;
  const form = { directory, columns: 0, paint: (text: string) => text, bodies: 'text' } as const;
  return entryJson(entry, { ...decoded, records }, form);
}

/** In the place of what nobody can read. */
export function lostEntriesLine({ from, to }: EntryRange): string {
  return jsonLine({ kind: 'lostEntries', from: String(from), to: String(to) });
}
