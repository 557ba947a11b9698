import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, LogIndex } from '../../base/units.ts';
import type { StoredEntry } from '../commit-log.ts';
import { compareRows } from './compare-rows.ts';
import { TABLE } from './key-codec.ts';
import type { KvChanges } from './kv-store.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { openDerivedState } from './open-derived-state.ts';
import { type RederiveProgress, rederive } from './rederive.ts';
import { TestLog } from './test-log.ts';

const breathe = async (): Promise<void> => {};

async function storeWith(rows: ReadonlyMap<string, number>): Promise<MemoryKvStore> {
  const store = new MemoryKvStore();
  const changes: KvChanges = new Map(
    [...rows].map(([key, value]) => [`k${key}`, Uint8Array.of(value)]),
  );
  await store.commit(changes);
  return store;
}

test('the comparison counts exactly the rows that are not the same, wherever pages end', async () => {
  const aRows = fc
    .array(fc.tuple(fc.nat(1_200), fc.nat(3)), { maxLength: 900 })
    .map((pairs) => new Map(pairs.map(([key, value]) => [String(key).padStart(4, '0'), value])));
  await fc.assert(
    fc.asyncProperty(aRows, aRows, async (a, b) => {
      const keys = new Set([...a.keys(), ...b.keys()]);
      const different = [...keys].filter((key) => a.get(key) !== b.get(key));
      const comparison = await compareRows({
        found: await storeWith(a),
        expected: await storeWith(b),
        onProgress: () => {},
        breathe,
      });
      assert.equal(comparison.rowCount, keys.size);
      assert.equal(comparison.differenceCount, different.length);
      assert.equal(comparison.differences.length, Math.min(10, different.length));
    }),
    { numRuns: 60 },
  );
});

/** A topic and messages; the store is that of a replica which has applied them all. */
async function replicaWith(entryCount: number) {
  const log = new TestLog();
  const kv = new MemoryKvStore();
  const topic = { topic: 't', queueCount: 2, permission: 6, messageTypes: [1], atMs: 1 };
  log.append({ kind: 'topicPut', ...topic });
  const state = await openDerivedState({
    kv,
    durableIndexMax: LogIndex(0),
    onEvent: (event) => assert.fail(JSON.stringify(event)),
  });
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const queueOffset = log.lastIndex - 1;
      const messageId = `m${queueOffset}`;
      log.append({ topic: 't', queueId: 0, queueOffset, messageId, keys: `k${queueOffset % 7}` });
    }
  };
  append(entryCount);
  const applyAll = (): void => {
    for (const entry of log.entries.slice(state.appliedIndex)) state.apply(entry);
  };
  applyAll();
  state.flush();
  await state.flushed();
  const readEntries = async (from: LogIndex, to: LogIndex): Promise<readonly StoredEntry[]> => {
    const entries = log.entries.slice(from - 1, Math.min(to, from + 6));
    return entries.map((entry) => storedEntryOf(entry));
  };
  return { kv, state, append, applyAll, log: { readEntries } };
}

function storedEntryOf(entry: TestLog['entries'][number]): StoredEntry {
  const bytes = new Uint8Array(64 + entry.payload.length);
  bytes.set(entry.payload, 64);
  const { index, term, type } = entry;
  const physicalOffset = (entry.payloadOffset - 64) as StoredEntry['desc']['physicalOffset'];
  const payload = { payloadSizeBytes: entry.payload.length, payloadCrc: 0 };
  return {
    desc: { index, term, type, physicalOffset, sizeBytes: bytes.length, ...payload },
    bytes,
  };
}

test('state that was derived rightly is derived again to the same rows', async () => {
  const { state, log } = await replicaWith(300);
  const seen: RederiveProgress[] = [];
  const result = await rederive({
    log,
    live: state,
    from: null,
    scratch: new MemoryKvStore(),
    onProgress: (progress) => seen.push(progress),
    breathe,
  });
  assert.equal(result.index, 301);
  assert.ok(result.rowCount > 300);
  assert.deepEqual([result.differenceCount, result.differences], [0, []]);
  assert.deepEqual(new Set(seen.map(({ phase }) => phase)), new Set(['derived', 'rows']));
});

test('writing goes on meanwhile, and both are compared at one index', async () => {
  const { state, log, append, applyAll } = await replicaWith(50);
  let turns = 0;
  const result = await rederive({
    log,
    live: state,
    from: null,
    scratch: new MemoryKvStore(),
    onProgress: () => {},
    breathe: async () => {
      turns += 1;
      if (turns > 20) return;
      append(3);
      applyAll();
    },
  });
  assert.ok(result.index > 51 && result.index <= state.appliedIndex);
  assert.equal(result.differenceCount, 0);
});

test('one changed, missing or foreign row of any table is told by its table', async () => {
  for (const damage of ['change', 'remove', 'add'] as const) {
    for (const table of [TABLE.topic, TABLE.queueChunk, TABLE.key, TABLE.uniqueKey]) {
      const { kv, state, log } = await replicaWith(20);
      const [row] = kv.range(table, `${table}\xff`);
      assert.ok(row !== undefined);
      const changed = Uint8Array.from(row.value, (byte, at) => (at === 0 ? byte ^ 1 : byte));
      await kv.commit(
        damage === 'add'
          ? new Map([[`${row.key}\x01`, row.value]])
          : new Map([[row.key, damage === 'change' ? changed : null]]),
      );
      const scratch = new MemoryKvStore();
      const result = await rederive({
        log,
        live: state,
        from: null,
        scratch,
        onProgress: () => {},
        breathe,
      });
      assert.equal(result.differenceCount, 1, `${damage} in ${table}`);
      assert.match(result.differences[0] ?? '', new RegExp(`^table ${table}, key [0-9a-f]+: `));
      assert.equal(advance(result.index, 0), 21);
    }
  }
});
