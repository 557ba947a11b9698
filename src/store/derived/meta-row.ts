/** The one row that says what the database is: format version, and how far the log is applied. */
import { assert } from '../../base/assert.ts';
import { LogIndex, PhysicalOffset, Term } from '../../base/units.ts';
import { TABLE } from './key-codec.ts';
import type { KvView } from './kv-store.ts';
import { DERIVED_FORMAT_VERSION } from './limits.ts';
import type { LogStart } from './log-start.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

export interface Meta {
  readonly version: number;
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  /** Number of the next topic to be created (topic-table.ts). */
  readonly nextTopicNumber: number;
  /** Of all entries up to the applied index (apply-digest.ts). */
  readonly digest: { readonly high: number; readonly low: number };
  readonly logStart: LogStart;
}

const SIZE_BYTES = 4 + 8 + 8 + 4 + 4 + 4 + 8 + 8;
const VERSION_SIZE_BYTES = 4;

/** Of an empty database. */
export const FRESH_META: Meta = {
  version: DERIVED_FORMAT_VERSION,
  appliedIndex: LogIndex(0),
  appliedTerm: Term(0),
  nextTopicNumber: 1,
  digest: { high: 0, low: 0 },
  logStart: { index: LogIndex(1), offset: PhysicalOffset(0) },
};

export function encodeMeta(rows: RowWriter, meta: Meta): Uint8Array {
  return rows
    .begin(SIZE_BYTES)
    .u32(meta.version)
    .u64(meta.appliedIndex)
    .u64(meta.appliedTerm)
    .u32(meta.nextTopicNumber)
    .u32(meta.digest.high)
    .u32(meta.digest.low)
    .u64(meta.logStart.index)
    .u64(meta.logStart.offset)
    .finish();
}

/** @returns the version alone when it is not ours: the rest may mean something else. */
export function decodeMeta(value: Uint8Array): Meta | { readonly foreignVersion: number } {
  const row = new RowReader(value);
  const version = value.length < VERSION_SIZE_BYTES ? 0 : row.u32();
  if (version !== DERIVED_FORMAT_VERSION || value.length !== SIZE_BYTES) {
    return { foreignVersion: version };
  }
  const meta = {
    version,
    appliedIndex: LogIndex(row.u64()),
    appliedTerm: Term(row.u64()),
    nextTopicNumber: row.u32(),
    digest: { high: row.u32(), low: row.u32() },
    logStart: { index: LogIndex(row.u64()), offset: PhysicalOffset(row.u64()) },
  };
  row.end();
  return meta;
}

/** How far the rows of one commit have applied the log. @throws InvariantError when they are not ours */
export function appliedIndexOf(rows: Pick<KvView, 'get'>): LogIndex {
  const value = rows.get(TABLE.meta);
  if (value === null) return LogIndex(0);
  const meta = decodeMeta(value);
  assert(!('foreignVersion' in meta), 'the rows are of our format');
  return meta.appliedIndex;
}
