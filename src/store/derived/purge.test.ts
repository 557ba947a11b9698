import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueueOffset } from '../../base/units.ts';
import type { Command } from '../../protocol/command-record.ts';
import type { DerivedState } from './derived-state.ts';
import type { KvStore } from './kv-store.ts';
import { PURGE_ROWS_PER_ENTRY } from './limits.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { openDerivedState } from './open-derived-state.ts';
import { TestLog } from './test-log.ts';

function topicPut(topic: string): Command {
  return { kind: 'topicPut', topic, queueCount: 2, permission: 6, messageTypes: [1], atMs: 1 };
}

function offsetSave(topic: string): Command {
  return { kind: 'offsetSave', group: 'g', topic, queueId: 0, queueOffset: QueueOffset(3) };
}

/** Two topics with more rows than one entry removes, the later one deleted first. */
function logWithDeletions(): TestLog {
  const log = new TestLog();
  log.append(topicPut('a'), topicPut('b'), topicPut('c'));
  for (const topic of ['a', 'b']) {
    for (let i = 0; i < PURGE_ROWS_PER_ENTRY; i++) {
      log.append({ topic, queueId: 0, queueOffset: i, messageId: `m${i}`, keys: `k${i}` });
    }
    log.append(offsetSave(topic));
  }
  log.append(
    { topic: 'c', queueId: 1, queueOffset: 0, messageId: 'c', keys: 'k1' },
    offsetSave('c'),
  );
  log.append({ kind: 'topicDelete', topic: 'b' });
  log.append({ kind: 'topicDelete', topic: 'a' }, topicPut('a'));
  for (let i = 0; i < 8; i++) log.appendPayload('noop', new Uint8Array(0));
  return log;
}

async function open(kv: KvStore, log: TestLog): Promise<DerivedState> {
  const onEvent = (event: object) => assert.fail(JSON.stringify(event));
  return openDerivedState({ kv, onEvent, durableIndexMax: log.lastIndex });
}

function dumpOf(store: KvStore): readonly string[] {
  return [...store.range('\x00', '\xff')].map(({ key, value }) => {
    return `${Buffer.from(key, 'latin1').toString('hex')} ${Buffer.from(value).toString('hex')}`;
  });
}

test('rows of deleted topics go at the same pace on a replica that flushed and one that did not', async () => {
  const log = logWithDeletions();
  const flushed = new MemoryKvStore();
  const sizes: number[] = [];
  for (const entry of log.entries) {
    // Opened again for every entry: nothing in memory survives.
    const state = await open(flushed, log);
    state.apply(entry);
    await state.close();
    if (entry.index < log.lastIndex - 10) continue;
    const inOneGo = new MemoryKvStore();
    const other = await open(inOneGo, log);
    for (const earlier of log.entries.slice(0, entry.index)) other.apply(earlier);
    await other.close();
    assert.deepEqual(dumpOf(flushed), dumpOf(inOneGo), `at entry ${entry.index}`);
    sizes.push(dumpOf(flushed).length);
  }
  const rowsOfTheTopicItself = 3; // topic, purge, subscription
  const steps = sizes.slice(1).map((size, i) => (sizes[i] ?? 0) - size);
  assert.ok(steps.every((step) => step <= PURGE_ROWS_PER_ENTRY + rowsOfTheTopicItself));
  assert.ok(steps.filter((step) => step > 0).length >= 4, 'the rows went in several steps');
});

test('a purged topic leaves nothing behind but what other topics own', async () => {
  const log = logWithDeletions();
  const store = new MemoryKvStore();
  const state = await open(store, log);
  for (const entry of log.entries) state.apply(entry);

  assert.deepEqual(state.queueRange('a', 0), { min: 0, next: 0 });
  assert.equal(state.queueUnit('a', 0, QueueOffset(0)), null);
  assert.equal(state.firstOutcome('a', 'm1'), null);
  assert.deepEqual(state.findByKey('a', 'k1', 10), []);
  assert.deepEqual(state.topicsOf('g'), ['c']);
  assert.notEqual(state.firstOutcome('c', 'c'), null);
  await state.close();

  const letters = dumpOf(store).map((row) => Buffer.from(row.slice(0, 2), 'hex').toString());
  const countOf = (letter: string) => letters.filter((other) => other === letter).length;
  const ofTopicC = { D: 2, K: 1, P: 1, Q: 1, R: 1, S: 1, T: 2, U: 1, X: 0 };
  for (const [letter, count] of Object.entries(ofTopicC)) {
    assert.equal(countOf(letter), count, `rows in table ${letter}`);
  }
});
