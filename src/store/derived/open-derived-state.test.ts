import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { InvariantError } from '../../base/assert.ts';
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { LogIndex, QueueOffset } from '../../base/units.ts';
import { NodeDisk } from '../../io/node/node-disk.ts';
import { DerivedDirectory } from './derived-directory.ts';
import type { DerivedState } from './derived-state.ts';
import { HeldKvStore } from './held-kv-store.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { type DerivedEvent, openDerivedState } from './open-derived-state.ts';
import { TestLog } from './test-log.ts';

const DISK = new NodeDisk();
after(() => DISK.close());

class Home {
  readonly directory: string;
  readonly events: DerivedEvent[] = [];
  constructor(directory: string) {
    this.directory = directory;
  }
  static async create(t: TestContext): Promise<Home> {
    const home = new Home(await mkdtemp(join(tmpdir(), 'mq-raft-derived.')));
    t.after(() => rm(home.directory, { recursive: true }));
    return home;
  }
  open(log: TestLog): Promise<DerivedState> {
    return openDerivedState({
      directory: this.directory,
      disk: DISK,
      onEvent: (event) => this.events.push(event),
      durableIndexMax: log.lastIndex,
    });
  }
  numbered(number: number): string {
    return join(this.directory, 'derived', String(number));
  }
  get setAside(): readonly string[] {
    return this.events.map((event) => (event.kind === 'databaseSetAside' ? event.why : event.kind));
  }
}

/** Some of everything; enough messages to fill chunks. */
function busyLog(): TestLog {
  const log = new TestLog();
  const atMs = 5;
  const orders = { kind: 'topicPut', topic: 'orders', queueCount: 2, permission: 6 } as const;
  log.append(
    { ...orders, messageTypes: [1], atMs },
    { ...orders, topic: 'old', messageTypes: [], atMs },
  );
  log.append({ kind: 'groupPut', group: 'g', maxAttempts: 3, fifo: false, atMs });
  for (let i = 0; i < 300; i++) {
    const queue = { queueId: i % 2, queueOffset: Math.floor(i / 2) };
    const message = {
      ...queue,
      messageId: `id${i}`,
      tag: 't',
      keys: `k${i % 7}`,
      storeTimestampMs: i,
    };
    log.append({ topic: 'orders', ...message }, { topic: 'old', ...message });
    if (i % 10 !== 0) continue;
    const queueOffset = QueueOffset(queue.queueOffset);
    log.append({
      kind: 'deliver',
      group: 'g',
      topic: 'orders',
      clientId: 'c',
      autoRenew: true,
      attemptId: 'a',
      atMs: i,
      invisibleUntilMs: i + 60,
      queues: [
        {
          queueId: queue.queueId,
          nextOffset: QueueOffset(queueOffset + 1),
          deliveries: [{ queueOffset, attempt: 1, deliveryId: `d${i}` }],
        },
      ],
    });
  }
  log.append({ kind: 'topicDelete', topic: 'old' });
  log.appendPayload('noop', new Uint8Array(0));
  return log;
}

function replay(state: DerivedState, log: TestLog): void {
  for (const entry of log.entries.slice(state.appliedIndex)) state.apply(entry);
}

async function dumpOf(directory: string): Promise<readonly string[]> {
  const store = new LmdbKvStore(directory);
  const rows = [...store.range('\x00', '\xff')].map(({ key, value }) => {
    return `${Buffer.from(key, 'latin1').toString('hex')} ${Buffer.from(value).toString('hex')}`;
  });
  await store.close();
  return rows;
}

test('a database that was deleted is rebuilt byte for byte', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const state = await home.open(log);
  for (const entry of log.entries) {
    state.apply(entry);
    if (entry.index % 40 === 0) {
      state.flush();
      await state.flushed();
    }
  }
  await state.close();
  const original = await dumpOf(home.numbered(1));
  assert.ok(original.length > 600);

  await rm(join(home.directory, 'derived'), { recursive: true });
  const rebuilt = await home.open(log);
  assert.equal(rebuilt.appliedIndex, 0);
  replay(rebuilt, log);
  await rebuilt.close();
  assert.deepEqual(await dumpOf(home.numbered(1)), original);
  assert.deepEqual(home.events, []);
});

