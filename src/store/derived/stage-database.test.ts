import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { CorruptionError } from '../../base/errors.ts';
import { PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { NodeDisk } from '../../io/node/node-disk.ts';
import type { Command } from '../../protocol/command-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { DerivedDirectory } from './derived-directory.ts';
import { derivedHome } from './derived-home.ts';
import type { DerivedState } from './derived-state.ts';
import type { InstallSource } from './install-snapshot.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { type OpenDerivedStateOptions, openDerivedState } from './open-derived-state.ts';
import { stageDatabase } from './stage-database.ts';
import { SwitchableState } from './switchable-state.ts';
import { TestLog } from './test-log.ts';
import { bytesOf, liveDumpOf, sourceOf } from './test-rows.ts';

const DISK = new NodeDisk();
after(() => DISK.close());
const KEPT_FROM = 60;

/** More than a page of rows; the first half is before the start of the log. */
function log(): TestLog {
  const made = new TestLog();
  const config = { queueCount: 2, permission: 6, messageTypes: [1], atMs: 1 };
  made.append({ kind: 'topicPut', topic: 'a', ...config });
  for (let i = 0; i < 100; i++) {
    made.append(
      ...Array.from({ length: 8 }, (_, j) => {
        return {
          topic: 'a',
          queueId: i % 2,
          queueOffset: 8 * (i >> 1) + j,
          messageId: `${i}.${j}`,
        };
      }),
    );
  }
  const kept = made.entries[KEPT_FROM - 1]!;
  const start: Command = {
    kind: 'advanceLogStart',
    physicalOffset: PhysicalOffset(kept.payloadOffset - ENTRY_HEADER_SIZE_BYTES),
    firstIndex: kept.index,
    reason: 'age',
    storeTimestampMs: 0,
    atMs: 1,
  };
  made.append(start);
  return made;
}

async function homeOf(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'mq-raft-staged.'));
  t.after(() => rm(home, { recursive: true }));
  return home;
}

async function open(directory: string, durable: TestLog): Promise<DerivedState> {
  return openDerivedState({
    directory,
    disk: DISK,
    onEvent: () => {},
    durableIndexMax: durable.lastIndex,
  });
}

/** A replica that has seen it all, and what it gives to others. */
async function original(home: string): Promise<{
  readonly whole: TestLog;
  readonly source: InstallSource;
  readonly rows: readonly string[];
}> {
  const whole = log();
  const state = await open(home, whole);
  for (const entry of whole.entries) {
    state.apply(entry);
    if (entry.index === 50) state.flush();
  }
  const chunks = await bytesOf(await state.takeSnapshot());
  await state.close();
  const store = new LmdbKvStore(join(home, 'derived', '1'));
  const rows = liveDumpOf(store);
  await store.close();
  const kept = whole.entries.map((entry) => (entry.index < KEPT_FROM ? undefined : entry));
  return { whole, source: sourceOf(chunks, kept), rows };
}

async function rowsIn(home: string, number: number): Promise<readonly string[]> {
  const store = new LmdbKvStore(join(home, 'derived', String(number)));
  const rows = liveDumpOf(store);
  await store.close();
  return rows;
}

test('a staged database is used from its activation on, and equals the original', async (t) => {
  const { whole, source, rows } = await original(await homeOf(t));
  const home = await homeOf(t);
  const short = new TestLog();
  const old = await open(home, short);
  old.apply(short.appendPayload('noop', new Uint8Array(0)));
  await old.close();

  const staged = await stageDatabase(DISK, home, source);
  assert.equal(staged.header.appliedIndex, whole.lastIndex);
  const before = await open(home, short);
  assert.equal(before.appliedIndex, 1, 'not yet');
  await before.close();

  await staged.activate();
  await staged.activate();
  const state = await open(home, whole);
  assert.equal(state.appliedIndex, whole.lastIndex);
  await state.close();
  assert.deepEqual(await rowsIn(home, staged.number), rows);

  const directory = new DerivedDirectory(DISK, home);
  await directory.discardRetired();
  assert.equal(await directory.current(), staged.number);
  assert.deepEqual(await readdir(join(home, 'derived', '1')), []);
});

