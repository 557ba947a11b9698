import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import { BROKER_ERROR_CODES, BrokerError, type BrokerErrorCode } from '../verbs.ts';
import { CODE } from './status-codes.ts';
import type { Answer } from './testing/raw-client.ts';
import {
  aMessage,
  aPoll,
  codeOfAnswer,
  GROUP,
  type ReceivedElement,
  type RouteAnswer,
  receiveMessages,
  send,
  TOPIC,
} from './testing/requests.ts';
import { setUp } from './testing/set-up.ts';

describe('every call', () => {
  const requests = {
    queryRoute: { topic: TOPIC },
    heartbeat: {},
    sendMessage: { messages: [aMessage()] },
    queryAssignment: { topic: TOPIC, group: GROUP },
    ackMessage: { group: GROUP, topic: TOPIC, entries: [{ receiptHandle: 'x' }] },
    forwardMessageToDeadLetterQueue: { group: GROUP, topic: TOPIC },
    updateOffset: {},
    getOffset: {},
    queryOffset: {},
    endTransaction: {},
    notifyClientTermination: {},
    changeInvisibleDuration: { group: GROUP, topic: TOPIC },
    recallMessage: {},
    syncLiteSubscription: {},
  };

  test('without a client id is refused in its status, not with a gRPC error (S-09)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect(null);
    for (const [method, request] of Object.entries(requests)) {
      const answer = await client.call(method, request);
      deepEqual([method, codeOfAnswer(answer)], [method, CODE.clientIdRequired]);
    }
    const received = await client.collect<Answer>('receiveMessage', aPoll());
    equal(received[0]?.status?.code, CODE.clientIdRequired);
  });

  for (const language of ['HTTP', 'nodejs', 'DOT_NET', null]) {
    test(`accepts the language ${language} (S-10)`, async (t) => {
      const { connect } = await setUp(t);
      const client = connect('c');
      if (language !== null) client.metadata.set('x-mq-language', language);
      equal(codeOfAnswer(await client.call('heartbeat', {})), CODE.ok);
    });
  }

  test('that is not served yet says so in its status', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    const methods = ['updateOffset', 'getOffset', 'queryOffset', 'endTransaction', 'recallMessage'];
    for (const method of [...methods, 'syncLiteSubscription']) {
      equal(codeOfAnswer(await client.call(method, {})), CODE.notImplemented);
    }
    const pulled = await client.collect<Answer>('pullMessage', {});
    deepEqual(pulled.map(codeOfAnswer), [CODE.notImplemented]);
  });

  test('passes the sentence of a broker error on, with the code of its class', async (t) => {
    const { gateway, connect } = await setUp(t);
    const client = connect('c');
    const seen = new Map<BrokerErrorCode, number | undefined>();
    for (const code of BROKER_ERROR_CODES) {
      gateway.refusals.set('send', new BrokerError(code, `because of ${code}`));
      const { status } = await send(client, aMessage());
      equal(status?.message, `because of ${code}`);
      seen.set(code, status?.code);
    }
    equal(seen.get('timeout'), 50400);
    equal(seen.get('busy'), 42900);
    equal(seen.get('topicNotFound'), 40402);
    ok([...seen.values()].every((code) => code !== undefined && code >= 40000));
  });

  test('that meets a bug answers 50001, is logged, and the endpoint goes on', async (t) => {
    const { gateway, connect, endpoint, logged } = await setUp(t);
    const client = connect('c');
    gateway.refusals.set('send', new TypeError('x is not a function'));
    equal(codeOfAnswer(await send(client, aMessage())), CODE.internalServerError);
    equal(endpoint.counts.unexpectedErrors, 1);
    equal(logged.length, 1);
    gateway.refusals.clear();
    equal(codeOfAnswer(await send(client, aMessage())), CODE.ok);
  });

  test('hands the broker its deadline, a little shorter', async (t) => {
    const { gateway, connect, clock } = await setUp(t);
    const startMs = clock.monotonicMs();
    await connect('c').call('sendMessage', { messages: [aMessage()] }, 10_000);
    const budgetMs = gateway.calls[0]!.context.deadlineAtMonotonicMs - startMs;
    ok(budgetMs > 5_000 && budgetMs <= 9_600 + 1_000, `${budgetMs}`);
  });
});

describe('a namespace', () => {
  test('is part of every name, from the resource or the header (S-15)', async (t) => {
    const { gateway, connect } = await setUp(t);
    gateway.addTopic('ns1%orders', 1);
    const client = connect('c');
    client.metadata.set('x-mq-namespace', 'ns1');
    await send(client, aMessage({ messageId: 'in-ns1' }));
    await send(connect('d'), aMessage({ messageId: 'in-none' }));
    const [message] = await receiveMessages(client);
    equal(message?.systemProperties?.messageId, 'in-ns1');
    equal(message?.topic?.name, 'orders');
    equal(gateway.requests('receive')[0]?.group, 'ns1%billing');
    const topic = { resourceNamespace: 'ns1', name: 'orders' };
    const route = await connect('e').call<RouteAnswer>('queryRoute', { topic });
    deepEqual({ ...route.messageQueues[0]?.topic }, topic);
  });
});

describe('the endpoint', () => {
  test('refuses a port that is taken, by name', async (t) => {
    const { endpoint, start } = await setUp(t);
    await rejects(start({ listenAddress: endpoint.address }), (error: unknown) => {
      ok(error instanceof FatalError);
      equal(error.reason, 'addressInUse');
      match(error.message, new RegExp(endpoint.address.replaceAll('.', '\\.')));
      return true;
    });
  });

  for (const listenAddress of ['nonsense', '127.0.0.1', '']) {
    test(`refuses to listen on "${listenAddress}"`, async (t) => {
      const { start } = await setUp(t);
      await rejects(start({ listenAddress }), { reason: 'badConfiguration' });
    });
  }

  test('answers open polls when it closes, and closes once', async (t) => {
    const { endpoint, gateway, connect, until } = await setUp(t);
    const poll = connect('c').collect<ReceivedElement>(
      'receiveMessage',
      aPoll({ longPollingTimeout: { seconds: 20 } }),
      30_000,
    );
    await until(() => gateway.calls.length === 1, 'the poll arrived');
    const closed = endpoint.close();
    const elements = await poll;
    equal(elements[0]?.status?.code, CODE.messageNotFound);
    await Promise.all([closed, endpoint.close()]);
  });
});