test('a restart goes on at the applied index, with the same answers', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const state = await home.open(log);
  replay(state, log);
  const before = state.progress('g', 'orders', 0);
  assert.equal(state.unflushedEntries, log.lastIndex);
  await state.close();
  await state.close();

  const again = await home.open(log);
  assert.equal(again.appliedIndex, log.lastIndex);
  assert.equal(again.appliedTerm, 1);
  assert.equal(again.unflushedEntries, 0);
  assert.deepEqual(again.progress('g', 'orders', 0), before);
  assert.equal(again.queueUnit('orders', 1, QueueOffset(149))?.storeTimestampMs, 299);
  assert.deepEqual(
    again.topics().map(({ topic }) => topic),
    ['orders'],
  );
  await again.close();
});

test('a database ahead of the log is set aside and rebuilt', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const state = await home.open(log);
  replay(state, log);
  await state.close();

  const shorter = new TestLog();
  shorter.appendPayload('noop', new Uint8Array(0));
  const rebuilt = await home.open(shorter);
  assert.equal(rebuilt.appliedIndex, 0);
  assert.deepEqual(rebuilt.topics(), []);
  assert.deepEqual(home.setAside, ['aheadOfLog']);
  await rebuilt.close();
  assert.deepEqual(await readdir(join(home.directory, 'derived')), ['1', '2']);

  const again = await home.open(shorter);
  assert.deepEqual(home.setAside, ['aheadOfLog'], 'the new one is used from now on');
  await again.close();
});

test('a file that is no database is set aside and rebuilt', async (t) => {
  const garbage = [Buffer.alloc(40_000, 'damaged '), Buffer.alloc(40_000), Buffer.alloc(100, 1)];
  for (const bytes of garbage) {
    const home = await Home.create(t);
    const log = busyLog();
    await (await home.open(log)).close();
    await writeFile(join(home.numbered(1), 'data.mdb'), bytes);
    const state = await home.open(log);
    replay(state, log);
    assert.deepEqual(home.setAside, ['unreadable']);
    await state.close();
  }
});

test('an environment that was created but never written is used', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  await mkdir(home.numbered(1), { recursive: true });
  await writeFile(join(home.numbered(1), 'data.mdb'), '');
  const state = await home.open(log);
  replay(state, log);
  await state.close();
  assert.deepEqual(home.events, []);
});

test('a database that ended two processes while they opened it is not tried again', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  await (await home.open(log)).close();
  await writeFile(`${home.numbered(1)}.opening`, 'x');
  await (await home.open(log)).close();
  assert.deepEqual(home.events, [], 'one may have been killed for another reason');
  assert.deepEqual(await readdir(join(home.directory, 'derived')), ['1'], 'the mark is gone');

  await writeFile(`${home.numbered(1)}.opening`, 'xx');
  await (await home.open(log)).close();
  assert.deepEqual(home.setAside, ['unreadable']);
});

test('rows that make no sense are set aside and rebuilt', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const state = await home.open(log);
  replay(state, log);
  await state.close();
  const store = new LmdbKvStore(home.numbered(1));
  await store.commit(new Map([['T\x00\x06orders', Uint8Array.of(1, 2, 3)]]));
  await store.close();
  const rebuilt = await home.open(log);
  replay(rebuilt, log);
  assert.deepEqual(home.setAside, ['unreadable']);
  assert.equal(rebuilt.topic('orders')?.queueCount, 2);
  await rebuilt.close();
});

