import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { NodeClock } from '../../io/node/node-clock.ts';
import type { RepairRead } from '../../protocol/repair-codec.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  TEST_IDENTITY,
  term,
} from '../../store/log-fixture.ts';
import { sourceOf } from '../../store/repair/repair-source.ts';
import { PEER_SERVER_OPTIONS } from '../grpc-peer-method.ts';
import { REPAIR_QUESTIONS_OPEN_MAX, REPAIR_YIELD_PAUSES_MAX } from './limits.ts';
import { type AskOutcome, createRepairClient } from './repair-client.ts';
import { repairService } from './repair-service.ts';

const SEGMENT = 4 * 1024 * 1024;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SEGMENT };

const question: RepairRead = {
  clusterId: identity.clusterId,
  groupId: identity.groupId,
  nodeId: 'n2',
  segmentSizeBytes: SEGMENT,
  firstIndex: 1,
  lastIndex: 40,
  fromEnd: true,
  sizeBytesMax: 3000,
};

async function setUp(t: TestContext, pendingMs = () => 0) {
  const chain = new EntryChain(SEGMENT);
  for (let i = 0; i < 40; i++) {
    // The last but one is larger than a frame.
    chain.append({ payload: payloadOf(i === 38 ? 2_500_000 : 900, i), term: Term(1) });
  }
  const log = await openTestLog(new MemoryDisk(), { identity, tailCacheSizeBytes: 1024 });
  t.after(() => log.close());
  await persisted(log, { hardState: term(1), entries: chain.entries });
  const refusals: string[] = [];
  const service = repairService({
    source: sourceOf(log, () => LogIndex(30)),
    isUnderRepair: false,
    clock: new NodeClock(),
    pendingMs,
    onEvent: (event) => {
      if (event.kind === 'repairRefused') refusals.push(event.problem);
    },
    onFatal: (error) => {
      throw error;
    },
  });
  const server = new Server(PEER_SERVER_OPTIONS);
  server.addService(service.definition, service.implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  t.after(() => server.forceShutdown());
  const client = createRepairClient();
  t.after(() => client.close());
  const ask = (change: Partial<RepairRead>) =>
    client.ask(`127.0.0.1:${port}`, { ...question, ...change });
  return { chain, ask, refusals };
}

function indexesOf(outcome: AskOutcome): readonly number[] {
  assert.ok(outcome.kind === 'answer', JSON.stringify(outcome));
  return outcome.answer.entries.map(({ desc }) => desc.index);
}

test('a log in service gives the entries next to the end that is asked for', async (t) => {
  const { chain, ask } = await setUp(t);
  const last = await ask({ lastIndex: 20 });
  assert.deepEqual(indexesOf(last), [18, 19, 20]);
  assert.ok(last.kind === 'answer');
  assert.deepEqual(last.answer.committed, { index: 30, term: 1 });
  for (const { desc, bytes } of last.answer.entries) {
    assert.deepEqual(bytes, chain.entries[desc.index - 1]!.bytes);
  }
  assert.deepEqual(indexesOf(await ask({ firstIndex: 7, fromEnd: false })), [7, 8, 9]);
  assert.deepEqual(indexesOf(await ask({ firstIndex: 5, lastIndex: 6 })), [5, 6]);
});

test('an entry that is larger than a frame comes alone, in several', async (t) => {
  const { chain, ask } = await setUp(t);
  const outcome = await ask({ lastIndex: 39 });
  assert.deepEqual(indexesOf(outcome), [39]);
  assert.ok(outcome.kind === 'answer');
  assert.ok(Buffer.compare(outcome.answer.entries[0]!.bytes, chain.entries[38]!.bytes) === 0);
});

test('as many questions as a node asks at a time are answered, of two that ask as well', async (t) => {
  const { ask } = await setUp(t);
  const count = 2 * REPAIR_QUESTIONS_OPEN_MAX;
  const answers = await Promise.all(
    Array.from({ length: count }, (_, i) => ask({ firstIndex: i + 1, lastIndex: i + 1 })),
  );
  assert.deepEqual(answers.flatMap(indexesOf), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a log write that waits goes first, but not for ever', async (t) => {
  let lookCount = 0;
  let pendingMs = 1000;
  const { ask } = await setUp(t, () => {
    lookCount += 1;
    return pendingMs;
  });
  assert.deepEqual(indexesOf(await ask({ firstIndex: 5, lastIndex: 6 })), [5, 6]);
  assert.equal(lookCount, REPAIR_YIELD_PAUSES_MAX);
  pendingMs = 1;
  assert.deepEqual(indexesOf(await ask({ firstIndex: 5, lastIndex: 6 })), [5, 6]);
  assert.equal(lookCount, REPAIR_YIELD_PAUSES_MAX + 1);
});

test('what is not there is said with what is committed', async (t) => {
  const { ask } = await setUp(t);
  const outcome = await ask({ firstIndex: 41, lastIndex: 50 });
  assert.deepEqual(indexesOf(outcome), []);
  assert.ok(outcome.kind === 'answer');
  assert.deepEqual(outcome.answer.committed, { index: 30, term: 1 });
  assert.deepEqual(indexesOf(await ask({ firstIndex: 41, lastIndex: 50, fromEnd: false })), []);
});

for (const [what, change, words] of [
  ['another cluster', { clusterId: 'other' }, /of test-cluster\/g1, not of other\/g1/],
  ['another group', { groupId: 'g2' }, /not of test-cluster\/g2/],
  ['another segment size', { segmentSizeBytes: 8192 }, /segments of 4194304 bytes, not of 8192/],
  ['the node itself', { nodeId: 'n1' }, /This node is n1 itself/],
] as const) {
  test(`a question of ${what} is refused in words`, async (t) => {
    const { ask, refusals } = await setUp(t);
    const outcome = await ask(change);
    assert.ok(outcome.kind === 'failed');
    assert.match(outcome.why, words);
    assert.equal(refusals.length, 1);
  });
}

test('a question that is no range, and a node that is not there, are failures', async (t) => {
  const { ask } = await setUp(t);
  assert.equal((await ask({ firstIndex: 9, lastIndex: 3 })).kind, 'failed');
  const client = createRepairClient();
  const outcome = await client.ask('127.0.0.1:1', question);
  assert.equal(outcome.kind, 'failed');
  client.close();
});
