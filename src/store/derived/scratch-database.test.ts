import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NodeDisk } from '../../io/node/node-disk.ts';
import { END_KEY, FIRST_KEY } from './key-codec.ts';
import { withScratchDatabase } from './scratch-database.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-scratch-'));
after(() => rmSync(root, { recursive: true }));

test('a scratch database is empty whatever was left before, and nothing of it is left', async () => {
  const disk = new NodeDisk();
  const derived = join(root, 'derived');
  mkdirSync(join(derived, 'scratch'), { recursive: true });
  writeFileSync(join(derived, 'scratch', 'data.mdb'), 'half a page of a process that was killed');
  const value = await withScratchDatabase(disk, root, async (store) => {
    assert.deepEqual([...store.range(FIRST_KEY, END_KEY)], []);
    await store.commit(new Map([['T1', Uint8Array.of(7)]]));
    return store.get('T1')?.[0];
  });
  assert.equal(value, 7);
  assert.deepEqual(readdirSync(derived), []);
  const failing = withScratchDatabase(disk, root, () => Promise.reject(new RangeError('no')));
  await assert.rejects(failing, RangeError);
  assert.deepEqual(readdirSync(derived), []);
  await disk.close();
});
