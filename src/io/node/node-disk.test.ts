import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KIB } from '../../base/sizes.ts';
import { NodeDisk } from './node-disk.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-node-disk-'));
const disk = new NodeDisk();
after(async () => {
  await disk.close();
  rmSync(root, { recursive: true });
});

test('preparing and writing files leave no temporary names', async () => {
  await disk.writeFile(join(root, 'a'), new Uint8Array(10));
  await disk.preallocate(join(root, 'b'), 64 * KIB, new AbortController().signal);
  assert.deepEqual(readdirSync(root).sort(), ['a', 'b']);
});

test('more files are read than are kept open', async () => {
  const paths = Array.from({ length: 100 }, (_, i) => join(root, `many-${i}`));
  for (const [i, path] of paths.entries()) await disk.writeFile(path, new Uint8Array([i]));
  for (let round = 0; round < 2; round++) {
    for (const [i, path] of paths.entries()) {
      assert.deepEqual([...(await disk.read(path, 0, 1))], [i]);
    }
  }
});

test('a log writer that is closed at once ends its thread', async () => {
  const writer = disk.openLogWriter({ onFail: assert.fail, onSync: () => {} });
  await writer.close();
});

test('writing into a directory that is not there names the operation, the path and the code', async () => {
  const path = join(root, 'none', 'file');
  await assert.rejects(disk.writeFile(path, new Uint8Array(1)), {
    name: 'DiskError',
    message: `Cannot write ${path}: ENOENT`,
  });
});
