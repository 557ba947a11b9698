import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, LogIndex, PhysicalOffset, QueueOffset } from '../../src/base/units.ts';
import { type Broker, createBroker } from '../../src/broker/broker.ts';
import { RETENTION } from '../../src/broker/limits.ts';
import type { RetentionBounds } from '../../src/broker/services/retention.ts';
import {
  decideLogStart,
  type LogExtent,
  type RetentionLimits,
  type SegmentStart,
} from '../../src/broker/services/retention-decision.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { type Command, encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { GROUP, outgoing, receiveRequest, TOPIC } from './broker-fixture.ts';
import { MemoryReplica } from './memory-replica.ts';

const HOUR_MS = 60 * 60 * 1_000;
const NEVER: RetentionLimits = { ageMsMax: null, sizeBytesMax: null };

/** Each entry counts as a segment: the decision knows nothing of their size. */
class Stage {
  readonly replica: MemoryReplica;
  readonly clock = new ManualClock();
  readonly broker: Broker;
  readonly segments: SegmentStart[] = [];
  endOffset = PhysicalOffset(0);
  /** What the replica lets go; null: everything. */
  removableBefore: LogIndex | null = null;

  static async open(limits: RetentionLimits): Promise<Stage> {
    return new Stage(await MemoryReplica.open(), limits);
  }

  private constructor(replica: MemoryReplica, retention: RetentionLimits) {
    this.replica = replica;
    const retentionBounds: RetentionBounds = () => this.extent;
    this.broker = createBroker({
      ...{ replica, clock: this.clock, autoCreateTopics: true, storeHost: '10.0.0.9:10911' },
      ...{ retention, retentionBounds },
    });
    replica.onApplied(({ index, payloadOffset, payload }) => {
      const physicalOffset = advance(payloadOffset, -ENTRY_HEADER_SIZE_BYTES);
      this.segments.push({ firstIndex: index, physicalOffset });
      this.endOffset = advance(payloadOffset, payload.length);
    });
    replica.lead();
  }

  get extent(): LogExtent {
    const { segments, endOffset } = this;
    const removableBefore = this.removableBefore ?? this.replica.state.appliedIndex;
    return { segments, endOffset, removableBefore };
  }

  async send(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.#serve({ kind: 'send', messages: [outgoing()] });
    }
  }

  async receive(batchSize: number): Promise<readonly string[]> {
    const request = receiveRequest({ batchSize, waitMs: 0 });
    const response = await this.#serve(request);
    assert.ok(response.kind === 'received');
    return response.messages.map(({ handle }) => handle);
  }

  async ack(handles: readonly string[]): Promise<readonly string[]> {
    const response = await this.#serve({ kind: 'ack', group: GROUP, topic: TOPIC, handles });
    assert.ok(response.kind === 'acked');
    return response.outcomes;
  }

  async propose(command: Command): Promise<void> {
    const records = encodeCommandRecord(command);
    const outcome = await this.replica.propose({ records, messageRecordAt: [] });
    assert.equal(outcome.kind, 'applied');
  }

  /** Moves the clock by the age, then to the next check. */
  async pass(ageMs: number): Promise<void> {
    this.clock.advance(ageMs);
    this.clock.advance(RETENTION.checkPeriodMs);
    await new Promise((resolve) => setImmediate(resolve));
  }

  decide(limits: Partial<RetentionLimits>, extent: Partial<LogExtent> = {}) {
    return decideLogStart({
      state: this.replica.state,
      extent: { ...this.extent, ...extent },
      limits: { ...NEVER, ...limits },
      nowMs: this.clock.wallMs(),
    });
  }

  oldestHeldOffset(): number {
    const { state } = this.replica;
    const queueCount = state.topic(TOPIC)?.queueCount ?? 0;
    const offsets = Array.from({ length: queueCount }, (_, queueId) => {
      const { consumerOffset } = state.progress(GROUP, TOPIC, queueId);
      return state.queueUnit(TOPIC, queueId, consumerOffset)?.physicalOffset ?? Infinity;
    });
    return Math.min(...offsets);
  }

  get queuedCount(): number {
    const { state } = this.replica;
    const queueCount = state.topic(TOPIC)?.queueCount ?? 0;
    return Array.from({ length: queueCount }, (_, queueId) => {
      const { min, next } = state.queueRange(TOPIC, queueId);
      return next - min;
    }).reduce((sum, count) => sum + count, 0);
  }

  #serve(request: Parameters<Broker['serve']>[0]) {
    const signal = new AbortController().signal;
    return this.broker.serve(request, { remainingMs: 60_000, signal, isRetry: false });
  }
}

test('messages go when they are older than the limit, and are counted', async () => {
  const stage = await Stage.open({ ageMsMax: HOUR_MS, sizeBytesMax: null });
  await stage.send(5);
  const handles = await stage.receive(2);
  assert.equal(handles.length, 2);
  stage.clock.advance(HOUR_MS / 2);
  await stage.send(3);
  await stage.pass(0);
  assert.equal(stage.queuedCount, 8, 'nothing is old');
  await stage.pass(HOUR_MS / 2);
  assert.equal(stage.queuedCount, 4, 'the old ones but the one before the first young one');
  assert.deepEqual(stage.broker.counters.expired, 4);
  assert.deepEqual(stage.broker.counters.expiredInFlight, 2);
  assert.deepEqual(await stage.ack(handles), ['ok', 'ok'], 'whoever held them learns nothing new');
  assert.equal((await stage.receive(32)).length, 4, 'a group goes on with what is there');
  stage.broker.close();
});

