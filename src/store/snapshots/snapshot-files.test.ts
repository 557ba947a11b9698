import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptionError } from '../../base/errors.ts';
import { Prng } from '../../base/prng.ts';
import { LogIndex } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { DerivedState } from '../derived/derived-state.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { MemoryKvStore } from '../derived/memory-kv-store.ts';
import { openDerivedState } from '../derived/open-derived-state.ts';
import { TestLog } from '../derived/test-log.ts';
import { type SnapshotFileEvent, SnapshotFiles } from './snapshot-files.ts';
import type { SnapshotInfo } from './snapshot-info.ts';

const breathe = async (): Promise<void> => {};
const events: SnapshotFileEvent[] = [];

function filesOn(disk: MemoryDisk): Promise<SnapshotFiles> {
  return SnapshotFiles.open({
    disk,
    replicaDirectory: '/r',
    onEvent: (event) => events.push(event),
  });
}

/** Of several chunks. */
async function largeState(
  topicCount = 8_000,
): Promise<{ readonly state: DerivedState; readonly log: TestLog }> {
  const log = new TestLog();
  const state = await openDerivedState({
    kv: new MemoryKvStore(),
    onEvent: () => {},
    durableIndexMax: LogIndex(1_000_000),
  });
  const config = { queueCount: 1, permission: 6, messageTypes: [1], atMs: 1 };
  for (let i = 0; i < topicCount; i++) {
    state.apply(log.append({ kind: 'topicPut', topic: `t${i}-${'x'.repeat(100)}`, ...config }));
  }
  return { state, log };
}

async function written(files: SnapshotFiles, state: DerivedState): Promise<SnapshotInfo> {
  const snapshot = await state.takeSnapshot();
  try {
    return await files.write(snapshot, breathe);
  } finally {
    snapshot.close();
  }
}

async function more({ state, log }: Awaited<ReturnType<typeof largeState>>): Promise<void> {
  state.apply(log.appendPayload('noop', new Uint8Array(0)));
}

test('what is written is what the state gives, found again by the next start, and the newest two stay', async () => {
  const disk = new MemoryDisk();
  const files = await filesOn(disk);
  const large = await largeState();
  const first = await written(files, large.state);
  assert.ok(first.chunkCount > 3, `${first.chunkCount} chunks`);
  const chunks: Uint8Array[] = [];
  const snapshot = await large.state.takeSnapshot();
  for await (const chunk of snapshot.chunks({ attachment: new Uint8Array(0), breathe })) {
    chunks.push(chunk);
  }
  for (let number = 0; number < first.chunkCount; number++) {
    const chunk = await files.readChunk(first.appliedIndex, number);
    assert.equal(Buffer.compare(chunk, chunks[number]!), 0);
  }
  const release = files.hold(first.appliedIndex);
  const infos = [first];
  for (let i = 0; i < 3; i++) {
    await more(large);
    infos.push(await written(files, large.state));
  }
  assert.deepEqual(files.all, [infos[0], infos[2], infos[3]], 'what is being read stays');
  release();
  await more(large);
  infos.push(await written(files, large.state));
  const again = await filesOn(disk.killed());
  assert.deepEqual(again.all, infos.slice(-2));
});

test('a power cut while one is written leaves the one before, and no half of it', async () => {
  const large = await largeState(500);
  for (let steps = 0; steps < 40; steps += 3) {
    const queue: (() => void)[] = [];
    let isHeld = false;
    const later = (step: () => void): void => {
      if (isHeld) queue.push(step);
      else queueMicrotask(step);
    };
    const disk = new MemoryDisk({ later });
    const files = await filesOn(disk);
    const first = await written(files, large.state);
    await more(large);
    isHeld = true;
    void written(files, large.state);
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      queue.shift()?.();
    }
    isHeld = false;
    const again = await filesOn(disk.powerCut(new Prng(steps, 'power')));
    assert.ok(again.all.length >= 1);
    assert.deepEqual(again.all[0], first);
  }
});

test('parts are taken one by one, a damaged one never, and the whole counts when it is verified', async () => {
  const source = await filesOn(new MemoryDisk());
  const large = await largeState();
  const info = await written(source, large.state);
  const disk = new MemoryDisk();
  const files = await filesOn(disk);
  assert.equal(await files.beginPart(info), 0);
  const first = await source.readChunk(info.appliedIndex, 0);
  await assert.rejects(files.writePart(info, 1, first), CorruptionError);
  await assert.rejects(
    files.writePart(
      info,
      0,
      first.map((byte, at) => (at === 5_000 ? byte ^ 1 : byte)),
    ),
    CorruptionError,
  );
  await files.writePart(info, 0, first);
  await assert.rejects(files.finishPart(info), CorruptionError);
  assert.deepEqual(files.all, []);
  assert.equal(await files.beginPart(info), 0, 'nothing is left of what did not fit');

  for (const number of [0, 1]) {
    await files.writePart(info, number, await source.readChunk(info.appliedIndex, number));
  }
  const part = disk.paths.find((path) => path.endsWith('.part'))!;
  const next = await filesOn(disk.killed());
  assert.equal(await next.beginPart(info), 2, 'another process goes on');
  for (let number = 2; number < info.chunkCount; number++) {
    await next.writePart(info, number, await source.readChunk(info.appliedIndex, number));
  }
  await next.finishPart(info);
  assert.deepEqual(next.all, [info]);
  assert.ok(part.includes(String(info.appliedIndex)));
});

test('a snapshot that says another thing than was announced is refused', async () => {
  const source = await filesOn(new MemoryDisk());
  const large = await largeState();
  const info = await written(source, large.state);
  const files = await filesOn(new MemoryDisk());
  const other = { ...info, sha256: 'ab'.repeat(32) };
  for (let number = 0; number < info.chunkCount; number++) {
    await files.writePart(other, number, await source.readChunk(info.appliedIndex, number));
  }
  await assert.rejects(files.finishPart(other), CorruptionError);
  assert.deepEqual(files.all, []);
});

test('any flipped bit is found: at the start, when a chunk is read, or when all is', async () => {
  const clean = new MemoryDisk();
  const large = await largeState();
  const info = await written(await filesOn(clean), large.state);
  const path = clean.paths.find((each) => each.endsWith('.snap'))!;
  const size = clean.contentOf(path).length;
  const random = new Prng(1, 'bits');
  for (let i = 0; i < 30; i++) {
    const disk = clean.imageOn({});
    const at = random.below(size);
    const byte = disk.contentOf(path)[at]!;
    disk.rot(path, at, new Uint8Array([byte ^ 4]));
    events.length = 0;
    const files = await filesOn(disk);
    if (files.newest === null) {
      assert.equal(events[0]?.kind, 'snapshotDamaged');
      continue;
    }
    const number = Math.floor(at / SNAPSHOT_CHUNK_SIZE_BYTES);
    const isInGap = !isInChunk(clean.contentOf(path), at);
    const reading = files.readChunk(info.appliedIndex, number);
    if (isInGap) await reading;
    else await assert.rejects(reading, CorruptionError);
  }
});

/** Behind a short chunk there is nothing. */
function isInChunk(file: Uint8Array, at: number): boolean {
  const start = at - (at % SNAPSHOT_CHUNK_SIZE_BYTES);
  const sizeBytes = new DataView(file.buffer, file.byteOffset).getUint32(start + 12);
  return at < start + 24 + sizeBytes;
}
