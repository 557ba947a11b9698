/** What came of verifying replicas, as text and as JSON; and whether they are equal. */
import { unreachable } from '../../base/assert.ts';
import type { LogIndex } from '../../base/units.ts';
import type {
  NodeStanding,
  VerifiedState,
  VerifyProgress,
  VerifyVerdict,
} from '../../protocol/verify-codec.ts';
import { jsonLine } from './json.ts';
import { rateText } from './log-verify.ts';
import { labelled, sizeText } from './log-words.ts';
import {
  type Cell,
  type Column,
  cell,
  durationText,
  type Paint,
  plural,
  tableLines,
} from './text.ts';

/** `outcome` as a text: why there is none. */
export interface NodeVerification {
  readonly nodeId: string;
  readonly outcome: VerifyVerdict | string;
}

export interface Comparison {
  /** The newest checkpoint that all who answered know; null: there is none. */
  readonly index: LogIndex | null;
  /** Nodes that are as each other, largest set first; one: all are equal. */
  readonly camps: readonly Camp[];
}

export interface Camp {
  readonly headerCrc: number;
  readonly digest: string;
  readonly nodeIds: readonly string[];
}

export function comparisonOf(verifications: readonly NodeVerification[]): Comparison {
  const answered = verifications.flatMap(({ outcome }) =>
    typeof outcome === 'string' ? [] : [outcome],
  );
  const [first] = answered;
  const shared = (first?.standings ?? []).filter(({ index }) =>
    answered.every(({ standings }) => standings.some((each) => each.index === index)),
  );
  const index = shared.at(-1)?.index ?? null;
  const camps = new Map<string, { standing: NodeStanding; nodeIds: string[] }>();
  for (const { nodeId, standings } of answered) {
    const standing = standings.find((each) => each.index === index);
    if (standing === undefined) continue;
    const key = `${standing.headerCrc}/${standing.digest}`;
    const camp = camps.get(key) ?? { standing, nodeIds: [] };
    camp.nodeIds.push(nodeId);
    camps.set(key, camp);
  }
  const all = [...camps.values()].map(({ standing: { headerCrc, digest }, nodeIds }) => {
    return { headerCrc, digest, nodeIds };
  });
  return { index, camps: all.sort((a, b) => b.nodeIds.length - a.nodeIds.length) };
}

/** Everything that was asked for was done, is good, and is equal. */
export function isSound(
  verifications: readonly NodeVerification[],
  { camps }: Comparison,
): boolean {
  const areGood = verifications.every(
    ({ outcome }) =>
      typeof outcome !== 'string' &&
      outcome.log.damageCount === 0 &&
      outcome.state.outcome !== 'differs',
  );
  return areGood && camps.length <= 1;
}

const COLUMNS: readonly Column[] = [
  { title: 'node', align: 'left' },
  { title: 'log good to', align: 'right' },
  { title: 'of', align: 'right' },
  { title: 'read', align: 'right' },
  { title: 'chain', align: 'left' },
  { title: 'state', align: 'left' },
  { title: 'derived again', align: 'left' },
];
const LABELS_AT = 10;

export function verifyText(
  verifications: readonly NodeVerification[],
  comparison: Comparison,
  columns: number,
  paint: Paint,
): string {
  const rows = verifications.map((each) => rowOf(each, comparison));
  const notes = verifications.flatMap(({ nodeId, outcome }) =>
    notesOf(outcome).flatMap((note) => labelled(`  ${nodeId}`, note, LABELS_AT, columns)),
  );
  const isGood = isSound(verifications, comparison);
  const verdict = paint(verdictText(verifications, comparison), isGood ? 'good' : 'bad');
  const table = tableLines(COLUMNS, rows, paint);
  return `${[...table, ...(notes.length > 0 ? ['', ...notes] : []), '', verdict].join('\n')}\n`;
}

function rowOf({ nodeId, outcome }: NodeVerification, comparison: Comparison): readonly Cell[] {
  if (typeof outcome === 'string') {
    const blank = Array.from({ length: COLUMNS.length - 2 }, () => cell('-', 'dim'));
    return [cell(nodeId), ...blank, cell('no answer', 'bad')];
  }
  const { log, state } = outcome;
  const standing = outcome.standings.find(({ index }) => index === comparison.index);
  const right = comparison.camps[0];
  const isSame = (same: boolean, text: string): Cell => cell(text, same ? 'good' : 'bad');
  const chain = standing?.headerCrc.toString(16).padStart(8, '0');
  return [
    cell(nodeId),
    isSame(log.damageCount === 0, String(log.goodIndex)),
    cell(log.lastIndex),
    cell(sizeText(log.readBytes)),
    chain === undefined
      ? cell('-', 'dim')
      : isSame(standing?.headerCrc === right?.headerCrc, chain),
    standing === undefined
      ? cell('-', 'dim')
      : isSame(standing.digest === right?.digest, standing.digest),
    stateCell(state),
  ];
}

