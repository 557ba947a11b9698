/**
 * A database for something that is thrown away afterwards: `derived/scratch`, a name that no start takes for
 * one of a replica. What a process left that died is freed by the next use.
 */
import type { Disk } from '../../io/disk.ts';
import type { KvStore } from './kv-store.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';

/** Empty; `work` does not close it. One at a time for a directory. */
export async function withScratchDatabase<T>(
  disk: Disk,
  replicaDirectory: string,
  work: (store: KvStore) => Promise<T>,
): Promise<T> {
  const path = `${replicaDirectory}/derived/scratch`;
  await disk.removeDirectory(path);
  await disk.makeDirectory(path);
  const store = new LmdbKvStore(path, { durableCommits: false, disk });
  try {
    return await work(store);
  } finally {
    await store.close();
    await disk.removeDirectory(path);
  }
}
