import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, LogIndex, PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { AdminCommand, AdminDeed } from '../../protocol/admin-command.ts';
import type { Command } from '../../protocol/command-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { DerivedState } from './derived-state.ts';
import { HeldKvStore } from './held-kv-store.ts';
import { installSnapshot } from './install-snapshot.ts';
import type { KvStore } from './kv-store.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { openDerivedState } from './open-derived-state.ts';
import { recordBytes, TestLog, type TestMessage } from './test-log.ts';
import { Model, observedOf, observedOfModel, type Vocabulary } from './test-model.ts';
import { bytesOf, dumpOf, liveDumpOf, sourceOf } from './test-rows.ts';

const WORDS: Vocabulary = {
  topics: ['orders', 'zahlung-ü'],
  groups: ['g1', 'gruppe-ü'],
  ids: [
    'id0',
    'id1',
    'идент',
    `long-${'x'.repeat(300)}`,
    ...Array.from({ length: 60 }, (_, i) => `m${i}`),
  ],
  keys: ['k0', 'ключ', 'id1', 'y'.repeat(400)],
};
const QUEUE_COUNT_MAX = 3;
const WINDOW = { countMin: 5, countMax: 70, ageMsMax: 50 };

/** Small numbers; what they mean depends on the state in which they are used. */
const aChoice = fc.record({
  kind: fc.constantFrom(
    ...(['topicPut', 'topicPut', 'topicDelete', 'groupPut', 'offsetSave'] as const),
    ...(['advanceLogStart', 'advanceLogStart', 'topicRetentionPut'] as const),
    ...(['checkpoint', 'checkpointClaim'] as const),
    ...(['message', 'message', 'message', 'message', 'messages', 'messages'] as const),
    ...(['deliver', 'deliver', 'deliver', 'deliver', 'deliver', 'deliver'] as const),
    ...(['acknowledge', 'acknowledge', 'changeInvisible', 'changeInvisible', 'admin'] as const),
  ),
  topic: fc.constantFrom(...WORDS.topics),
  group: fc.constantFrom(...WORDS.groups),
  queueId: fc.nat(QUEUE_COUNT_MAX - 1),
  pick: fc.nat(7),
  other: fc.nat(7),
  wrong: fc.nat(7),
});
type Choice = typeof aChoice extends fc.Arbitrary<infer T> ? T : never;

const aStep = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.array(aChoice, { minLength: 1, maxLength: 3 }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...(['flush', 'finishCommit', 'crash', 'restart', 'snapshot', 'install'] as const),
    ),
  },
);

class Run {
  readonly #log = new TestLog();
  readonly #model = new Model(WINDOW);
  #rows = new MemoryKvStore();
  #store = new HeldKvStore(this.#rows);
  #timeMs = 1_000;
  #deliveryCount = 0;
  #state: DerivedState | null = null;

  get #derived(): DerivedState {
    assert(this.#state !== null);
    return this.#state;
  }

