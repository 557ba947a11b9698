/** Snapshots as files of a directory that nobody has open: read and verified, never touched. */
import { CorruptionError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import { verifySnapshot } from '../derived/read-snapshot.ts';
import type { ReadDisk } from '../inspect/read-disk.ts';
import { readChunkAt, readSnapshotInfo, type SnapshotInfo } from '../snapshots/snapshot-info.ts';

export interface FoundSnapshot {
  readonly path: string;
  readonly info: SnapshotInfo;
}

const NAME = /^\d{20}\.snap$/;

/** The newest that covers the entry, is whole, and lies in one of the directories; null: there is none. */
export async function newestSnapshotFrom(
  disk: ReadDisk,
  directories: readonly string[],
  coveredIndex: LogIndex,
): Promise<FoundSnapshot | null> {
  const all: FoundSnapshot[] = [];
  for (const directory of directories) all.push(...(await snapshotsIn(disk, directory)));
  const covering = all
    .filter(({ info }) => info.appliedIndex >= coveredIndex)
    .sort((a, b) => b.info.appliedIndex - a.info.appliedIndex);
  for (const found of covering) if (await isWhole(disk, found)) return found;
  return null;
}

/** One chunk per item. */
export async function* chunksOf(
  disk: ReadDisk,
  { path, info }: FoundSnapshot,
): AsyncGenerator<Uint8Array> {
  for (let number = 0; number < info.chunkCount; number++) {
    yield await readChunkAt(disk, path, number);
  }
}

async function snapshotsIn(disk: ReadDisk, directory: string): Promise<readonly FoundSnapshot[]> {
  const found: FoundSnapshot[] = [];
  for (const name of await disk.list(`${directory}/snapshots`)) {
    if (!NAME.test(name)) continue;
    const path = `${directory}/snapshots/${name}`;
    const info = await orNull(() => readSnapshotInfo(disk, path));
    if (info !== null) found.push({ path, info });
  }
  return found;
}

async function isWhole(disk: ReadDisk, found: FoundSnapshot): Promise<boolean> {
  const isVerified = await orNull(async () => {
    await verifySnapshot(chunksOf(disk, found));
    return true;
  });
  return isVerified ?? false;
}

/** A damaged one is none. */
async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return null;
  }
}
