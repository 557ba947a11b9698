import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../../src/base/crc32.ts';
import { MIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { encodeEntry } from '../../src/protocol/entry-codec.ts';
import { type EntryType, entrySizeBytes } from '../../src/raft/entry.ts';
import { ApplyLoop } from '../../src/replica/apply-loop.ts';
import { UNFLUSHED_ENTRIES_MAX } from '../../src/replica/limits.ts';
import type { StoredEntry } from '../../src/store/commit-log.ts';
import type { KvChanges } from '../../src/store/derived/kv-store.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { MemoryCommitLog, MemoryStore } from './memory-commit-log.ts';

/** A database that takes its time. */
class SlowKvStore extends MemoryKvStore {
  #release: () => void = () => {};
  #gate: Promise<void> = Promise.resolve();

  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  override async commit(changes: KvChanges): Promise<void> {
    await this.#gate;
    await super.commit(changes);
  }
}

/** `count` entries that change nothing but the applied index. */
function openLog(count: number, payloadSizeBytes: number): MemoryCommitLog {
  const store = new MemoryStore({
    clusterId: 'c',
    groupId: 'g',
    nodeId: NodeId('n1'),
    storeUuid: 's',
    segmentSizeBytes: 2 ** 40,
  });
  const payload = new Uint8Array(payloadSizeBytes);
  const payloadCrc = crc32(payload);
  const sizeBytes = entrySizeBytes(payloadSizeBytes);
  const type: EntryType = 'noop';
  let sample: Uint8Array | null = null;
  for (let i = 1; i <= count; i++) {
    const desc: StoredEntry['desc'] = {
      index: LogIndex(i),
      term: Term(1),
      type,
      physicalOffset: PhysicalOffset(4096 + i * sizeBytes),
      sizeBytes,
      payloadSizeBytes,
      payloadCrc,
    };
    sample ??= encodeEntry({ ...desc, leaderCommit: LogIndex(0), prevHeaderCrc: 0 }, payload);
    store.entries.push({ desc, bytes: sample });
  }
  return new MemoryCommitLog(store);
}

async function openLoop(log: MemoryCommitLog, kv: MemoryKvStore) {
  const clock = new ManualClock();
  const state = await openDerivedState({
    kv,
    durableIndexMax: LogIndex(0),
    onEvent: (event) => assert.fail(JSON.stringify(event)),
  });
  const failures: unknown[] = [];
  const loop: ApplyLoop = new ApplyLoop({
    log,
    state,
    clock,
    onEntry: () => {},
    onReady: () => loop.runSlice(),
    onFatal: (error) => failures.push(error),
  });
  return { clock, state, loop, failures };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a database that lags stops applying after one batch more, and is waited for', async () => {
  const count = 3 * UNFLUSHED_ENTRIES_MAX;
  const kv = new SlowKvStore();
  kv.hold();
  const { loop, state, failures } = await openLoop(openLog(count, 0), kv);
  loop.extendTo(LogIndex(count));
  loop.runSlice();
  await settle();
  assert.equal(state.appliedIndex, 2 * UNFLUSHED_ENTRIES_MAX);
  assert.equal(loop.hasWork, false);
  kv.release();
  await settle();
  assert.equal(state.appliedIndex, count);
  await loop.close();
  assert.equal(state.unflushedEntries, 0);
  assert.deepEqual(failures, []);
});

test('a slice ends after its share of bytes, and the next comes in a later turn', async () => {
  const { loop, state, clock } = await openLoop(openLog(20, MIB), new MemoryKvStore());
  loop.extendTo(LogIndex(20));
  loop.runSlice();
  assert.equal(state.appliedIndex, 8);
  assert.equal(loop.hasWork, false, 'the event loop has its turn');
  clock.advance(0);
  assert.equal(state.appliedIndex, 16);
  clock.advance(0);
  assert.equal(state.appliedIndex, 20);
  await loop.close();
  assert.equal(clock.timerCount, 0);
});

test('a read from disk that fails is reported', async () => {
  const log = openLog(2, 0);
  log.cachedCount = 0;
  log.readEntries = () => Promise.reject(new Error('EIO'));
  const { loop, failures } = await openLoop(log, new MemoryKvStore());
  loop.extendTo(LogIndex(2));
  loop.runSlice();
  await settle();
  assert.equal(failures.length, 1);
  await loop.close();
});