test('a database of another format is set aside and rebuilt', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const foreign = new LmdbKvStore(home.numbered(1));
  await foreign.commit(new Map([['M', Buffer.from('0000000700', 'hex')]]));
  await foreign.close();
  const state = await home.open(log);
  assert.deepEqual(home.setAside, ['otherFormat']);
  assert.equal(state.appliedIndex, 0);
  await state.close();
});

test('a database that was found to differ from the others is made anew, once', async (t) => {
  const home = await Home.create(t);
  const log = busyLog();
  const first = await home.open(log);
  for (const entry of log.entries) first.apply(entry);
  const digest = first.digest();
  await first.close();
  await new DerivedDirectory(DISK, home.directory).condemn(1, 'digest 1 here, 2 in the group');
  const state = await home.open(log);
  assert.deepEqual(home.setAside, ['diverged']);
  const [event] = home.events;
  assert.equal(
    event?.kind === 'databaseSetAside' ? event.details : '',
    'digest 1 here, 2 in the group',
  );
  assert.equal(state.appliedIndex, 0);
  for (const entry of log.entries) state.apply(entry);
  assert.equal(state.digest(), digest);
  await state.close();
  const again = await home.open(log);
  assert.equal(again.appliedIndex, log.lastIndex);
  assert.deepEqual(home.setAside, ['diverged']);
  await again.close();
});

test('a store that was handed in is cleared when it cannot be used', async () => {
  const kv = new MemoryKvStore();
  await kv.commit(new Map([['T\x00\x01a', Uint8Array.of(1)]]));
  const events: DerivedEvent[] = [];
  const state = await openDerivedState({
    kv,
    onEvent: (event) => events.push(event),
    durableIndexMax: LogIndex(5),
  });
  assert.deepEqual(state.topics(), []);
  assert.equal(events.length, 1);
  assert.deepEqual([...kv.range('\x00', '\xff')], []);
});

test('a commit that fails is reported once, and the next flush is fatal', async () => {
  const rows = new MemoryKvStore();
  const failing = new HeldKvStore(rows);
  rows.commit = () => Promise.reject(new Error('no space'));
  const events: DerivedEvent[] = [];
  const state = await openDerivedState({
    kv: failing,
    onEvent: (event) => events.push(event),
    durableIndexMax: LogIndex(1),
  });
  state.apply(new TestLog().appendPayload('noop', new Uint8Array(0)));
  state.flush();
  await failing.finishCommit();
  await state.flushed();
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['commitFailed'],
  );
  assert.equal(state.unflushedEntries, 1);
  assert.throws(() => state.flush(), FatalError);
});

test('a log that cannot be stops the replica', async () => {
  const messageIn = (topic: string, queueId: number, queueOffset: number) => {
    return { topic, queueId, queueOffset, messageId: 'id' };
  };
  const config = { queueCount: 1, permission: 6, messageTypes: [1], atMs: 1 };
  const cases = [
    { why: 'topic', record: messageIn('nowhere', 0, 0) },
    { why: 'queue', record: messageIn('orders', 1, 0) },
    { why: 'gap', record: messageIn('orders', 0, 1) },
  ];
  for (const { why, record } of cases) {
    const log = new TestLog();
    const kv = new MemoryKvStore();
    const state = await openDerivedState({ kv, onEvent: () => {}, durableIndexMax: LogIndex(9) });
    state.apply(log.append({ kind: 'topicPut', topic: 'orders', ...config }));
    assert.throws(() => state.apply(log.append(record)), InvariantError, why);
  }
  const log = new TestLog();
  const kv = new MemoryKvStore();
  const state = await openDerivedState({ kv, onEvent: () => {}, durableIndexMax: LogIndex(9) });
  log.appendPayload('noop', new Uint8Array(0));
  const second = log.appendPayload('noop', new Uint8Array(0));
  assert.throws(() => state.apply(second), InvariantError, 'an entry was left out');
  const unknown = new TestLog().appendPayload('data', Buffer.alloc(64, 7));
  assert.throws(() => state.apply(unknown), CorruptionError, 'an unknown record');
});
