import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { BrokerGateway } from '../verbs.ts';
import { CODE } from './status-codes.ts';
import { RawClient } from './testing/raw-client.ts';
import {
  aMessage,
  aPoll,
  type ReceivedElement,
  receiveMessages,
  send,
} from './testing/requests.ts';
import { setUp } from './testing/set-up.ts';
import type { SystemProperties } from './wire-types.ts';

describe('a receive', () => {
  test('streams status, messages and the delivery time, in this order', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage({ messageId: 'm1' }));
    await send(client, aMessage({ messageId: 'm2' }));
    const elements = await client.collect<ReceivedElement>('receiveMessage', aPoll());
    const kinds = elements.map((element) => Object.keys(element)[0]);
    deepEqual(kinds, ['status', 'message', 'message', 'deliveryTimestamp']);
    equal(elements[0]?.status?.code, CODE.ok);
  });

  test('delivers what was sent, and nothing that was not (P-02)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    const userProperties = { amount: '12,50 €', __proto: 'x' };
    const bornTimestamp = { seconds: 1_700_000_000, nanos: 250_000_000 };
    const system = { tag: 'eu', keys: ['k1', 'k2'], bornTimestamp, traceContext: 'trace' };
    await send(client, aMessage(system, { userProperties }));
    const [message] = await receiveMessages(client);
    const seen = message?.systemProperties as SystemProperties;
    deepEqual({ ...message?.userProperties }, userProperties);
    equal(Buffer.from(message?.body ?? []).toString(), 'paid 🙂');
    equal(message?.topic?.name, 'orders');
    deepEqual([seen.messageId, seen.tag, [...seen.keys]], ['m1', 'eu', ['k1', 'k2']]);
    deepEqual({ ...seen.bornTimestamp }, bornTimestamp);
    equal(seen.traceContext, 'trace');
    const md5 = createHash('md5').update('paid 🙂').digest('hex').toUpperCase();
    deepEqual({ ...seen.bodyDigest }, { type: 2, checksum: md5 });
    deepEqual([seen.bodyEncoding, seen.messageType, seen.deliveryAttempt], [1, 1, 1]);
    deepEqual([seen.queueId, seen.queueOffset], [0, 0]);
    match(seen.bornHost, /^127\.0\.0\.1:\d+$/);
    ok(Object.hasOwn(seen, 'queueOffset') && Object.hasOwn(seen, 'receiptHandle'));
    for (const field of ['messageGroup', 'deliveryTimestamp', 'priority', 'deadLetterQueue']) {
      equal(Object.hasOwn(seen, field), false, field);
    }
  });

  test('of compressed bytes is digested as sent (P-16)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage({ bodyEncoding: 2 }, { body: Buffer.from([0x1f, 0x8b, 1]) }));
    const [message] = await receiveMessages(client);
    equal(message?.systemProperties?.bodyEncoding, 2);
    deepEqual([...(message?.body ?? [])], [0x1f, 0x8b, 1]);
  });

  test('of nothing says so, once, after the wait that was asked for (C-05)', async (t) => {
    const { gateway, connect } = await setUp(t);
    const elements = await connect('c').collect<ReceivedElement>('receiveMessage', aPoll());
    deepEqual(
      elements.flatMap(({ status }) => (status === null ? [] : [status.code])),
      [CODE.messageNotFound],
    );
    equal(gateway.requests('receive')[0]?.waitMs, 50);
  });

  test('reaches all queues whichever is named (C-12)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    for (const messageId of ['a', 'b', 'c', 'd']) await send(client, aMessage({ messageId }));
    const messages = await receiveMessages(client);
    const queues = messages.map((message) => message.systemProperties?.queueId);
    deepEqual(queues, [0, 1, 2, 0]);
  });

  const filters = [
    { expression: 'eu || us', tags: ['eu', 'us'] },
    { expression: 'eu', tags: ['eu'] },
    { expression: '*', tags: [] },
    { expression: '', tags: [] },
  ];
  for (const { expression, tags } of filters) {
    test(`with the filter "${expression}" asks for [${tags}] (C-13)`, async (t) => {
      const { gateway, connect } = await setUp(t);
      await receiveMessages(connect('c'), aPoll({ filterExpression: { type: 1, expression } }));
      deepEqual(gateway.requests('receive')[0]?.filter.tags, tags);
    });
  }

  const badPolls = [
    {
      why: 'a filter in SQL',
      poll: { filterExpression: { type: 2, expression: 'a > 3' } },
      code: 40010,
    },
    {
      why: 'a filter without tags',
      poll: { filterExpression: { type: 1, expression: '||' } },
      code: 40010,
    },
    { why: 'no invisible time', poll: { invisibleDuration: null }, code: 40011 },
    { why: 'a negative invisible time', poll: { invisibleDuration: { seconds: -1 } }, code: 40011 },
    { why: 'a negative wait', poll: { longPollingTimeout: { seconds: -1 } }, code: 40018 },
    {
      why: 'an unknown topic',
      poll: { messageQueue: { topic: { name: 'elsewhere' } } },
      code: 40402,
    },
  ];
  for (const { why, poll, code } of badPolls) {
    test(`is refused with ${code} for ${why}, as one status and an end with OK`, async (t) => {
      const { connect } = await setUp(t);
      const elements = await connect('c').collect<ReceivedElement>('receiveMessage', aPoll(poll));
      deepEqual(
        elements.flatMap(({ status }) => (status === null ? [] : [status.code])),
        [code],
      );
    });
  }

  test('takes a batch of 1 to 32, whatever is asked', async (t) => {
    const { gateway, connect } = await setUp(t);
    const client = connect('c');
    for (const batchSize of [-1, 0, 5, 1000]) await receiveMessages(client, aPoll({ batchSize }));
    deepEqual(
      gateway.requests('receive').map(({ batchSize }) => batchSize),
      [1, 1, 5, 32],
    );
  });

  test('with renewal needs no invisible time and hands client and attempt on', async (t) => {
    const { gateway, connect } = await setUp(t);
    const poll = aPoll({ autoRenew: true, invisibleDuration: null, attemptId: 'a7' });
    await receiveMessages(connect('client-7'), poll);
    const [request] = gateway.requests('receive');
    deepEqual(
      [request?.autoRenew, request?.clientId, request?.attemptId],
      [true, 'client-7', 'a7'],
    );
  });

  test('that the client gives up is given up by the broker too (C-18)', async (t) => {
    const { gateway, connect, until } = await setUp(t);
    const cancel = connect('c').startAndForget(
      'receiveMessage',
      aPoll({ longPollingTimeout: { seconds: 9 } }),
    );
    await until(() => gateway.calls.length === 1, 'the poll arrived');
    cancel();
    await until(() => gateway.calls[0]!.context.signal.aborted, 'the poll was aborted');
  });

  test('whose client left while its messages were on the way gives them back', async (t) => {
    const { gateway, connect, start, until } = await setUp(t);
    const late: BrokerGateway = {
      local: gateway.local,
      call: async (request, context) => {
        if (request.kind !== 'receive') return gateway.call(request, context);
        gateway.calls.push({ request, context });
        await until(() => context.signal.aborted, 'the client left');
        return gateway.call(request, { ...context, signal: new AbortController().signal });
      },
    };
    const other = await start({ gateway: late });
    await send(connect('p'), aMessage());
    const client = new RawClient(other.address, 'c');
    const cancel = client.startAndForget('receiveMessage', aPoll());
    await until(() => gateway.requests('receive').length === 1, 'the poll arrived');
    cancel();
    await until(() => gateway.requests('changeInvisible').length === 1, 'it was given back');
    equal(gateway.requests('changeInvisible')[0]?.invisibleMs, 0);
    client.close();
  });
});
