/** What is left of a range of entries, and what giving it up would mean. */
import type { EntryRange } from '../../store/recover/entry-marks.ts';
import type { Holding, LossVerdict } from '../../store/recover/lost-range.ts';
import { jsonLine } from './json.ts';
import { labelled } from './log-words.ts';
import { type Column, cell, type Paint, plural, printable, tableLines } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'last entry', align: 'right' },
  { title: 'proves', align: 'right' },
  { title: 'cannot be read', align: 'left' },
  { title: 'directory', align: 'left' },
];
const LABEL_AT = 12;

export function holdingsText(holdings: readonly Holding[], paint: Paint): string {
  const rows = holdings.map(({ survivor, missing }) => [
    cell(survivor.nodeId),
    cell(survivor.lastIndex),
    cell(survivor.provenCommitIndex),
    missing.length === 0 ? cell('-', 'good') : cell(rangesText(missing), 'bad'),
    cell(printable(survivor.directory)),
  ]);
  return `${tableLines(COLUMNS, rows, paint).join('\n')}\n`;
}

export function lossText(verdict: Extract<LossVerdict, { kind: 'lost' }>, columns: number): string {
  const { ranges, provenIndex } = verdict;
  const count = ranges.reduce((sum, { from, to }) => sum + (to - from + 1), 0);
  const entries = plural(count, 'entry').replace('entrys', 'entries');
  const sure = ranges.every(({ to }) => to <= provenIndex)
    ? 'the group had committed all of it: it was acknowledged'
    : `the group had committed what is up to ${provenIndex}; of the rest nobody knows`;
  return [
    '',
    ...labelled('lost', `${rangesText(ranges)}, ${entries}; ${sure}`, LABEL_AT, columns),
    '',
  ].join('\n');
}

/** @param plan null: there is none */
export function lossJsonLine(
  holdings: readonly Holding[],
  verdict: LossVerdict,
  plan: object | null,
): string {
  return jsonLine({
    kind: 'acceptedLoss',
    verdict: verdict.kind,
    lost: verdict.kind === 'lost' ? verdict.ranges.map(rangeJson) : [],
    provenIndex: verdict.kind === 'lost' ? String(verdict.provenIndex) : null,
    unasked: verdict.kind === 'unasked' ? verdict.members : [],
    nodes: holdings.map(({ survivor: { nodeId, directory, lastIndex }, missing }) => ({
      ...{ nodeId, directory, lastIndex: String(lastIndex), missing: missing.map(rangeJson) },
    })),
    plan,
  });
}

function rangeJson({ from, to }: EntryRange): object {
  return { from: String(from), to: String(to) };
}

/** `12, 20-31`. */
export function rangesText(ranges: readonly EntryRange[]): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}
