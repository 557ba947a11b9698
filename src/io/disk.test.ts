import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { FatalError } from '../base/errors.ts';
import { KIB, MIB } from '../base/sizes.ts';
import {
  BATCH_SIZE_BYTES_MAX,
  type Disk,
  DiskError,
  isOutOfSpace,
  type LogWriter,
  type WriteBatch,
} from './disk.ts';
import { settled } from './memory/manual-clock.ts';
import { MemoryDisk } from './memory/memory-disk.ts';
import { NodeDisk } from './node/node-disk.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-disk-'));
const nodeDisk = new NodeDisk();
after(async () => {
  await nodeDisk.close();
  rmSync(root, { recursive: true });
});

const disks: readonly { name: string; disk: Disk; root: string }[] = [
  { name: 'memory disk', disk: new MemoryDisk(), root: '/root' },
  { name: 'node disk', disk: nodeDisk, root },
];
const never = new AbortController().signal;
let directoryCount = 0;

async function newDirectory(disk: Disk, base: string): Promise<string> {
  const directory = `${base}/${++directoryCount}/deep`;
  await disk.makeDirectory(directory);
  return directory;
}

function openWriter(disk: Disk): { writer: LogWriter; failures: DiskError[]; syncs: number[] } {
  const failures: DiskError[] = [];
  const syncs: number[] = [];
  const writer = disk.openLogWriter({
    onFail: (error) => failures.push(error),
    onSync: (durationMs) => syncs.push(durationMs),
  });
  return { writer, failures, syncs };
}

function done(writer: LogWriter, batch: Partial<Omit<WriteBatch, 'onDone'>>): Promise<void> {
  return new Promise((resolve) => {
    writer.submit({ writes: [], sync: 'group', note: null, ...batch, onDone: resolve });
  });
}

