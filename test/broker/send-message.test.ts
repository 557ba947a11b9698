import { deepEqual, equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { LeadershipLost } from '../../src/broker/leadership-lost.ts';
import { LANE_OPEN_MAX, MESSAGE_LIMITS } from '../../src/broker/limits.ts';
import type { BrokerErrorCode, OutgoingMessage } from '../../src/broker/verbs.ts';
import { openBroker, outgoing, TOPIC } from './broker-fixture.ts';

test('messages of one send are stored in order, next to each other', async () => {
  const { send, replica } = await openBroker();
  const receipts = await send({ messageId: 'a' }, { messageId: 'b' }, { messageId: 'c' });
  deepEqual(
    receipts.map(({ messageId, queueOffset, duplicate }) => [messageId, queueOffset, duplicate]),
    [
      ['a', 0, false],
      ['b', 1, false],
      ['c', 2, false],
    ],
  );
  equal(new Set(receipts.map(({ queueId }) => queueId)).size, 1);
  equal(replica.state.topic(TOPIC)?.queueCount, 4);
});

test('sends go round the queues', async () => {
  const { send } = await openBroker();
  const queueIds = [];
  for (let i = 0; i < 8; i++) queueIds.push((await send({}))[0]?.queueId);
  deepEqual(queueIds, [0, 1, 2, 3, 0, 1, 2, 3]);
});

test('a repeated send gets the first outcome and stores nothing', async () => {
  const { send, broker } = await openBroker();
  const [first] = await send({ messageId: 'once' });
  await send({ messageId: 'other' });
  const [again] = await send({ messageId: 'once' });
  deepEqual(again, { ...first, duplicate: true });
  deepEqual([broker.counters.sent, broker.counters.sentDuplicates], [2, 1]);
});

test('an id twice in one send is stored once', async () => {
  const { send } = await openBroker();
  const [first, second, third] = await send({ messageId: 'x' }, { messageId: 'x' }, {});
  equal(first?.duplicate, false);
  deepEqual(second, { ...first, duplicate: true });
  equal(third?.queueOffset, 1);
});

test('a second send of an id that is still being stored shares the outcome', async () => {
  const { send, replica, clock } = await openBroker();
  await send({});
  replica.commitMode = 'held';
  const first = send({ messageId: 'x' });
  const second = send({ messageId: 'x' }, { messageId: 'y' });
  await clock.advanceSettling(0);
  equal(replica.openCount, 1);
  replica.commitOpen();
  replica.commitMode = 'auto';
  const [[a], [b, c]] = await Promise.all([first, second]);
  await clock.advanceSettling(0);
  replica.commitOpen();
  deepEqual(b, { ...a, duplicate: true });
  equal(c?.duplicate, false);
});

test('sends to a queue are proposed one behind the other, and what finds no room goes together', async () => {
  const { send, replica, clock, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  replica.commitMode = 'held';
  const count = LANE_OPEN_MAX + 4;
  const sends = Array.from({ length: count }, () => send({}));
  await clock.advanceSettling(0);
  equal(replica.openCount, LANE_OPEN_MAX);
  replica.commitOpen();
  await clock.advanceSettling(0);
  equal(replica.openCount, 1);
  replica.commitOpen();
  const receipts = (await Promise.all(sends)).flat();
  deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    Array.from({ length: count }, (_, i) => i),
  );
});

test('a refusal between proposals of a queue leaves no gap', async () => {
  const { send, replica, clock, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  replica.commitMode = 'held';
  const before = [send({}), send({})];
  await clock.advanceSettling(0);
  replica.refusal = 'busy';
  const refused = rejects(send({}), { code: 'busy' });
  await clock.advanceSettling(0);
  replica.refusal = null;
  const after = send({});
  await clock.advanceSettling(0);
  equal(replica.openCount, 3);
  replica.commitOpen();
  await refused;
  const receipts = (await Promise.all([...before, after])).flat();
  deepEqual(
    receipts.map(({ queueOffset }) => queueOffset),
    [0, 1, 2],
  );
});

test('a refused send leaves no gap', async () => {
  const { send, replica, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  replica.refusal = 'busy';
  await rejects(send({ messageId: 'x' }), { code: 'busy' });
  replica.refusal = null;
  const [receipt] = await send({ messageId: 'x' });
  deepEqual([receipt?.queueOffset, receipt?.duplicate], [0, false]);
});

for (const fate of ['survive', 'vanish'] as const) {
  test(`a send whose leader fell is stored once when its entry may ${fate}`, async () => {
    const { send, replica, clock, serve } = await openBroker();
    await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
    replica.commitMode = 'held';
    const sending = rejects(send({ messageId: 'x' }), LeadershipLost);
    const waiting = rejects(send({ messageId: 'y' }), LeadershipLost);
    await clock.advanceSettling(0);
    replica.loseLeadership(null, fate);
    await Promise.all([sending, waiting]);
    replica.commitMode = 'auto';
    replica.lead();
    const [x] = await send({ messageId: 'x' });
    const [y] = await send({ messageId: 'y' });
    equal(x?.duplicate, fate === 'survive');
    deepEqual([x?.queueOffset, y?.queueOffset], [0, 1]);
  });
}

test('concurrent first sends share one creation of the topic', async () => {
  const { send, replica } = await openBroker();
  const before = replica.state.appliedIndex;
  await Promise.all([send({}), send({}), send({}), send({})]);
  equal(replica.state.topics().length, 1);
  // One creation, and one entry for each of the four queues.
  equal(replica.state.appliedIndex - before, 5);
});

test('without auto-creation a topic must exist', async () => {
  const { send } = await openBroker({ autoCreateTopics: false });
  await rejects(send({}), { code: 'topicNotFound' });
});

test('a topic does not vanish under a send that is on its way', async () => {
  const { send, serve, replica, clock } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  replica.commitMode = 'held';
  const sending = Array.from({ length: LANE_OPEN_MAX }, () => send({}));
  const waiting = rejects(send({}), { code: 'topicNotFound' });
  await clock.advanceSettling(0);
  const deleting = serve({ kind: 'topicDelete', topic: TOPIC }, 'topicDeleted');
  await clock.advanceSettling(0);
  equal(replica.openCount, LANE_OPEN_MAX);
  replica.commitOpen();
  replica.commitMode = 'auto';
  await Promise.all(sending);
  await waiting;
  equal((await deleting).existed, true);
  equal(replica.state.topic(TOPIC), null);
});

const long = (length: number) => 'x'.repeat(length);
const manyProperties = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, 'v']));

