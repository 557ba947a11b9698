import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockDirectory } from './disk-lock.ts';
import { lockHolder } from './lock-probe.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-probe-'));
after(() => rmSync(root, { recursive: true }));

function aDirectory(): string {
  return mkdtempSync(join(root, 'd-'));
}

test('a locked directory has a holder until the lock is released', async () => {
  const directory = aDirectory();
  assert.equal(await lockHolder(directory), null);
  const lock = await lockDirectory(directory);
  assert.deepEqual(await lockHolder(directory), { pid: process.pid });
  assert.deepEqual(readdirSync(directory), ['LOCK'], 'asking leaves nothing behind');
  await lock.release();
  assert.equal(await lockHolder(directory), null);
});

const withoutSockets =
  process.platform === 'linux' ? false : 'only Linux has sockets in the abstract namespace';

test('a holder whose LOCK was removed is found all the same', {
  skip: withoutSockets,
}, async () => {
  const directory = aDirectory();
  const lock = await lockDirectory(directory);
  rmSync(join(directory, 'LOCK'));
  assert.deepEqual(await lockHolder(directory), { pid: null });
  await lock.release();
});

test('the file of a process that is gone is nobody', async () => {
  const directory = aDirectory();
  const gone = { pid: 4_000_000, bootId: 'another', startTime: '1' };
  writeFileSync(join(directory, 'LOCK'), JSON.stringify(gone));
  assert.equal(await lockHolder(directory), null);
});

test('nobody holds what is not there', async () => {
  assert.equal(await lockHolder(join(root, 'absent')), null);
  writeFileSync(join(root, 'file'), '');
  assert.equal(await lockHolder(join(root, 'file', 'below')), null);
});
