/** The unmodified official client for Node against three real broker processes: the happy paths. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { ConsumeResult } from 'rocketmq-client-nodejs';
import { anomaliesOf, readWholeTopic } from './audit.ts';
import { drain, startProducer, startPushConsumer, startSimpleConsumer } from './official-client.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const DRAIN_TIMEOUT_MS = 60_000;

suite('the official Node client', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await TestCluster.start();
  });
  after(async () => {
    await cluster.close();
  });
  const anyNode = (): string => cluster.nodes[1]!.grpc;

  test('sends with tag, keys and properties, and a new group receives exactly that', async (t) => {
    const producer = await startProducer(t, anyNode(), 'interop-fields');
    const body = Buffer.from('money 💶 moves');
    const receipt = await producer.send({
      topic: 'interop-fields',
      tag: 'paid',
      keys: ['order-1', 'customer-7'],
      properties: new Map([['currency', 'EUR']]),
      body,
    });
    equal(receipt.messageId, receipt.transactionId);
    ok(receipt.offset >= 0);

    const consumer = await startSimpleConsumer(t, anyNode(), 'interop-fields', 'fields', 'paid');
    const [received] = await drain(consumer, new Set([receipt.messageId]), DRAIN_TIMEOUT_MS);
    const { view } = received!;
    equal(view.messageId, receipt.messageId);
    equal(view.tag, 'paid');
    deepEqual(view.keys, ['order-1', 'customer-7']);
    equal(view.properties.get('currency'), 'EUR');
    deepEqual(view.body, body);
    equal(view.deliveryAttempt, 1);
  });

  test('a tag filter hides the other messages', async (t) => {
    const producer = await startProducer(t, anyNode(), 'interop-tags');
    const send = (tag: string) =>
      producer.send({ topic: 'interop-tags', tag, body: Buffer.from(tag) });
    const a = await send('a');
    await send('b');
    const c = await send('c');
    const consumer = await startSimpleConsumer(t, anyNode(), 'interop-tags', 'tags', 'a || c');
    const want = new Set([a.messageId, c.messageId]);
    const received = await drain(consumer, want, DRAIN_TIMEOUT_MS);
    deepEqual(new Set(received.map(({ view }) => view.messageId)), want);
  });

  test('a thousand messages reach two groups, each message once', async (t) => {
    const producer = await startProducer(t, anyNode(), 'interop-many');
    const ids = new Set<string>();
    for (let batch = 0; batch < 20; batch++) {
      const receipts = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          producer.send({ topic: 'interop-many', body: Buffer.from(`${batch}/${i}`) }),
        ),
      );
      for (const { messageId } of receipts) ids.add(messageId);
    }
    equal(ids.size, 1000);
    for (const group of ['first', 'second']) {
      const consumer = await startSimpleConsumer(t, anyNode(), 'interop-many', group);
      const received = await drain(consumer, ids, DRAIN_TIMEOUT_MS);
      equal(received.length, 1000);
    }
    deepEqual(anomaliesOf(await readWholeTopic(cluster, 'interop-many')), []);
  });

  test('a message that is not acknowledged comes again with the next attempt', async (t) => {
    const producer = await startProducer(t, anyNode(), 'interop-again');
    const { messageId } = await producer.send({ topic: 'interop-again', body: Buffer.from('x') });
    const consumer = await startSimpleConsumer(t, anyNode(), 'interop-again', 'again');
    const [first] = await consumer.receive(1, 10_000);
    equal(first?.messageId, messageId);
    equal(first?.deliveryAttempt, 1);
    await consumer.changeInvisibleDuration(first!, 1_000);
    const [second] = await waitFor('the redelivery', async () => {
      const views = await consumer.receive(1, 10_000);
      return views.length > 0 ? views : null;
    });
    equal(second?.messageId, messageId);
    equal(second?.deliveryAttempt, 2);
    await consumer.ack(second!);
  });

  test('a push consumer gets every message once, also one that failed twice', async (t) => {
    const producer = await startProducer(t, anyNode(), 'interop-push');
    const attemptsOf = new Map<string, number>();
    const done = new Set<string>();
    await startPushConsumer(t, anyNode(), 'interop-push', 'push', (view) => {
      const attempts = (attemptsOf.get(view.messageId) ?? 0) + 1;
      attemptsOf.set(view.messageId, attempts);
      if (view.body.toString() === 'stubborn' && attempts < 3) return ConsumeResult.FAILURE;
      done.add(view.messageId);
      return ConsumeResult.SUCCESS;
    });
    const receipts = await Promise.all(
      ['stubborn', ...Array.from({ length: 100 }, (_, i) => `${i}`)].map((body) =>
        producer.send({ topic: 'interop-push', body: Buffer.from(body) }),
      ),
    );
    await waitFor('all messages consumed', async () => (done.size === 101 ? true : null), 60_000);
    equal(attemptsOf.get(receipts[0]!.messageId), 3);
    for (const { messageId } of receipts.slice(1)) equal(attemptsOf.get(messageId), 1);
  });
});
