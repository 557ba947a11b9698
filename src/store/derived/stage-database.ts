/**
 * Brings a snapshot into a database of its own, beside the current one, which goes on being used. Nothing
 * counts before `activate`; what a crash leaves behind is ignored, and freed by the next staging.
 */
import type { Disk } from '../../io/disk.ts';
import { DerivedDirectory } from './derived-directory.ts';
import { type InstallSource, installSnapshot } from './install-snapshot.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';
import type { SnapshotHeader } from './snapshot-format.ts';

export interface StagedDatabase {
  readonly number: number;
  readonly header: SnapshotHeader;
  /** The next start opens it. Durable when it resolves; repeating it is harmless. */
  activate(): Promise<void>;
  /** It came to nothing. */
  discard(): Promise<void>;
}

/**
 * Whole and durable when it resolves.
 * @throws CorruptionError when the source is not what it says; nothing of it is left then
 */
export async function stageDatabase(
  disk: Disk,
  replicaDirectory: string,
  source: InstallSource,
): Promise<StagedDatabase> {
  const directory = new DerivedDirectory(disk, replicaDirectory);
  await directory.create();
  await directory.discardStaged();
  const number = await directory.next();
  await directory.markStaged(number);
  const path = directory.pathOf(number);
  await disk.makeDirectory(path);
  const store = new LmdbKvStore(path, { durableCommits: true, disk });
  let header: SnapshotHeader | null = null;
  try {
    header = await installSnapshot(store, source);
  } finally {
    await store.close();
    if (header === null) await directory.discard(number);
  }
  // Whether LMDB has made the names of its files durable is its own affair.
  await disk.syncDirectory(path);
  return {
    number,
    header,
    activate: () => directory.activate(number),
    discard: () => directory.discard(number),
  };
}
