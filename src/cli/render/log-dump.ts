/** Entries of a log, one by one, as text and as JSON. */
import { advance } from '../../base/units.ts';
import { decodeMembership } from '../../protocol/membership-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { hex32 } from '../../store/inspect/damage.ts';
import type { WalkedEntry } from '../../store/inspect/walk-options.ts';
import { jsonLine } from './json.ts';
import { type BodyForm, type DecodedRecords, recordJson, recordText } from './log-records.ts';
import { labelled, membershipJson, membershipText, relativePath } from './log-words.ts';
import type { Paint } from './text.ts';

export interface DumpForm {
  readonly directory: string;
  readonly columns: number;
  readonly paint: Paint;
  readonly bodies: BodyForm;
}

interface DumpColumn {
  readonly title: string;
  readonly width: number;
  readonly of: (entry: WalkedEntry) => string;
}

/** Entries come one at a time, so widths are fixed; a longer number moves the rest of its line. */
const COLUMNS: readonly DumpColumn[] = [
  { title: 'index', width: 10, of: ({ header }) => String(header.desc.index) },
  { title: 'type', width: -6, of: ({ header }) => header.desc.type },
  { title: 'term', width: 6, of: ({ header }) => String(header.desc.term) },
  { title: 'offset', width: 13, of: ({ header }) => String(header.desc.physicalOffset) },
  { title: 'bytes', width: 9, of: ({ header }) => String(header.desc.sizeBytes) },
  { title: 'commit', width: 10, of: ({ header }) => String(header.leaderCommit) },
  { title: 'payload', width: 8, of: ({ header }) => hex32(header.desc.payloadCrc) },
];
/** Where there is room. */
const MORE_COLUMNS: readonly DumpColumn[] = [
  { title: 'chain', width: 8, of: ({ header }) => hex32(header.chainCrc) },
  { title: 'header', width: 8, of: ({ header }) => hex32(header.headerCrc) },
];
const MORE_COLUMNS_FROM = 100;
const MEMBERSHIP_AT = 13;

export function dumpTitle({ columns, paint }: DumpForm): string {
  return `${paint(
    row(columns, ({ title }) => title),
    'dim',
  )}\n`;
}

export function entryText(
  entry: WalkedEntry,
  decoded: DecodedRecords | null,
  form: DumpForm,
): string {
  const { columns, paint, bodies } = form;
  const { desc } = entry.header;
  const line = row(columns, (column) => column.of(entry));
  const isBad = entry.body.kind === 'bad';
  const parts = [isBad ? paint(`${line}  BAD`, 'bad') : line, '\n'];
  if (desc.type === 'config' && entry.body.kind === 'good') {
    const result = decodeMembership(entry.body.payload);
    const text =
      result.kind === 'problem'
        ? `cannot be read: ${result.problem}`
        : membershipText(result.membership);
    parts.push(...labelled('    members', text, MEMBERSHIP_AT, columns).map((each) => `${each}\n`));
  }
  if (decoded === null) return parts.join('');
  const payloadOffset = advance(desc.physicalOffset, ENTRY_HEADER_SIZE_BYTES);
  for (const record of decoded.records) {
    parts.push(recordText(record, payloadOffset, bodies, columns, paint));
  }
  if (decoded.problem !== null) {
    const text = `what follows cannot be read: ${decoded.problem}`;
    parts.push(...labelled('    damage', text, MEMBERSHIP_AT, columns).map((each) => `${each}\n`));
  }
  return parts.join('');
}

function row(columns: number, textOf: (column: DumpColumn) => string): string {
  const shown = columns >= MORE_COLUMNS_FROM ? [...COLUMNS, ...MORE_COLUMNS] : COLUMNS;
  return shown
    .map((column) => {
      const { width } = column;
      return width < 0 ? textOf(column).padEnd(-width) : textOf(column).padStart(width);
    })
    .join('  ')
    .trimEnd();
}

export function entryJson(
  { header, body, path, position }: WalkedEntry,
  decoded: DecodedRecords | null,
  { directory, bodies }: DumpForm,
): string {
  const { desc, leaderCommit, chainCrc, headerCrc } = header;
  const payloadOffset = advance(desc.physicalOffset, ENTRY_HEADER_SIZE_BYTES);
  return jsonLine({
    kind: 'logEntry',
    index: String(desc.index),
    type: desc.type,
    term: String(desc.term),
    file: relativePath(path, directory),
    position,
    physicalOffset: String(desc.physicalOffset),
    sizeBytes: desc.sizeBytes,
    leaderCommit: String(leaderCommit),
    payloadSizeBytes: desc.payloadSizeBytes,
    payloadCrc: hex32(desc.payloadCrc),
    chainCrc: hex32(chainCrc),
    headerCrc: hex32(headerCrc),
    damaged: body.kind === 'bad',
    ...(desc.type === 'config' && body.kind === 'good' ? configJson(body.payload) : {}),
    ...(decoded === null
      ? {}
      : {
          records: decoded.records.map((record) => recordJson(record, payloadOffset, bodies)),
          recordsProblem: decoded.problem,
        }),
  });
}

function configJson(payload: Uint8Array): object {
  const result = decodeMembership(payload);
  if (result.kind === 'problem') return { membership: null, membershipProblem: result.problem };
  return { membership: membershipJson(result.membership) };
}
