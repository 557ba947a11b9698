/** A disk without room under the database of derived state (H10): what is applied waits, nothing is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import { LogIndex } from '../../base/units.ts';
import { DiskError } from '../../io/disk.ts';
import { ManualClock, settled } from '../../io/memory/manual-clock.ts';
import type { KvChanges } from './kv-store.ts';
import { NO_ROOM_RETRY_MS } from './limits.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { type DerivedEvent, openDerivedState } from './open-derived-state.ts';
import { TestLog } from './test-log.ts';

class CrowdedKvStore extends MemoryKvStore {
  /** Why commits fail; null: they do not. */
  code: string | null = null;
  attemptCount = 0;

  override async commit(changes: KvChanges): Promise<void> {
    this.attemptCount++;
    if (this.code !== null) throw new DiskError('commit to', '/derived/1', this.code);
    return super.commit(changes);
  }
}

async function aState({ waits = true } = {}) {
  const kv = new CrowdedKvStore();
  const clock = new ManualClock();
  const stopping = new AbortController();
  const events: DerivedEvent[] = [];
  const log = new TestLog();
  const open = () =>
    openDerivedState({
      ...{ kv, durableIndexMax: LogIndex(99) },
      onEvent: (event) => events.push(event),
      ...(waits ? { roomWait: { clock, stopping: stopping.signal } } : {}),
    });
  const state = await open();
  const putTopic = (topic: string) => {
    const config = { queueCount: 1, permission: 6, messageTypes: [1], atMs: 1 };
    state.apply(log.append({ kind: 'topicPut', topic, ...config }));
  };
  return { kv, clock, stopping, events, state, putTopic, open };
}

test('a commit that finds no room is tried every second until there is room', async () => {
  const { kv, clock, events, state, putTopic, open } = await aState();
  putTopic('a');
  kv.code = 'ENOSPC';
  state.flush();
  await settled();
  putTopic('b');
  state.flush();
  await clock.advanceSettling(5 * NO_ROOM_RETRY_MS);
  assert.equal(kv.attemptCount, 6);
  assert.deepEqual(events, [{ kind: 'commitWaitsForRoom' }], 'said once');
  assert.equal(state.unflushedEntries, 2);
  assert.ok(state.topic('a') !== null && state.topic('b') !== null, 'readable meanwhile');

  kv.code = null;
  await clock.advanceSettling(NO_ROOM_RETRY_MS);
  await state.flushed();
  assert.equal(state.unflushedEntries, 0);
  await state.close();
  const reopened = await open();
  assert.equal(reopened.appliedIndex, 2);
  assert.ok(reopened.topic('a') !== null && reopened.topic('b') !== null);
});

test('a process that stops does not wait for room: the next one replays', async () => {
  const { kv, clock, stopping, events, state, putTopic, open } = await aState();
  putTopic('a');
  kv.code = 'EDQUOT';
  state.flush();
  await settled();
  stopping.abort();
  state.flush();
  await state.flushed();
  await state.close();
  assert.equal(clock.timerCount, 0);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['commitWaitsForRoom'],
  );
  kv.code = null;
  const reopened = await open();
  assert.equal(reopened.appliedIndex, 0, 'nothing is claimed that was not committed');
});

test('another failure is fatal as ever, also after a wait for room', async () => {
  const { kv, clock, events, state, putTopic } = await aState();
  putTopic('a');
  kv.code = 'ENOSPC';
  state.flush();
  await settled();
  kv.code = 'EIO';
  await clock.advanceSettling(NO_ROOM_RETRY_MS);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['commitWaitsForRoom', 'commitFailed'],
  );
  assert.throws(() => state.flush(), FatalError);
});

test('where nobody waits for room, the lack of it is fatal', async () => {
  const { kv, state, putTopic } = await aState({ waits: false });
  putTopic('a');
  kv.code = 'ENOSPC';
  state.flush();
  await state.flushed();
  assert.throws(() => state.flush(), FatalError);
});
