/** The database of derived state when its file system is gone: a failed disk, and never a bug, whoever hears of it first. */
import { equal, ok, rejects } from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { FatalError } from '../../src/base/errors.ts';
import { DiskError } from '../../src/io/disk.ts';
import { LmdbKvStore } from '../../src/store/derived/lmdb-kv-store.ts';
import { CuttableDisk, powerCutObstacle } from './power-cut.ts';

const obstacle = powerCutObstacle();

function isDiskFailed(error: unknown): boolean {
  ok(error instanceof FatalError, String(error));
  equal(error.reason, 'diskFailed');
  ok(error.cause instanceof DiskError);
  return true;
}

test('a commit fails as the disk does, and so does every read after it', {
  skip: obstacle ?? false,
}, async (t) => {
  const disk = new CuttableDisk('database');
  const store = new LmdbKvStore(join(disk.mountPoint, 'rows'), { durableCommits: true });
  t.after(async () => {
    // Else the file system would be held, and could not be unmounted.
    await store.close();
    disk.destroy();
  });
  await store.commit(new Map([['k', new Uint8Array([1])]]));
  disk.cut();
  await rejects(() => store.commit(new Map([['k', new Uint8Array([2])]])), isDiskFailed);
  // LMDB may still be able to read; if not, it is for the same reason.
  for (const read of [
    () => store.get('k'),
    () => [...store.range('', '\xff')],
    () => store.view(),
  ]) {
    try {
      read();
    } catch (error) {
      ok(isDiskFailed(error));
    }
  }
});
