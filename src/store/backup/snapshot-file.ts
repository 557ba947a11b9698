/** The snapshot of derived state in a backup, as one file: written in chunks, read back, named when it is whole. */
import { createHash } from 'node:crypto';
import { CorruptionError } from '../../base/errors.ts';
import type { Disk } from '../../io/disk.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import { ApplyDigest } from '../derived/apply-digest.ts';
import { TABLE } from '../derived/key-codec.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { readSnapshot } from '../derived/read-snapshot.ts';
import { checkedChunk } from '../derived/snapshot-format.ts';
import { isSameSnapshot, readChunkAt, readSnapshotInfo } from '../snapshots/snapshot-info.ts';
import { type BackupPaths, partOf, snapshotName } from './backup-paths.ts';
import type { BackupFile } from './manifest.ts';

export interface CheckedSnapshot {
  readonly file: BackupFile;
  readonly stateDigest: string;
  readonly topicCount: number;
  readonly groupCount: number;
}

/**
 * Reads every byte.
 * @throws CorruptionError unless it is that snapshot, whole
 */
export async function checkSnapshot(
  disk: Pick<Disk, 'read' | 'sizeOf'>,
  path: string,
  snapshot: OfferedSnapshot,
): Promise<CheckedSnapshot> {
  if ((await disk.sizeOf(path)) === null) throw new CorruptionError(`${path} is missing`);
  const info = await readSnapshotInfo(disk, path);
  if (!isSameSnapshot(info, snapshot)) {
    throw new CorruptionError(`${path} is another snapshot than it should be`);
  }
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const chunks = async function* () {
    for (let number = 0; number < snapshot.chunkCount; number++) {
      // Chunks lie at multiples of their largest size: what is between them is zeros, and part of the file.
      const position = number * SNAPSHOT_CHUNK_SIZE_BYTES;
      const gap = await disk.read(path, sizeBytes, position - sizeBytes);
      if (gap.some((byte) => byte !== 0))
        throw new CorruptionError(`${path}: no zeros at ${sizeBytes}`);
      const chunk = await readChunkAt(disk, path, number);
      hash.update(gap);
      hash.update(chunk);
      sizeBytes = position + chunk.length;
      yield chunk;
    }
  };
  let stateDigest = '';
  let topicCount = 0;
  let groupCount = 0;
  for await (const part of readSnapshot(chunks())) {
    if (part.kind === 'header') {
      const { high, low } = part.header.digest;
      stateDigest = new ApplyDigest(high, low).toString();
      continue;
    }
    topicCount += part.rows.filter(({ key }) => key.startsWith(TABLE.topic)).length;
    groupCount += part.rows.filter(({ key }) => key.startsWith(TABLE.group)).length;
  }
  if (sizeBytes !== (await disk.sizeOf(path)))
    throw new CorruptionError(`${path} has another size`);
  const file = { path: snapshotName(snapshot.appliedIndex), sizeBytes, sha256: hash.digest('hex') };
  return { file, stateDigest, topicCount, groupCount };
}

export class SnapshotWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #snapshot: OfferedSnapshot;

  constructor(disk: Disk, paths: BackupPaths, snapshot: OfferedSnapshot) {
    this.#disk = disk;
    this.#path = paths.snapshot(snapshot.appliedIndex);
    this.#snapshot = snapshot;
  }

  /** Whether it is here, whole. */
  async isDone(): Promise<boolean> {
    return (await this.#disk.sizeOf(this.#path)) !== null;
  }

  /** How many of its first chunks are here, each checked. */
  async chunksHere(): Promise<number> {
    const part = partOf(this.#path);
    if ((await this.#disk.sizeOf(part)) === null) return 0;
    for (let number = 0; number < this.#snapshot.chunkCount; number++) {
      try {
        checkedChunk(await readChunkAt(this.#disk, part, number), number);
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        return number;
      }
    }
    return this.#snapshot.chunkCount;
  }

  /** @throws CorruptionError unless it is that chunk, whole */
  async write(number: number, chunk: Uint8Array): Promise<void> {
    checkedChunk(chunk, number);
    await this.#disk.writeAt(partOf(this.#path), number * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
  }

  /** @throws CorruptionError when the chunks are not the snapshot; nothing of them is left then */
  async finish(): Promise<void> {
    const part = partOf(this.#path);
    try {
      await checkSnapshot(this.#disk, part, this.#snapshot);
    } catch (error) {
      if (error instanceof CorruptionError) await this.#disk.remove(part);
      throw error;
    }
    await this.#disk.publish(part, this.#path);
  }
}