test('a process that ends at any step of staging leaves the old database or the new one', async (t) => {
  const { whole, source } = await original(await homeOf(t));
  const outcomes = new Set<string>();
  for (let lastStep = 0; ; lastStep++) {
    const home = await homeOf(t);
    const short = new TestLog();
    const old = await open(home, short);
    old.apply(short.appendPayload('noop', new Uint8Array(0)));
    await old.close();

    const machine = new EndingDisk(lastStep);
    const isDone = await staging(machine.disk, home, source);
    const state = await open(home, whole);
    outcomes.add(state.appliedIndex === 1 ? 'old' : 'new');
    assert.ok(state.appliedIndex === 1 || state.appliedIndex === whole.lastIndex);
    await state.close();

    // Whoever tries again succeeds, and what was left is freed.
    const again = await stageDatabase(DISK, home, source);
    await again.activate();
    const late = await open(home, whole);
    assert.equal(late.appliedIndex, whole.lastIndex);
    await late.close();
    if (isDone) break;
  }
  assert.deepEqual([...outcomes].sort(), ['new', 'old']);
});

test('a damaged source leaves nothing that counts', async (t) => {
  const { source } = await original(await homeOf(t));
  const home = await homeOf(t);
  const damaged: InstallSource = {
    ...source,
    chunks: async function* () {
      for await (const chunk of source.chunks()) {
        chunk[chunk.length >> 1]! ^= 1;
        yield chunk;
      }
    },
  };
  await assert.rejects(stageDatabase(DISK, home, damaged), CorruptionError);
  assert.equal(await new DerivedDirectory(DISK, home).current(), 1);
  assert.deepEqual(await readdir(join(home, 'derived', '2')), [], 'its files are freed');
});

test('a database that is open is replaced by one made from a snapshot, and goes', async (t) => {
  const { whole, source, rows } = await original(await homeOf(t));
  const home = await homeOf(t);
  const options: OpenDerivedStateOptions = {
    ...{ directory: home, disk: DISK, durableIndexMax: whole.lastIndex },
    onEvent: (event) => assert.fail(JSON.stringify(event)),
  };
  const before = await openDerivedState(options);
  before.apply(whole.entries[0]!);
  const state = new SwitchableState(before);
  const staged = await derivedHome(options).stage(source);
  assert.equal(state.appliedIndex, 1, 'nothing has changed yet');
  await staged.activate(state);
  assert.equal(state.appliedIndex, whole.lastIndex);
  assert.deepEqual(await readdir(join(home, 'derived', '1')), [], 'its files are freed');
  await state.close();
  assert.deepEqual(await rowsIn(home, 2), rows);
  const again = await openDerivedState(options);
  assert.equal(again.appliedIndex, whole.lastIndex, 'the next start finds it');
  await again.close();
});

test('in a store of rows the one before gives way, and what came to nothing changes nothing', async (t) => {
  const { whole, source } = await original(await homeOf(t));
  const kv = new MemoryKvStore();
  const options: OpenDerivedStateOptions = {
    ...{ kv, durableIndexMax: whole.lastIndex },
    onEvent: (event) => assert.fail(JSON.stringify(event)),
  };
  const first = await openDerivedState(options);
  first.apply(whole.entries[0]!);
  const state = new SwitchableState(first);
  const home = derivedHome(options);
  await (await home.stage(source)).discard();
  assert.equal(state.appliedIndex, 1);
  await (await home.stage(source)).activate(state);
  assert.equal(state.appliedIndex, whole.lastIndex);
  await state.close();
  const again = await openDerivedState(options);
  assert.equal(again.appliedIndex, whole.lastIndex);
});

/** @returns whether it came to its end */
async function staging(disk: Disk, home: string, source: InstallSource): Promise<boolean> {
  try {
    const staged = await stageDatabase(disk, home, source);
    await staged.activate();
    return true;
  } catch (error) {
    if (error instanceof ProcessEnded) return false;
    throw error;
  }
}

class ProcessEnded extends Error {}

/** After so many operations that change something, none happens any more. */
class EndingDisk {
  #stepsLeft: number;
  readonly disk: Disk;

  constructor(lastStep: number) {
    this.#stepsLeft = lastStep;
    const step = <T>(act: () => Promise<T>): Promise<T> => {
      if (this.#stepsLeft-- <= 0) return Promise.reject(new ProcessEnded());
      return act();
    };
    const disk: Disk = Object.create(DISK);
    this.disk = Object.assign(disk, {
      list: (path: string) => DISK.list(path),
      writeFile: (path: string, bytes: Uint8Array) => step(() => DISK.writeFile(path, bytes)),
      remove: (path: string) => step(() => DISK.remove(path)),
      makeDirectory: (path: string) => step(() => DISK.makeDirectory(path)),
      syncDirectory: (path: string) => step(() => DISK.syncDirectory(path)),
    });
  }
}