const REFUSED: readonly [string, Partial<OutgoingMessage>, BrokerErrorCode][] = [
  ['an empty topic', { topic: '' }, 'illegalTopic'],
  ['a topic with a blank', { topic: 'a b' }, 'illegalTopic'],
  ['a topic that is too long', { topic: long(128) }, 'illegalTopic'],
  ['a system topic', { topic: 'TBW102' }, 'illegalTopic'],
  ['a system topic in a namespace', { topic: 'ns%rmq_sys_x' }, 'illegalTopic'],
  ['no body', { body: new Uint8Array() }, 'bodyEmpty'],
  ['a large body', { body: new Uint8Array(MESSAGE_LIMITS.bodySizeBytesMax + 1) }, 'bodyTooLarge'],
  ['too many properties', { userProperties: manyProperties(129) }, 'propertiesTooLarge'],
  ['large properties', { userProperties: { a: long(16_384) } }, 'propertiesTooLarge'],
  ['large keys', { keys: [long(10_000), long(10_000)] }, 'propertiesTooLarge'],
  ['a reserved property', { userProperties: { KEYS: 'a' } }, 'illegalPropertyKey'],
  ['a blank property key', { userProperties: { ' ': 'a' } }, 'illegalPropertyKey'],
  ['a control character in a value', { userProperties: { a: '\u0001' } }, 'illegalPropertyKey'],
  ['a blank tag', { tag: ' ' }, 'illegalTag'],
  ['a tag with a bar', { tag: 'a|b' }, 'illegalTag'],
  ['a blank key', { keys: ['a', ''] }, 'illegalKey'],
  ['a key with a control character', { keys: ['a\n'] }, 'illegalKey'],
  ['a blank message id', { messageId: ' ' }, 'illegalMessageId'],
  ['a message id that was not UTF-8', { messageId: 'a\ufffd' }, 'illegalMessageId'],
  ['a long message id', { messageId: long(129) }, 'illegalMessageId'],
  ['a born host that is no address', { bornHost: 'localhost:1' }, 'badRequest'],
  ['a born time before 1970', { bornTimestampMs: -1 }, 'badRequest'],
];

for (const [what, message, code] of REFUSED) {
  test(`a send with ${what} is refused and stores nothing`, async () => {
    const { send, replica } = await openBroker();
    const before = replica.state.appliedIndex;
    await rejects(send(message), { code });
    equal(replica.state.appliedIndex, before);
  });
}

test('a send without messages or over two topics is refused', async () => {
  const { send } = await openBroker();
  await rejects(send(), { code: 'messageCorrupted' });
  await rejects(send({ topic: 'a' }, { topic: 'b' }), { code: 'messageCorrupted' });
});

test('a message at every limit is stored and comes back as it was sent', async () => {
  const { send, receive } = await openBroker();
  const message = outgoing({
    messageId: long(128),
    body: new Uint8Array(MESSAGE_LIMITS.bodySizeBytesMax).fill(7),
    bodyEncoding: 'gzip',
    tag: 'tag',
    keys: ['k1', 'k2'],
    userProperties: { ...manyProperties(127), __SHARDINGKEY: 'g' },
    bornHost: '[2001:db8::1]:5000',
    traceContext: 'trace',
  });
  await send(message);
  const [got] = await receive();
  const { body, ...rest } = message;
  deepEqual(got?.body.length, body.length);
  equal(Buffer.compare(got.body, body), 0);
  for (const [key, value] of Object.entries(rest)) {
    deepEqual(got[key as keyof typeof got], value, key);
  }
  equal(got.deadLetterOf, null);
  equal(got.storeHost, '10.0.0.9:10911');
});
