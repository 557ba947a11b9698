import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { ConsumeResult, Producer, PushConsumer, SimpleConsumer } from 'rocketmq-client-nodejs';
import { CODE } from './status-codes.ts';
import { setUp, type TestBed } from './testing/set-up.ts';

const quiet = () => undefined;
const LOGGER = { info: quiet, warn: quiet, error: quiet, debug: quiet, close: quiet };
// Parts of the push consumer ignore the logger they are given and open a log file in the home
// directory, with a timer that keeps the process alive for ever. Nothing else is touched.
createRequire(import.meta.url)('rocketmq-client-nodejs/dist/client/Logger.js').getDefaultLogger =
  () => LOGGER;

async function aProducer(bed: TestBed, rest = {}): Promise<Producer> {
  const producer = new Producer({
    endpoints: bed.endpoint.address,
    namespace: '',
    logger: LOGGER,
    ...rest,
  });
  bed.onEnd(() => producer.shutdown());
  await producer.startup();
  return producer;
}

async function aConsumer(bed: TestBed, rest = {}): Promise<SimpleConsumer> {
  const consumer = new SimpleConsumer({
    endpoints: bed.endpoint.address,
    namespace: '',
    logger: LOGGER,
    consumerGroup: 'billing',
    subscriptions: new Map([['orders', '*']]),
    awaitDuration: 300,
    ...rest,
  });
  bed.onEnd(() => consumer.shutdown());
  await consumer.startup();
  return consumer;
}

function firstCause(error: Error): Error {
  return error.cause instanceof Error ? firstCause(error.cause) : error;
}

const aMessage = (n: number) => ({
  topic: 'orders',
  tag: 'eu',
  keys: [`order-${n}`, 'all'],
  properties: new Map([['amount', `${n} €`]]),
  body: Buffer.from(`order ${n} 🙂`),
});

test('the Node client sends, receives and acknowledges (P-01, P-02, C-01)', async (t) => {
  const bed = await setUp(t);
  const producer = await aProducer(bed, { topics: ['orders'] });
  const receipt = await producer.send(aMessage(1));
  match(receipt.messageId, /^[0-9A-F]{34}$/);
  equal(receipt.transactionId, receipt.messageId);
  equal(receipt.offset, 0);

  const consumer = await aConsumer(bed);
  const [message, ...others] = await consumer.receive(5, 10_000);
  equal(others.length, 0);
  ok(message);
  equal(message.messageId, receipt.messageId);
  equal(message.corrupted, undefined);
  deepEqual([message.topic, message.tag, message.keys], ['orders', 'eu', ['order-1', 'all']]);
  equal(message.properties.get('amount'), '1 €');
  equal(message.body.toString(), 'order 1 🙂');
  equal(message.deliveryAttempt, 1);
  equal(message.deliveryTimestamp, undefined);
  ok(message.transportDeliveryTimestamp instanceof Date);
  await consumer.ack(message);
  deepEqual(await consumer.receive(5, 10_000), []);
});

test('a producer without topics starts at once and finds its way on the first send (S-01)', async (t) => {
  const bed = await setUp(t);
  const producer = await aProducer(bed);
  equal((await producer.send(aMessage(1))).offset, 0);
});

test('clients with three topics start, for the second settings cover what they miss (S-03)', async (t) => {
  const bed = await setUp(t);
  const { gateway } = bed;
  const topics = ['orders', 'payments', 'refunds'];
  for (const topic of topics) gateway.addTopic(topic, 2);
  await aProducer(bed, { topics });
  await aConsumer(bed, {
    subscriptions: new Map(topics.map((topic) => [topic, '*'])),
  });
});

test('a producer of a topic that does not exist fails to start with the reason (S-04)', async (t) => {
  const bed = await setUp(t);
  const topic = 'TopicTest-not-exists';
  await rejects(aProducer(bed, { topics: [topic] }), (error: Error) => {
    const cause = firstCause(error) as Error & { readonly code?: number };
    equal(cause.code, 40402);
    match(
      cause.message,
      /CODE: 17 {2}DESC: No topic route info in name server for the topic: TopicTest-not-exists/,
    );
    return true;
  });
});