  /** Also after a crash: whatever the old state had not committed is replayed. */
  async open(): Promise<void> {
    this.#store = new HeldKvStore(this.#rows);
    this.#state = await openOn(this.#store, this.#log.lastIndex);
    for (const entry of this.#log.entries.slice(this.#state.appliedIndex)) this.#state.apply(entry);
  }

  /** Something to work with from the start. */
  createTopics(): void {
    for (const topic of WORDS.topics) {
      const config = { topic, queueCount: 2, permission: 6, messageTypes: [1], atMs: 1 };
      const command: Command = { kind: 'topicPut', ...config };
      this.#model.command(command, { index: 1, offset: 0 });
      this.#derived.apply(this.#log.append(command));
    }
  }

  async step(step: typeof aStep extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
    if (step === 'flush') this.#derived.flush();
    else if (step === 'finishCommit') await this.#finishOneCommit();
    else if (step === 'crash') await this.open();
    else if (step === 'restart') {
      await this.commitAll();
      await this.open();
    } else if (step === 'snapshot') await this.#snapshot();
    else if (step === 'install') {
      // From here on a replica that never saw the first entries is compared with the model.
      const chunks = await this.#snapshot();
      this.#rows = new MemoryKvStore();
      const from = this.#derived.logStart.index;
      const kept = this.#log.entries.map((entry) => (entry.index < from ? undefined : entry));
      await installSnapshot(this.#rows, sourceOf(chunks, kept));
      await this.open();
    } else this.#entry(step);
  }

  /** The bytes that every replica has at this index. */
  async #snapshot(): Promise<readonly Uint8Array[]> {
    const index = this.#derived.appliedIndex;
    const taking = this.#derived.takeSnapshot();
    while (this.#derived.unflushedEntries > 0) await this.#finishOneCommit();
    const snapshot = await taking;
    assert.equal(snapshot.appliedIndex, index);
    assert.equal(snapshot.digest, this.#derived.digest());
    const chunks = await bytesOf(snapshot);
    const other = await replayed(this.#log);
    assert.deepEqual(await bytesOf(await other.state.takeSnapshot()), chunks);
    await other.state.close();
    assert.deepEqual(liveDumpOf(this.#rows), liveDumpOf(other.rows));
    return chunks;
  }

  async commitAll(): Promise<void> {
    while (this.#derived.unflushedEntries > 0) {
      this.#derived.flush();
      await this.#finishOneCommit();
    }
  }

  check(): void {
    assert.deepEqual(observedOf(this.#derived, WORDS), observedOfModel(this.#model, WORDS));
  }

  /** The same rows, byte for byte, as when the log is replayed from its start in one go. */
  async checkRebuild(): Promise<void> {
    await this.commitAll();
    const early = await replayed(this.#log);
    await early.state.close();
    assert.deepEqual(liveDumpOf(this.#rows), liveDumpOf(early.rows));
    assert.equal(this.#derived.digest(), early.state.digest());
    // Until what is dead is gone.
    for (let i = 0; i < 60; i++) {
      this.#derived.apply(this.#log.appendPayload('noop', new Uint8Array(0)));
    }
    await this.commitAll();
    const late = await replayed(this.#log);
    await late.state.close();
    assert.deepEqual(dumpOf(this.#rows), dumpOf(late.rows));
    const withoutTrim = dumpOf(late.rows).filter((row) => !row.startsWith('Y'));
    assert.deepEqual(liveDumpOf(late.rows), withoutTrim, 'all that is left is alive');
    assert.equal(this.#derived.digest(), late.state.digest());
  }

  async #finishOneCommit(): Promise<void> {
    if (!(await this.#store.finishCommit())) return;
    // The state learns of it in a microtask of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #entry(choices: readonly Choice[]): void {
    const records: (Command | TestMessage)[] = [];
    const wanted: unknown[] = [];
    let placedAt = this.#log.nextPayloadOffset;
    for (const record of choices.flatMap((choice) => this.#recordsOf(choice))) {
      // Messages are validated by the leader against what is before them, in the same entry too.
      const result = this.#modelResult(record, placedAt);
      if (result === null) continue;
      records.push(record);
      wanted.push(result);
      placedAt = advance(placedAt, recordBytes(record).length);
    }
    assert.deepEqual(this.#derived.apply(this.#log.append(...records)), wanted);
  }

  #modelResult(record: Command | TestMessage, placedAt: number): unknown {
    if ('kind' in record) {
      const index = advance(this.#log.lastIndex, 1);
      return this.#model.command(record, { index, offset: placedAt });
    }
    const topic = this.#model.topics.get(record.topic);
    if (topic === undefined || record.queueId >= topic.queueCount) return null;
    if (record.queueOffset !== topic.queue(record.queueId).length) return null;
    this.#model.store(record, placedAt);
    const { topic: name, messageId, queueId, queueOffset, storeTimestampMs } = record;
    const place = { topic: name, messageId, queueId, queueOffset, physicalOffset: placedAt };
    return { kind: 'messageStored', ...place, storeTimestampMs };
  }

  #recordsOf(choice: Choice): readonly (Command | TestMessage)[] {
    const { kind, topic, group, queueId, pick, other } = choice;
    if (kind === 'message') return this.#messages(choice, 1);
    // Enough to fill a chunk and to push others out of the window.
    if (kind === 'messages') return this.#messages(choice, 40);
    const atMs = this.#timeMs++;
    if (kind === 'topicPut') {
      const queueCount = 1 + (pick % QUEUE_COUNT_MAX);
      return [{ kind, topic, queueCount, permission: other, messageTypes: [1, pick], atMs }];
    }
    if (kind === 'topicDelete') return [{ kind, topic }];
    if (kind === 'groupPut') return [{ kind, group, maxAttempts: pick, fifo: other > 3, atMs }];
    if (kind === 'offsetSave') {
      return [{ kind, group, topic, queueId, queueOffset: QueueOffset(pick * other) }];
    }
    if (kind === 'checkpoint') return [{ kind, atMs: this.#timeMs }];
    if (kind === 'checkpointClaim') {
      const index = LogIndex(Math.max(1, this.#log.lastIndex - 3 * pick));
      const digests = { stateDigest: 'ab'.repeat(8), rangeDigest: 'cd'.repeat(32) };
      return [{ kind, index, headerCrc: pick, firstIndex: LogIndex(1), ...digests }];
    }
    if (kind === 'topicRetentionPut') return [{ kind, topic, minRetentionMs: 1_000 * pick }];
    if (kind === 'advanceLogStart') return [this.#logStartCommand(choice)];
    if (kind === 'admin') return [adminCommand(pick, other)];
    return [this.#deliveryCommand(choice, kind)];
  }

  #messages({ topic, queueId, pick, other }: Choice, count: number): readonly TestMessage[] {
    const from = this.#model.topics.get(topic)?.queue(queueId).length ?? 0;
    return Array.from({ length: count }, (_, i) => {
      this.#timeMs += other === 7 && i === 0 ? 30 : (pick % 3) - 1; // now and then time goes back
      return {
        topic,
        queueId,
        queueOffset: from + i,
        messageId: WORDS.ids[(pick + 7 * other + i) % WORDS.ids.length] ?? '',
        storeTimestampMs: this.#timeMs,
        ...(other < 5 ? { tag: `tag-ü${other}` } : {}),
        ...(pick < 6 ? { keys: `${WORDS.keys[pick % 4]} ${WORDS.keys[other % 4]}` } : {}),
      };
    });
  }

  /** Somewhere in the log, more often than not forward; also behind its end. */
  #logStartCommand({ pick, other, wrong }: Choice): Command {
    const { entries } = this.#log;
    const share = (8 * pick + other) / 64;
    const first = entries[Math.floor(share * entries.length)];
    const beyond = { index: this.#log.lastIndex + 2, payloadOffset: this.#log.nextPayloadOffset };
    const { index, payloadOffset } = wrong === 1 || first === undefined ? beyond : first;
    return {
      kind: 'advanceLogStart',
      physicalOffset: PhysicalOffset(payloadOffset - ENTRY_HEADER_SIZE_BYTES),
      firstIndex: LogIndex(index),
      reason: 'age',
      storeTimestampMs: 0,
      atMs: this.#timeMs,
    };
  }

  #deliveryCommand(choice: Choice, kind: 'deliver' | 'acknowledge' | 'changeInvisible'): Command {
    const { group, topic, queueId, pick, other, wrong } = choice;
    const queue = this.#model.topics.get(topic)?.progress.get(`${group}/${queueId}`);
    const delivery = queue?.inFlight[pick % queue.inFlight.length];
    const queueOffset = QueueOffset(wrong === 1 ? pick : (delivery?.queueOffset ?? other));
    const deliveryId = wrong === 2 ? 'other' : (delivery?.deliveryId ?? 'none');
    const invisibleUntilMs = this.#timeMs + 100 * pick;
    if (kind === 'acknowledge') {
      const handle = { queueId, queueOffset, deliveryId };
      return { kind, group, topic, deliveries: other === 0 ? [handle, handle] : [handle] };
    }
    if (kind === 'changeInvisible') {
      const newDeliveryId = other < 4 ? null : `changed-${this.#deliveryCount++}`;
      const names = { group, topic, queueId, queueOffset, deliveryId };
      return { kind, ...names, invisibleUntilMs, newDeliveryId };
    }
    const nextOffset = queue?.nextOffset ?? 0;
    const fresh = [nextOffset, nextOffset + 1 + (other % 3)];
    const deliveries = fresh.map((offset) => ({
      queueOffset: QueueOffset(offset),
      attempt: 1,
      deliveryId: `d${this.#deliveryCount++}`,
    }));
    const attempt = wrong === 3 ? pick : (delivery?.attempt ?? 0) + 1;
    const again = { queueOffset, attempt, deliveryId: `d${this.#deliveryCount++}` };
    const first = { queueId, nextOffset: QueueOffset(nextOffset + other), deliveries };
    const second = { queueId: pick % QUEUE_COUNT_MAX, nextOffset: QueueOffset(0) };
    return {
      kind,
      group,
      topic,
      clientId: `client-${pick}`,
      autoRenew: other > 3,
      attemptId: `attempt-${other}`,
      atMs: this.#timeMs++,
      invisibleUntilMs,
      queues:
        wrong > 3
          ? [first]
          : [
              { ...first, deliveries: [...deliveries, again] },
              { ...second, deliveries: [again] },
            ],
    };
  }
}

function openOn(kv: KvStore, durableIndexMax: LogIndex): Promise<DerivedState> {
  const onEvent = (event: object) => assert.fail(JSON.stringify(event));
  return openDerivedState({ kv, onEvent, durableIndexMax, windowBounds: WINDOW });
}

async function replayed(log: TestLog): Promise<{ rows: MemoryKvStore; state: DerivedState }> {
  const rows = new MemoryKvStore();
  const state = await openOn(rows, log.lastIndex);
  for (const entry of log.entries) state.apply(entry);
  return { rows, state };
}

test('what can be observed equals the plain model after every entry, commit, crash, restart and install', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(aStep, { minLength: 5, maxLength: 60, size: 'max' }),
      async (steps) => {
        const run = new Run();
        await run.open();
        run.createTopics();
        for (const step of steps) {
          await run.step(step);
          run.check();
        }
        await run.checkRebuild();
        run.check();
      },
    ),
    { numRuns: 120, includeErrorInReport: true },
  );
});

function adminCommand(pick: number, other: number): AdminCommand {
  const operationId = `op${other % 2}`;
  const deed: AdminDeed =
    pick % 2 === 0
      ? { kind: 'takeLock', operationId, steal: pick === 6 }
      : { kind: 'releaseLock', operationId };
  const line = { atMs: pick, actor: 'who', action: 'what', phase: 'begun', planHash: '' };
  return { kind: 'admin', line: { ...line, configIndex: LogIndex(0), details: '' }, deed };
}
