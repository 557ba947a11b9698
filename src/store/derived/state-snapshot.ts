/**
 * Derived state at one index, for others: a view of one commit, exported as often as asked for while
 * entries are applied. The same bytes on every replica at the same index.
 *
 * Bounded: holds one chunk and one page of rows; reads {@link SNAPSHOT_ROWS_PER_TURN} rows per turn of
 * the event loop.
 */
import { assert } from '../../base/assert.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { ApplyDigest } from './apply-digest.ts';
import { TABLE } from './key-codec.ts';
import type { KvView } from './kv-store.ts';
import { SNAPSHOT_ROWS_PER_TURN } from './limits.ts';
import { liveRows } from './live-rows.ts';
import type { LogStart } from './log-start.ts';
import { decodeMeta } from './meta-row.ts';
import { ChunkWriter, encodeSnapshotHeader } from './snapshot-format.ts';
import { encodeRow } from './snapshot-rows.ts';

export interface ExportOptions {
  /** What the log side adds; must be the same on every replica at this index. */
  readonly attachment: Uint8Array;
  /** Lets the event loop turn; awaited every so many rows, and between chunks. */
  readonly breathe: () => Promise<void>;
}

export interface StateSnapshot {
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly logStart: LogStart;
  readonly digest: string;
  /** One chunk per item; they belong to the caller. */
  chunks(options: ExportOptions): AsyncGenerator<Uint8Array>;
  /** Idempotent. */
  close(): void;
}

export function snapshotOf(view: KvView): StateSnapshot {
  const row = view.get(TABLE.meta);
  assert(row !== null, 'a snapshot is taken of something');
  const meta = decodeMeta(row);
  assert(!('foreignVersion' in meta), 'a snapshot is taken of our own rows');
  const { appliedIndex, appliedTerm, logStart, digest } = meta;
  return {
    appliedIndex,
    appliedTerm,
    logStart,
    digest: new ApplyDigest(digest.high, digest.low).toString(),
    close: () => view.close(),
    chunks: async function* ({ attachment, breathe }) {
      const writer = new ChunkWriter();
      const header = { appliedIndex, appliedTerm, logStart, digest, attachment };
      yield* writer.write(encodeSnapshotHeader(header));
      let rowCount = 0;
      for (const row of liveRows(view)) {
        yield* writer.write(encodeRow(row));
        if (++rowCount % SNAPSHOT_ROWS_PER_TURN === 0) await breathe();
      }
      yield* writer.end(rowCount);
    },
  };
}