test('nothing goes as long as the replica needs it, or when nothing is said about limits', async () => {
  const stage = await Stage.open(NEVER);
  await stage.send(5);
  stage.clock.advance(1_000 * HOUR_MS);
  assert.equal(stage.decide({}), null);
  assert.equal(stage.decide({ ageMsMax: HOUR_MS }, { removableBefore: LogIndex(0) }), null);
  const fourth = stage.segments[3]!;
  const limited = stage.decide({ ageMsMax: HOUR_MS }, { removableBefore: fourth.firstIndex });
  assert.deepEqual(limited, { start: fourth, reason: 'age' });
  assert.equal(stage.decide({ ageMsMax: HOUR_MS }, { segments: [] }), null);
  stage.broker.close();
});

test('a log without a message does not grow old', async () => {
  const stage = await Stage.open(NEVER);
  for (let i = 0; i < 3; i++) {
    await stage.propose({ kind: 'groupPut', group: 'g', maxAttempts: i, fifo: false, atMs: 1 });
  }
  stage.clock.advance(1_000 * HOUR_MS);
  assert.equal(stage.decide({ ageMsMax: HOUR_MS }), null);
  stage.broker.close();
});

test('by size only what every group has consumed goes, and at least the limit stays', async () => {
  const stage = await Stage.open(NEVER);
  await stage.send(10);
  const sizeBytesMax = stage.endOffset - stage.segments.at(-3)!.physicalOffset;
  assert.deepEqual(
    stage.decide({ sizeBytesMax }),
    { start: stage.segments.at(-3), reason: 'size' },
    'no group has begun',
  );
  const held = await stage.receive(4);
  const rest = await stage.receive(32);
  assert.equal(held.length + rest.length, 10);
  await stage.ack(rest);
  const { consumerOffset } = stage.replica.state.progress(GROUP, TOPIC, 0);
  assert.ok(
    consumerOffset < stage.replica.state.queueRange(TOPIC, 0).next,
    'one of queue 0 is held',
  );
  const oldestHeld = stage.segments.findIndex(
    ({ physicalOffset }) => physicalOffset > stage.oldestHeldOffset(),
  );
  assert.deepEqual(stage.decide({ sizeBytesMax })?.start, stage.segments[oldestHeld - 1]);
  await stage.ack(held);
  const size = stage.endOffset - stage.segments.at(-2)!.physicalOffset;
  assert.deepEqual(stage.decide({ sizeBytesMax: size })?.start, stage.segments.at(-2));
  assert.equal(stage.decide({ sizeBytesMax: stage.endOffset }), null, 'it is not that large');
  stage.broker.close();
});

test('by age unconsumed messages go as well', async () => {
  const stage = await Stage.open(NEVER);
  await stage.send(4);
  await stage.receive(2);
  stage.clock.advance(2 * HOUR_MS);
  const decision = stage.decide({ ageMsMax: HOUR_MS, sizeBytesMax: 1 });
  assert.equal(decision?.reason, 'age');
  assert.deepEqual(decision?.start, stage.segments.at(-1));
  stage.broker.close();
});

test('the minimum of one topic keeps the log for it', async () => {
  const stage = await Stage.open(NEVER);
  await stage.send(4);
  await stage.propose({ kind: 'topicRetentionPut', topic: TOPIC, minRetentionMs: 5 * HOUR_MS });
  assert.equal(stage.replica.state.topic(TOPIC)?.minRetentionMs, 5 * HOUR_MS);
  stage.clock.advance(2 * HOUR_MS);
  await stage.send(1);
  const early = stage.decide({ ageMsMax: HOUR_MS });
  const firstMessage = stage.replica.state.queueUnit(TOPIC, 0, QueueOffset(0))!.physicalOffset;
  assert.ok((early?.start.physicalOffset ?? 0) < firstMessage, 'all its messages stay');
  stage.clock.advance(4 * HOUR_MS);
  const late = stage.decide({ ageMsMax: HOUR_MS });
  assert.deepEqual(
    late?.start,
    stage.segments.at(-1),
    'all but the message that is four hours old',
  );
  stage.broker.close();
});

test('a wall clock that is set ahead deletes nothing', async () => {
  const stage = await Stage.open({ ageMsMax: HOUR_MS, sizeBytesMax: null });
  await stage.send(3);
  const { wallMs } = stage.clock;
  stage.clock.wallMs = () => wallMs.call(stage.clock) + 100 * HOUR_MS;
  await stage.pass(0);
  assert.equal(stage.queuedCount, 3);
  stage.broker.close();
});

test('only a leader decides', async () => {
  const stage = await Stage.open({ ageMsMax: HOUR_MS, sizeBytesMax: null });
  await stage.send(3);
  stage.replica.loseLeadership(null);
  await stage.pass(2 * HOUR_MS);
  assert.equal(stage.queuedCount, 3);
  stage.replica.lead();
  await stage.pass(0);
  assert.ok(stage.queuedCount < 3);
  stage.broker.close();
});
