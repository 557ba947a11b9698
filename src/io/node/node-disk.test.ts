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

test('a read past the cache has the same bytes at any place and of any size', async () => {
  const path = join(root, 'direct');
  const disk = new NodeDisk();
  const content = Uint8Array.from({ length: 2_500_003 }, (_, at) => (at * 31) % 251);
  await disk.writeFile(path, content);
  const places = [
    [0, 1],
    [0, content.length],
    [4095, 2],
    [4096, 4096],
    [1_048_575, 1_048_580],
    [content.length - 3, 10],
    [content.length + 5, 10],
  ] as const;
  const reads = places.map(([position, sizeBytes]) =>
    disk.readPastCache(path, position, sizeBytes),
  );
  for (const [i, { bytes }] of (await Promise.all(reads)).entries()) {
    const [position = 0, sizeBytes = 0] = places[i] ?? [];
    const expected = content.subarray(position, position + sizeBytes);
    assert.ok(Buffer.from(bytes).equals(expected), `${sizeBytes} bytes at ${position}`);
  }
  await assert.rejects(disk.readPastCache(join(root, 'none'), 0, 1), { code: 'ENOENT' });
  await disk.close();
});
