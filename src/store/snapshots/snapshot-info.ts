/** What a snapshot file is, without its rows. */
import { CorruptionError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import type { LogStart } from '../derived/log-start.ts';
import {
  CHUNK_HEADER_SIZE_BYTES,
  checkedChunk,
  chunkSizeBytes,
  decodeSnapshotHeader,
} from '../derived/snapshot-format.ts';

export interface SnapshotInfo {
  /** S: the state after this entry. There is one snapshot for each S, whoever takes it. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  /** Entries from here to S are needed beside it. */
  readonly logStart: LogStart;
  /** Of the stream, as its last chunk says; in hex digits. */
  readonly sha256: string;
  /** The last one included. */
  readonly chunkCount: number;
}

export function isSameSnapshot(one: SnapshotInfo, other: SnapshotInfo): boolean {
  return (
    one.appliedIndex === other.appliedIndex &&
    one.appliedTerm === other.appliedTerm &&
    one.logStart.index === other.logStart.index &&
    one.logStart.offset === other.logStart.offset &&
    one.sha256 === other.sha256 &&
    one.chunkCount === other.chunkCount
  );
}

/**
 * From the first chunk and the last: the others may be damaged.
 * @throws CorruptionError
 */
export async function readSnapshotInfo(
  disk: Pick<Disk, 'read' | 'sizeOf'>,
  path: string,
): Promise<SnapshotInfo> {
  const sizeBytes = (await disk.sizeOf(path)) ?? 0;
  const chunkCount = Math.floor(sizeBytes / SNAPSHOT_CHUNK_SIZE_BYTES) + 1;
  const first = checkedChunk(await readChunkAt(disk, path, 0), 0);
  const last = checkedChunk(await readChunkAt(disk, path, chunkCount - 1), chunkCount - 1);
  const found = first.kind === 'stream' ? decodeSnapshotHeader(first.body) : null;
  if (found === null || last.kind !== 'end') {
    throw new CorruptionError(`Snapshot: ${path} has no header, or no end`);
  }
  const { appliedIndex, appliedTerm, logStart } = found.header;
  const sha256 = Buffer.from(last.sha256).toString('hex');
  return { appliedIndex, appliedTerm, logStart, sha256, chunkCount };
}

/** As it is; may be damaged, or too short. */
export async function readChunkAt(
  disk: Pick<Disk, 'read'>,
  path: string,
  number: number,
): Promise<Uint8Array> {
  const position = number * SNAPSHOT_CHUNK_SIZE_BYTES;
  const head = await disk.read(path, position, CHUNK_HEADER_SIZE_BYTES);
  const sizeBytes = chunkSizeBytes(head);
  return sizeBytes === null ? head : disk.read(path, position, sizeBytes);
}
