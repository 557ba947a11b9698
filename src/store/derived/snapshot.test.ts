import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptionError } from '../../base/errors.ts';
import { LogIndex, PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { Command } from '../../protocol/command-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { DerivedState } from './derived-state.ts';
import { installSnapshot } from './install-snapshot.ts';
import type { KvStore } from './kv-store.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES, TRIMMED_MESSAGES_PER_ENTRY } from './limits.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { openDerivedState } from './open-derived-state.ts';
import { verifySnapshot } from './read-snapshot.ts';
import { checkedChunk } from './snapshot-format.ts';
import { TestLog } from './test-log.ts';
import { bytesOf, dumpOf, liveDumpOf, sourceOf } from './test-rows.ts';

function topicPut(topic: string): Command {
  return { kind: 'topicPut', topic, queueCount: 2, permission: 6, messageTypes: [1], atMs: 1 };
}

function startAt(log: TestLog, index: number): Command {
  const entry = log.entries[index - 1]!;
  return {
    kind: 'advanceLogStart',
    physicalOffset: PhysicalOffset(entry.payloadOffset - ENTRY_HEADER_SIZE_BYTES),
    firstIndex: entry.index,
    reason: 'age',
    storeTimestampMs: 0,
    atMs: 1,
  };
}

function message(queueOffset: number, extra: { keys?: string } = {}) {
  const messageId = `m${queueOffset}`;
  return {
    topic: 'a',
    queueId: 0,
    queueOffset,
    messageId,
    storeTimestampMs: queueOffset,
    ...extra,
  };
}

/** Messages, a topic deleted and made again, deliveries, and a start that moved. */
function smallLog(): TestLog {
  const log = new TestLog();
  log.append(topicPut('a'), topicPut('b'), topicPut('c'));
  log.append({ kind: 'groupPut', group: 'g', maxAttempts: 3, fifo: false, atMs: 1 });
  for (let i = 0; i < 6; i++) log.append(message(i, { keys: 'k' }));
  log.append({ topic: 'b', queueId: 1, queueOffset: 0, messageId: 'b0' });
  log.append({ kind: 'topicDelete', topic: 'b' }, topicPut('b'));
  log.append({ topic: 'b', queueId: 1, queueOffset: 0, messageId: 'b0' });
  log.append({
    kind: 'deliver',
    group: 'g',
    topic: 'a',
    clientId: 'c',
    autoRenew: false,
    attemptId: '',
    atMs: 5,
    invisibleUntilMs: 9,
    queues: [
      {
        queueId: 0,
        nextOffset: QueueOffset(5),
        deliveries: [2, 4].map((at) => {
          return { queueOffset: QueueOffset(at), attempt: 1, deliveryId: `d${at}` };
        }),
      },
    ],
  });
  log.append(startAt(log, 6));
  log.append(message(6));
  return log;
}

async function open(kv: KvStore): Promise<DerivedState> {
  const onEvent = (event: object) => assert.fail(JSON.stringify(event));
  return openDerivedState({ kv, onEvent, durableIndexMax: LogIndex(1_000_000) });
}

async function replayed(log: TestLog): Promise<{ rows: MemoryKvStore; state: DerivedState }> {
  const rows = new MemoryKvStore();
  const state = await open(rows);
  for (const entry of log.entries) state.apply(entry);
  return { rows, state };
}

async function snapshotOfAll(log: TestLog): Promise<Uint8Array[]> {
  const { state } = await replayed(log);
  const chunks = await bytesOf(await state.takeSnapshot());
  await state.close();
  return chunks;
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** What the log still has. */
function keptOf(log: TestLog, from: number) {
  return log.entries.map((entry) => (entry.index < from ? undefined : entry));
}

test('what the start of the log leaves behind is gone for everybody at once', async () => {
  const log = smallLog();
  const { state } = await replayed(log);
  assert.deepEqual(state.logStart, { index: 6, offset: log.entries[5]!.payloadOffset - 64 });
  assert.deepEqual(state.queueRange('a', 0), { min: 3, next: 7 });
  assert.equal(state.queueUnit('a', 0, QueueOffset(2)), null);
  assert.equal(state.queueUnit('a', 0, QueueOffset(3))?.storeTimestampMs, 3);
  assert.equal(state.findByKey('a', 'k', 10).length, 3);
  const { nextOffset, consumerOffset, inFlight } = state.progress('g', 'a', 0);
  assert.deepEqual([nextOffset, consumerOffset, inFlight.length], [5, 4, 1], 'one was in flight');
  const other = state.progress('other', 'a', 0);
  assert.deepEqual([other.nextOffset, other.consumerOffset], [3, 3], 'who never came begins there');
  assert.equal(state.firstOutcome('a', 'm0')?.queueOffset, 0, 'but its id is still known');
  await state.close();
});

test('a start behind the last one, or beyond its own command, does nothing', async () => {
  const log = smallLog();
  const { state } = await replayed(log);
  const before = state.logStart;
  const beyond = {
    ...startAt(log, 1),
    firstIndex: LogIndex(99),
    physicalOffset: PhysicalOffset(1e6),
  };
  for (const command of [startAt(log, 3), startAt(log, 6), beyond] as Command[]) {
    const [result] = state.apply(log.append(command));
    assert.deepEqual(result, {
      ...{ kind: 'logStartAdvanced', advanced: false },
      ...{ messageCount: 0, deliveryCount: 0 },
    });
  }
  assert.deepEqual(state.logStart, before);
  await state.close();
});

test('a saved offset before the queue means its first', async () => {
  const log = smallLog();
  const { state } = await replayed(log);
  const save = { kind: 'offsetSave', group: 'g', topic: 'a', queueId: 0 } as const;
  state.apply(log.append({ ...save, queueOffset: QueueOffset(1) }));
  assert.deepEqual(state.progress('g', 'a', 0).nextOffset, 3);
  await state.close();
});

test('a replica that begins with a snapshot ends with the rows of one that saw everything', async () => {
  const log = smallLog();
  const chunks = await snapshotOfAll(log);
  const rows = new MemoryKvStore();
  const asked: number[] = [];
  const source = sourceOf(chunks, keptOf(log, 6));
  const header = await installSnapshot(rows, {
    chunks: source.chunks,
    entries: (from, to) => {
      asked.push(from, to);
      return source.entries(from, to);
    },
  });
  assert.deepEqual(asked, [6, log.lastIndex], 'no entry before the start is needed');
  assert.deepEqual([...header.attachment], [7, 7]);

  const { rows: wanted, state: original } = await replayed(log);
  const state = await open(rows);
  assert.equal(state.appliedIndex, log.lastIndex);
  assert.equal(state.digest(), original.digest());
  const tail = [log.append(message(7)), log.append({ kind: 'topicDelete', topic: 'b' })];
  for (let i = 0; i < 5; i++) tail.push(log.appendPayload('noop', new Uint8Array(0)));
  for (const entry of tail) {
    assert.deepEqual(state.apply(entry), original.apply(entry));
  }
  assert.equal(state.digest(), original.digest());
  await Promise.all([state.close(), original.close()]);
  assert.deepEqual(liveDumpOf(rows), liveDumpOf(wanted));
  assert.deepEqual(dumpOf(rows), dumpOf(wanted), 'the dead rows are gone by now');
});

test('one flipped bit at any byte of a snapshot is refused, and so is a part of it', async () => {
  const chunks = await snapshotOfAll(smallLog());
  assert.equal((await verifySnapshot(each(chunks))).appliedIndex, smallLog().lastIndex);
  for (const [number, chunk] of chunks.entries()) {
    for (let at = 0; at < chunk.length; at++) {
      const damaged = chunk.slice();
      damaged[at]! ^= 1 << (at % 8);
      const all = chunks.with(number, damaged);
      await assert.rejects(verifySnapshot(each(all)), CorruptionError, `chunk ${number} at ${at}`);
    }
    const short = chunks.with(number, chunk.subarray(0, -1));
    await assert.rejects(verifySnapshot(each(short)), CorruptionError);
    await assert.rejects(verifySnapshot(each(chunks.toSpliced(number, 1))), CorruptionError);
  }
  await assert.rejects(verifySnapshot(each([...chunks].reverse())), CorruptionError);
  await assert.rejects(verifySnapshot(each([...chunks, chunks.at(-1)!])), CorruptionError);
});

test('a snapshot and entries that do not belong together are refused', async () => {
  const log = smallLog();
  const chunks = await snapshotOfAll(log);
  const kept = keptOf(log, 6);
  const other = smallLog().entries.map((entry) => ({ ...entry }));
  other[6] = { ...other[6]!, payload: log.entries[7]!.payload };
  const cases: [string, Parameters<typeof sourceOf>[1]][] = [
    ['one entry is missing', kept.with(7, undefined)],
    ['the last is missing', kept.slice(0, -1)],
    ['none is there', []],
    ['a message of another place', other],
  ];
  for (const [why, entries] of cases) {
    const rows = new MemoryKvStore();
    await assert.rejects(installSnapshot(rows, sourceOf(chunks, entries)), CorruptionError, why);
    assert.equal(rows.get('M'), null, 'nobody takes it for whole');
  }
});

test('a large snapshot has equal chunks, each of which can be checked alone', async () => {
  const log = new TestLog();
  log.append(topicPut('a'));
  const keys = Array.from({ length: 30 }, (_, i) => `${i}${'x'.repeat(200)}`).join(' ');
  for (let i = 0; i < 12; i++) {
    log.append(...Array.from({ length: 40 }, (_, j) => message(40 * i + j, { keys })));
  }
  // All of them before the start: their journal travels, since their ids are still known.
  log.append(startAt(log, log.lastIndex));
  const chunks = await snapshotOfAll(log);
  assert.ok(chunks.length > 3, `${chunks.length} chunks`);
  for (const [number, chunk] of chunks.entries()) {
    assert.equal(checkedChunk(chunk, number).kind, number < chunks.length - 1 ? 'stream' : 'end');
    if (number < chunks.length - 2) assert.equal(chunk.length, SNAPSHOT_CHUNK_SIZE_BYTES);
    assert.throws(() => checkedChunk(chunk, number + 1), CorruptionError);
  }
  const rows = new MemoryKvStore();
  await installSnapshot(rows, sourceOf(chunks, keptOf(log, log.lastIndex - 1)));
  const { rows: wanted, state } = await replayed(log);
  await state.close();
  assert.deepEqual(liveDumpOf(rows), liveDumpOf(wanted));
});

test('a snapshot is of its index, whatever is applied and committed while it is read', async () => {
  const log = smallLog();
  const { state } = await replayed(log);
  const wanted = await snapshotOfAll(log);
  const snapshot = await state.takeSnapshot();
  for (let i = 7; i < 200; i++) state.apply(log.append(message(i)));
  state.flush();
  await state.flushed();
  assert.deepEqual(await bytesOf(snapshot), wanted);
  await state.close();
});

test('dead rows go at a bounded pace, and no slower than messages come', async () => {
  const log = new TestLog();
  log.append(topicPut('a'));
  const countOf = (store: MemoryKvStore, table: string) =>
    [...store.range(table, `${table}\xff`)].length;
  for (let i = 0; i < 10; i++) {
    log.append(...Array.from({ length: 50 }, (_, j) => message(50 * i + j, { keys: 'k' })));
  }
  log.append(startAt(log, log.lastIndex));
  const { rows, state } = await replayed(log);
  const counts: number[] = [];
  for (let i = 0; i < 12; i++) {
    state.flush();
    await state.flushed();
    counts.push(countOf(rows, 'K'));
    const records =
      i < 3 ? Array.from({ length: 50 }, (_, j) => message(500 + 50 * i + j, { keys: 'k' })) : [];
    state.apply(log.append(...records));
  }
  const steps = counts.slice(1).map((count, i) => counts[i]! - count);
  assert.ok(
    steps.slice(0, 3).every((step) => step > 0),
    'fewer, although messages come',
  );
  assert.ok(steps.slice(3).every((step) => step <= TRIMMED_MESSAGES_PER_ENTRY));
  assert.equal(counts.at(-1), 200, 'the last entry and the three after it');
  assert.equal(countOf(rows, 'Q'), Math.ceil(650 / 64) - Math.floor(450 / 64));
  await state.close();
});

test('the digest tells apart other records, other results and another order', async () => {
  const digestOf = async (...commands: Command[]) => {
    const log = new TestLog();
    for (const command of commands) log.append(command);
    const { state } = await replayed(log);
    const digest = state.digest();
    await state.close();
    return digest;
  };
  const variants = [
    [],
    [topicPut('a')],
    [topicPut('b')],
    [topicPut('a'), topicPut('b')],
    [topicPut('b'), topicPut('a')],
    [topicPut('a'), topicPut('a')],
  ];
  const digests = await Promise.all(variants.map((commands) => digestOf(...commands)));
  assert.equal(new Set(digests).size, variants.length);
  assert.equal(await digestOf(topicPut('a')), digests[1]);
  assert.match(digests[1]!, /^[0-9a-f]{16}$/);
});