for (const { name, disk, root: base } of disks) {
  test(`${name}: a written file is listed, has its size, and reads back`, async () => {
    const directory = await newDirectory(disk, base);
    await disk.writeFile(`${directory}/b`, new Uint8Array([1, 2, 3]));
    await disk.writeFile(`${directory}/a`, new Uint8Array([4]));
    assert.deepEqual(await disk.list(directory), ['a', 'b']);
    assert.equal(await disk.sizeOf(`${directory}/b`), 3);
    assert.deepEqual([...(await disk.read(`${directory}/b`, 1, 10))], [2, 3]);
    await disk.writeFile(`${directory}/b`, new Uint8Array([9, 9]));
    assert.deepEqual([...(await disk.read(`${directory}/b`, 0, 10))], [9, 9]);
  });

  test(`${name}: what is not there is absent, and reading it is an error with a code`, async () => {
    const directory = await newDirectory(disk, base);
    assert.deepEqual(await disk.list(`${directory}/none`), []);
    assert.equal(await disk.sizeOf(`${directory}/none`), null);
    await disk.remove(`${directory}/none`);
    await assert.rejects(disk.read(`${directory}/none`, 0, 1), (error) => {
      assert.ok(error instanceof DiskError);
      assert.equal(error.code, 'ENOENT');
      return true;
    });
  });

  test(`${name}: a removed file is gone`, async () => {
    const directory = await newDirectory(disk, base);
    await disk.writeFile(`${directory}/a`, new Uint8Array(3));
    await disk.read(`${directory}/a`, 0, 1);
    await disk.remove(`${directory}/a`);
    assert.equal(await disk.sizeOf(`${directory}/a`), null);
    assert.deepEqual(await disk.list(directory), []);
  });

  test(`${name}: a file that was written in parts has its new name when it is published`, async () => {
    const directory = await newDirectory(disk, base);
    await disk.writeFile(`${directory}/b`, new Uint8Array([7]));
    await disk.writeAt(`${directory}/a`, 2, new Uint8Array([3, 4]));
    await disk.read(`${directory}/a`, 0, 1);
    await disk.writeAt(`${directory}/a`, 0, new Uint8Array([1]));
    assert.deepEqual([...(await disk.read(`${directory}/a`, 0, 10))], [1, 0, 3, 4]);
    await disk.read(`${directory}/b`, 0, 1);
    await disk.publish(`${directory}/a`, `${directory}/b`);
    assert.deepEqual(await disk.list(directory), ['b']);
    assert.deepEqual([...(await disk.read(`${directory}/b`, 0, 10))], [1, 0, 3, 4]);
    await assert.rejects(disk.publish(`${directory}/a`, `${directory}/b`), { code: 'ENOENT' });
  });

  test(`${name}: a removed directory is gone with its files, and others stay`, async () => {
    const directory = await newDirectory(disk, base);
    const [gone, kept] = [`${directory}/data`, `${directory}/data-1`];
    for (const each of [gone, kept]) {
      await disk.makeDirectory(each);
      for (const file of ['a', 'b']) await disk.writeFile(`${each}/${file}`, new Uint8Array(3));
    }
    await disk.read(`${gone}/a`, 0, 3);
    await disk.removeDirectory(gone);
    await disk.removeDirectory(gone);
    assert.deepEqual(await disk.list(gone), []);
    assert.deepEqual(await disk.list(kept), ['a', 'b']);
    await assert.rejects(disk.read(`${gone}/a`, 0, 3), DiskError);
    await disk.removeDirectory(`${directory}/never`);
  });

  test(`${name}: a preallocated file is zeros of the full size`, async () => {
    const directory = await newDirectory(disk, base);
    await disk.preallocate(`${directory}/zeros`, 3 * MIB + 4 * KIB, never);
    const bytes = await disk.read(`${directory}/zeros`, 0, 4 * MIB);
    assert.equal(bytes.length, 3 * MIB + 4 * KIB);
    assert.ok(bytes.every((byte) => byte === 0));
  });

  test(`${name}: preallocation that is no longer wanted leaves nothing behind`, async () => {
    const directory = await newDirectory(disk, base);
    const aborted = AbortSignal.abort();
    await assert.rejects(disk.preallocate(`${directory}/zeros`, MIB, aborted), { code: 'ABORTED' });
    assert.deepEqual(await disk.list(directory), []);
  });

  test(`${name}: preallocation that would take what must stay free takes nothing`, async () => {
    const directory = await newDirectory(disk, base);
    const { totalBytes, freeBytes } = await disk.room(directory);
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
    const error: unknown = await disk
      .preallocate(`${directory}/zeros`, MIB, never, freeBytes)
      .catch((reason: unknown) => reason);
    assert.ok(isOutOfSpace(error));
    assert.deepEqual(await disk.list(directory), []);
    await disk.preallocate(`${directory}/zeros`, MIB, never, MIB);
    assert.equal(await disk.sizeOf(`${directory}/zeros`), MIB);
  });

  test(`${name}: a directory has one owner at a time`, async () => {
    const directory = await newDirectory(disk, base);
    const lock = await disk.lock(directory);
    await assert.rejects(disk.lock(directory), (error) => {
      assert.ok(error instanceof FatalError);
      assert.equal(error.reason, 'directoryLocked');
      assert.match(error.message, new RegExp(directory));
      return true;
    });
    await lock.release();
    await lock.release();
    await (await disk.lock(directory)).release();
  });

  test(`${name}: batches complete in order, and later bytes win`, async () => {
    const directory = await newDirectory(disk, base);
    const path = `${directory}/file`;
    await disk.preallocate(path, 64 * KIB, never);
    const { writer, failures } = openWriter(disk);
    const file = writer.open(path);
    const order: number[] = [];
    for (let i = 0; i < 500; i++) {
      const bytes = new Uint8Array(100).fill(i % 251);
      writer.submit({
        writes: [{ file, position: (i % 50) * 100, bytes }],
        sync: i % 7 === 0 ? 'alone' : 'group',
        note: null,
        onDone: () => order.push(i),
      });
    }
    await done(writer, {});
    assert.deepEqual(order, [...order.keys()]);
    assert.equal(order.length, 500);
    const content = await disk.read(path, 0, 5000);
    for (let place = 0; place < 50; place++)
      assert.equal(content[place * 100], (450 + place) % 251);
    await writer.close();
    await writer.close();
    assert.deepEqual(failures, []);
  });

  test(`${name}: any sequence of writes and zeros leaves what it says`, async () => {
    const directory = await newDirectory(disk, base);
    const aWrite = fc.record({
      position: fc.nat({ max: 60_000 }),
      sizeBytes: fc.integer({ min: 1, max: 5000 }),
      fill: fc.integer({ min: 0, max: 255 }),
      sync: fc.constantFrom<'group' | 'alone'>('group', 'alone'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(aWrite, { maxLength: 40, size: 'max' }), async (writes) => {
        const path = `${directory}/${++directoryCount}`;
        await disk.preallocate(path, 65_536, never);
        const model = new Uint8Array(65_536);
        const { writer } = openWriter(disk);
        const file = writer.open(path);
        for (const { position, sizeBytes, fill, sync } of writes) {
          model.fill(fill, position, position + sizeBytes);
          const write =
            fill === 0
              ? { file, position, zeroSizeBytes: sizeBytes }
              : { file, position, bytes: new Uint8Array(sizeBytes).fill(fill) };
          writer.submit({ writes: [write], sync, note: null, onDone: () => {} });
        }
        writer.closeFile(file);
        await writer.close();
        assert.deepEqual(await disk.read(path, 0, 65_536), model);
      }),
      { numRuns: 10 },
    );
  });

  test(`${name}: more than fits between main and worker waits and arrives whole`, async () => {
    const directory = await newDirectory(disk, base);
    const path = `${directory}/file`;
    await disk.preallocate(path, 24 * MIB, never);
    const { writer, failures } = openWriter(disk);
    const file = writer.open(path);
    // An odd size, so that batches wrap around the end of the shared ring in the middle of a write.
    const sizeBytes = BATCH_SIZE_BYTES_MAX - 1000;
    for (let i = 0; i < 5; i++) {
      const bytes = new Uint8Array(sizeBytes).fill(i + 1);
      const note = { file, position: 23 * MIB + i, bytes: new Uint8Array([i + 1]) };
      writer.submit({
        writes: [{ file, position: i * sizeBytes, bytes }],
        sync: 'group',
        note,
        onDone: () => {},
      });
    }
    await done(writer, { sync: 'alone' });
    await writer.close();
    assert.deepEqual(failures, []);
    const content = await disk.read(path, 0, 24 * MIB);
    for (let i = 0; i < 5; i++) {
      const part = content.subarray(i * sizeBytes, (i + 1) * sizeBytes);
      assert.ok(part.every((byte) => byte === i + 1));
    }
    assert.equal(content[23 * MIB + 4], 5, 'the note of the last batch of a group is written');
  });

  test(`${name}: many small batches, far more than the shared memory has places`, async () => {
    const directory = await newDirectory(disk, base);
    const path = `${directory}/file`;
    await disk.preallocate(path, 64 * KIB, never);
    const { writer } = openWriter(disk);
    const file = writer.open(path);
    let completed = 0;
    for (let i = 0; i < 10_000; i++) {
      const writes = [{ file, position: i * 4, bytes: new Uint8Array([1, 2, 3, 4]) }];
      writer.submit({ writes, sync: 'group', note: null, onDone: () => completed++ });
    }
    await done(writer, {});
    assert.equal(completed, 10_000);
    const content = await disk.read(path, 0, 40_000);
    assert.ok(content.every((byte, at) => byte === (at % 4) + 1));
    await writer.close();
  });

  test(`${name}: after a failure nothing completes, and it is reported once`, async () => {
    const directory = await newDirectory(disk, base);
    const path = `${directory}/file`;
    await disk.preallocate(path, 4 * KIB, never);
    const failures: DiskError[] = [];
    let onFirstFailure: () => void = () => {};
    const failed = new Promise<void>((resolve) => {
      onFirstFailure = resolve;
    });
    const writer = disk.openLogWriter({
      onFail: (error) => {
        failures.push(error);
        onFirstFailure();
      },
      onSync: () => {},
    });
    const file = writer.open(path);
    const completed: string[] = [];
    const submit = (label: string): void => {
      const writes = [{ file, position: 0, bytes: new Uint8Array([1]) }];
      writer.submit({ writes, sync: 'alone', note: null, onDone: () => completed.push(label) });
    };
    submit('before');
    writer.open(`${directory}/missing`);
    submit('after');
    await failed;
    submit('later');
    await writer.close();
    assert.deepEqual(completed, ['before']);
    assert.equal(failures.length, 1);
    assert.equal(failures[0]?.code, 'ENOENT');
  });
}

test('memory disk: a power cut keeps what was synced and any part of the rest', async () => {
  const kept = new Set<string>();
  for (const survives of [true, false]) {
    const disk = new MemoryDisk();
    await disk.preallocate('/d/file', 4 * KIB, never);
    const { writer } = openWriter(disk);
    const file = writer.open('/d/file');
    await done(writer, { writes: [{ file, position: 0, bytes: new Uint8Array([1]) }] });
    const note = { file, position: 1024, bytes: new Uint8Array([2]) };
    await done(writer, { note });
    const next = disk.powerCutKeeping({ sector: () => survives, name: () => survives });
    const content = next.contentOf('/d/file');
    assert.equal(content[0], 1);
    kept.add(`${survives} ${content[1024]}`);
  }
  assert.deepEqual([...kept], ['true 2', 'false 0']);
});

test('memory disk: a name that was not synced may be lost, a killed process loses nothing', async () => {
  for (const survives of [true, false]) {
    const steps: (() => void)[] = [];
    const disk = new MemoryDisk({ later: (step) => steps.push(step) });
    void disk.writeFile('/d/file', new Uint8Array([1]));
    steps.shift()?.();
    await Promise.resolve();
    await Promise.resolve();
    const next = disk.powerCutKeeping({ sector: () => true, name: () => survives });
    assert.deepEqual(next.paths, survives ? ['/d/file'] : []);
  }
});

test('memory disk: a file in parts is as a power cut left it, until it is published', async () => {
  for (const survives of [false, true]) {
    const disk = new MemoryDisk();
    await disk.writeFile('/d/b', new Uint8Array([7]));
    await disk.writeAt('/d/a', 0, new Uint8Array([1, 2]));
    const cut = disk.powerCutKeeping({ sector: () => survives, name: () => survives });
    assert.deepEqual(cut.paths, survives ? ['/d/a', '/d/b'] : ['/d/b']);
    await cut.writeAt('/d/a', 0, new Uint8Array([1, 2]));
    await cut.publish('/d/a', '/d/b');
    const after = cut.powerCutKeeping({ sector: () => false, name: () => false });
    assert.deepEqual(after.paths, ['/d/b']);
    assert.deepEqual([...after.contentOf('/d/b')], [1, 2]);
  }
});

test('memory disk: a failed sync is not made good by a later one', async () => {
  const disk = new MemoryDisk();
  await disk.preallocate('/d/file', 4 * KIB, never);
  disk.failNext({ operation: 'sync', code: 'EIO', after: 0 });
  const first = openWriter(disk);
  const file = first.writer.open('/d/file');
  const writes = [{ file, position: 0, bytes: new Uint8Array([7]) }];
  first.writer.submit({ writes, sync: 'group', note: null, onDone: () => assert.fail() });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(first.failures[0]?.code, 'EIO');

  const restarted = disk.killed();
  assert.equal(restarted.contentOf('/d/file')[0], 7, 'the page cache shows the bytes');
  const second = openWriter(restarted);
  const again = second.writer.open('/d/file');
  const elsewhere = [{ file: again, position: 2048, bytes: new Uint8Array([8]) }];
  await done(second.writer, { writes: elsewhere, sync: 'alone' });
  const afterCut = restarted.powerCutKeeping({ sector: () => true, name: () => true });
  assert.equal(afterCut.contentOf('/d/file')[0], 0, 'the disk never got them');
  assert.equal(afterCut.contentOf('/d/file')[2048], 8);
});

test('a memory disk that is full refuses growth, in every way, until there is room', async () => {
  const disk = new MemoryDisk();
  disk.limitTo(64 * KIB);
  await disk.preallocate('/d/file', 48 * KIB, never);
  assert.deepEqual(await disk.room(), { totalBytes: 64 * KIB, freeBytes: 16 * KIB });
  disk.occupy(12 * KIB);
  for (const growing of [
    () => disk.writeFile('/d/other', new Uint8Array(8 * KIB)),
    () => disk.preallocate('/d/other', 8 * KIB, never),
    () => disk.preallocate('/d/other', 2 * KIB, never, 3 * KIB),
  ]) {
    await assert.rejects(growing(), { code: 'ENOSPC' });
  }
  assert.deepEqual(disk.paths, ['/d/file']);
  disk.occupy(0);
  await disk.preallocate('/d/other', 8 * KIB, never);
  assert.equal((await disk.killed().room()).freeBytes, 8 * KIB);
});

test('on a full memory disk what a file has already is written as ever, and growth fails', async () => {
  const disk = new MemoryDisk();
  await disk.preallocate('/d/file', 4 * KIB, never);
  disk.limitTo(4 * KIB);
  const { writer, failures } = openWriter(disk);
  const file = writer.open('/d/file');
  const write = (position: number) =>
    new Promise<void>((resolve) => {
      const writes = [{ file, position, bytes: new Uint8Array(1024).fill(7) }];
      writer.submit({ writes, sync: 'group', note: null, onDone: resolve });
    });
  await write(3 * KIB);
  assert.equal(disk.contentOf('/d/file')[4 * KIB - 1], 7);
  void write(3 * KIB + 1);
  await settled();
  assert.deepEqual(
    failures.map(({ code }) => code),
    ['ENOSPC'],
  );
});