test('a hundred messages arrive, each once, from all queues (C-02, C-12)', async (t) => {
  const bed = await setUp(t);
  const producer = await aProducer(bed, { topics: ['orders'] });
  const sent = new Set<string>();
  for (let n = 0; n < 100; n++) sent.add((await producer.send(aMessage(n))).messageId);
  equal(sent.size, 100);
  const consumer = await aConsumer(bed);
  const received: string[] = [];
  for (;;) {
    const batch = await consumer.receive(20, 10_000);
    if (batch.length === 0) break;
    for (const message of batch) await consumer.ack(message);
    received.push(...batch.map(({ messageId }) => messageId));
  }
  deepEqual(received.toSorted(), [...sent].toSorted());
});

test('a changed invisible time is effective and keeps the message ours (C-09)', async (t) => {
  const bed = await setUp(t);
  const producer = await aProducer(bed, { topics: ['orders'] });
  await producer.send(aMessage(1));
  const consumer = await aConsumer(bed);
  const [message] = await consumer.receive(1, 20_000);
  ok(message);
  const before = message.receiptHandle;
  await consumer.changeInvisibleDuration(message, 30_000);
  ok(message.receiptHandle !== before);
  await consumer.ack(message);
});

test('clients of a namespace talk among themselves (S-15)', async (t) => {
  const bed = await setUp(t);
  const { gateway } = bed;
  gateway.addTopic('ns1%orders', 1);
  const inside = await aProducer(bed, { namespace: 'ns1', topics: ['orders'] });
  const outside = await aProducer(bed, { topics: ['orders'] });
  const { messageId } = await inside.send(aMessage(1));
  await outside.send(aMessage(2));
  const consumer = await aConsumer(bed, { namespace: 'ns1' });
  const received = await consumer.receive(10, 10_000);
  deepEqual(
    received.map((message) => message.messageId),
    [messageId],
  );
  for (const message of received) await consumer.ack(message);
});

test('a producer of delayed messages is told so by the route, before anything is sent (P-11)', async (t) => {
  const bed = await setUp(t);
  const { gateway } = bed;
  const producer = await aProducer(bed, { topics: ['orders'] });
  const delayed = { ...aMessage(1), deliveryTimestamp: new Date(Date.now() + 60_000) };
  await rejects(async () => producer.send(delayed), /acceptMessageTypes=\[1\]/);
  deepEqual(gateway.requests('send'), []);
});

test('a push consumer consumes and acknowledges (U-01)', async (t) => {
  const bed = await setUp(t);
  const { gateway, until } = bed;
  const producer = await aProducer(bed, { topics: ['orders'] });
  for (let n = 0; n < 20; n++) await producer.send(aMessage(n));
  gateway.waitMsMax = 200;
  const seen = new Set<string>();
  const consumer = new PushConsumer({
    endpoints: bed.endpoint.address,
    namespace: '',
    logger: LOGGER,
    consumerGroup: 'billing',
    subscriptions: new Map([['orders', '*']]),
    longPollingTimeout: 1_000,
    messageListener: {
      consume: async (message) => {
        seen.add(message.messageId);
        return ConsumeResult.SUCCESS;
      },
    },
  });
  await consumer.startup();
  const acked = () => gateway.requests('ack').flatMap(({ handles }) => handles).length;
  await until(() => seen.size === 20, 'all messages were consumed');
  await until(() => acked() >= 20, 'all messages were acknowledged');
  equal(gateway.requests('receive')[0]?.autoRenew, true);
  await consumer.shutdown();
});

test('of a node that leaves, the Node producer learns to do without it, and no send fails', async (t) => {
  const bed = await setUp(t);
  const producer = await aProducer(bed, { topics: ['orders'] });
  await producer.send(aMessage(0));
  // There is nowhere else to go: the next attempt must be taken in here.
  for (const round of [1, 2]) {
    bed.gateway.nodes = bed.gateway.nodes.map((node) => ({ ...node, isLeaving: true }));
    for (const n of [0, 1, 2]) await producer.send(aMessage(10 * round + n));
    bed.gateway.nodes = bed.gateway.nodes.map((node) => ({ ...node, isLeaving: false }));
    await producer.send(aMessage(10 * round + 3));
    equal(bed.endpoint.counts.rejectedByCode.get(CODE.haNotAvailable), round);
  }
  equal(bed.gateway.requests('send').length, 9);
  ok(producer.isRunning());
});