function stateCell({ outcome, rowCount, differenceCount }: VerifiedState): Cell {
  switch (outcome) {
    case 'same':
      return cell(`${plural(rowCount, 'row')}, the same`, 'good');
    case 'differs':
      return cell(`${differenceCount} of ${plural(rowCount, 'row')} differ`, 'bad');
    case 'skipped':
      return cell('skipped', 'dim');
    default:
      return unreachable(outcome);
  }
}

function notesOf(outcome: VerifyVerdict | string): readonly string[] {
  if (typeof outcome === 'string') return [outcome];
  const { log, state } = outcome;
  const untold = log.damageCount - log.damages.length;
  return [
    ...log.damages,
    ...(untold > 0 ? [`${untold} more damaged places`] : []),
    ...(log.isFromDevice ? [] : ['read through the page cache: this file system has no other way']),
    ...(state.outcome === 'skipped'
      ? [`state not derived again: ${state.details.join('; ')}`]
      : []),
    ...(state.outcome === 'differs' ? state.details : []),
  ];
}

function verdictText(
  verifications: readonly NodeVerification[],
  { index, camps }: Comparison,
): string {
  const silent = verifications.filter(({ outcome }) => typeof outcome === 'string');
  if (camps.length > 1) {
    const sides = camps.map(({ nodeIds }) => nodeIds.join(', ')).join(' against ');
    return `DIVERGED at entry ${index}: ${sides}`;
  }
  if (!isSound(verifications, { index, camps })) {
    if (silent.length === 0) return 'DAMAGED: see above';
    return `INCOMPLETE: no answer of ${silent.map(({ nodeId }) => nodeId).join(', ')}`;
  }
  const at = index === null ? 'no checkpoint to compare them at' : `equal at entry ${index}`;
  return verifications.length === 1 ? 'sound' : `sound, and ${at}`;
}

/** `n1 log 12 of 40 MiB; n2 12,000 rows; 25 MiB/s`. */
export function verifyProgressText(
  seen: ReadonlyMap<string, VerifyProgress>,
  tookMs: number,
): string {
  if (seen.size === 0) return 'asking the nodes ...';
  let readBytes = 0;
  let leftBytes = 0;
  const parts = [...seen].map(([nodeId, { phase, done, total }]) => {
    if (phase === 'rows') return `${nodeId} comparing, ${plural(done, 'row')}`;
    if (phase === 'derived') return `${nodeId} deriving, entry ${done} of ${total ?? '?'}`;
    readBytes += done;
    leftBytes = Math.max(leftBytes, (total ?? done) - done);
    return `${nodeId} log ${sizeText(done)} of ${sizeText(total ?? done)}`;
  });
  if (readBytes === 0) return parts.join('; ');
  const leftMs = (leftBytes * tookMs * seen.size) / readBytes;
  return `${parts.join('; ')}; ${rateText(readBytes, tookMs)}, ${durationText(leftMs)} left`;
}

export function verifyJson(
  verifications: readonly NodeVerification[],
  comparison: Comparison,
  tookMs: number,
): string {
  return jsonLine({
    kind: 'verify',
    sound: isSound(verifications, comparison),
    comparedAtIndex: comparison.index === null ? null : String(comparison.index),
    equal: comparison.camps.length <= 1,
    camps: comparison.camps,
    nodes: verifications.map(({ nodeId, outcome }) =>
      typeof outcome === 'string' ? { id: nodeId, why: outcome } : nodeJson(outcome),
    ),
    tookMs: Math.round(tookMs),
  });
}

function nodeJson({ nodeId, storeUuid, log, state, standings }: VerifyVerdict): object {
  return {
    id: nodeId,
    storeUuid,
    log: {
      firstIndex: String(log.firstIndex),
      goodIndex: String(log.goodIndex),
      lastIndex: String(log.lastIndex),
      readBytes: String(log.readBytes),
      fromDevice: log.isFromDevice,
      damageCount: log.damageCount,
      damages: log.damages,
    },
    checkpoints: standings.map(({ index, headerCrc, digest }) => ({
      index: String(index),
      headerCrc: headerCrc.toString(16).padStart(8, '0'),
      digest,
    })),
    derived: {
      outcome: state.outcome,
      index: String(state.index),
      rowCount: state.rowCount,
      differenceCount: state.differenceCount,
      details: state.details,
    },
  };
}
