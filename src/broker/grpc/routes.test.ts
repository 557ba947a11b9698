import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NodeId } from '../../base/units.ts';
import { BrokerError } from '../verbs.ts';
import { CODE } from './status-codes.ts';
import type { Answer } from './testing/raw-client.ts';
import { codeOfAnswer, GROUP, NORMAL, type RouteAnswer, TOPIC } from './testing/requests.ts';
import { addressPartsOf, setUp } from './testing/set-up.ts';
import type { MessageQueue } from './wire-types.ts';

describe('a route', () => {
  test('lists one broker per live node with all queues (S-11)', async (t) => {
    const { gateway, endpoint, connect } = await setUp(t);
    gateway.nodes = [
      ...gateway.nodes,
      { nodeId: NodeId('n2'), grpcAddress: 'mq2.example:8081', isLeaving: false },
    ];
    const answer = await connect('c').call<RouteAnswer>('queryRoute', { topic: TOPIC });
    equal(codeOfAnswer(answer), CODE.ok);
    const queues = answer.messageQueues.map(({ broker, id }) => `${broker?.name}/${id}`);
    deepEqual(queues, ['dev-n1/0', 'dev-n1/1', 'dev-n1/2', 'dev-n2/0', 'dev-n2/1', 'dev-n2/2']);
    for (const { broker, permission, acceptMessageTypes, topic } of answer.messageQueues) {
      equal(broker?.id, 0);
      equal(broker?.endpoints?.addresses.length, 1);
      notEqual(broker?.endpoints?.scheme, 0);
      equal(permission, 4);
      deepEqual(acceptMessageTypes, [NORMAL]);
      equal(topic?.name, 'orders');
    }
    deepEqual(
      answer.messageQueues[0]?.broker?.endpoints?.addresses.map(({ host, port }) => ({
        host,
        port,
      })),
      [addressPartsOf(endpoint.address)],
    );
  });

  test('of an unknown topic says so in the words that clients look for (S-04)', async (t) => {
    const { connect } = await setUp(t);
    const topic = { name: 'no-such-topic' };
    const { status } = await connect('c').call<RouteAnswer>('queryRoute', { topic });
    equal(status?.code, CODE.topicNotFound);
    equal(
      status?.message,
      'CODE: 17  DESC: No topic route info in name server for the topic: no-such-topic',
    );
  });

  test('of an unknown topic creates it when that is allowed', async (t) => {
    const { gateway, connect } = await setUp(t, { autoCreateTopics: true });
    const topic = { name: 'new-topic' };
    const { status, messageQueues } = await connect('c').call<RouteAnswer>('queryRoute', { topic });
    equal(status?.code, CODE.ok);
    equal(messageQueues.length, gateway.requests('topicPut')[0]?.queueCount);
  });

  test('of a dead-letter topic never creates it', async (t) => {
    const { gateway, connect } = await setUp(t, { autoCreateTopics: true });
    const topic = { name: '%DLQ%billing' };
    const { status } = await connect('c').call<RouteAnswer>('queryRoute', { topic });
    equal(status?.code, CODE.topicNotFound);
    deepEqual(gateway.requests('topicPut'), []);
  });

  for (const name of ['', 'a b', 'x'.repeat(128), 'TBW102', 'rmq_sys_x']) {
    test(`of the name "${name.slice(0, 9)}" is refused (S-12)`, async (t) => {
      const { connect } = await setUp(t, { autoCreateTopics: true });
      const answer = await connect('c').call('queryRoute', { topic: { name } });
      equal(codeOfAnswer(answer), CODE.illegalTopic);
    });
  }

  test('repeats the access point where that is asked for', async (t) => {
    const { connect } = await setUp(t, { routeMode: 'accessPoint' });
    const endpoints = { scheme: 3, addresses: [{ host: 'mq.example', port: 80 }] };
    const answer = await connect('c').call<RouteAnswer>('queryRoute', { topic: TOPIC, endpoints });
    const seen = answer.messageQueues.map(({ broker }) => broker?.endpoints?.addresses[0]?.host);
    deepEqual(seen, ['mq.example', 'mq.example', 'mq.example']);
    const two = { scheme: 1, addresses: [...endpoints.addresses, ...endpoints.addresses] };
    const other = await connect('c').call<RouteAnswer>('queryRoute', {
      topic: TOPIC,
      endpoints: two,
    });
    equal(other.messageQueues[0]?.broker?.endpoints?.addresses.length, 1);
    equal(other.messageQueues[0]?.broker?.name, 'dev-n1');
  });

  test('is assigned to every consumer alike, as one for each node (U-11)', async (t) => {
    const { connect } = await setUp(t);
    const answer = await connect('c').call<
      Answer & { readonly assignments: readonly { readonly messageQueue: MessageQueue }[] }
    >('queryAssignment', { topic: TOPIC, group: GROUP });
    const seen = answer.assignments.map(({ messageQueue: { id, permission, broker } }) => [
      id,
      permission,
      broker?.name,
    ]);
    deepEqual(seen, [[-1, 4, 'dev-n1']]);
  });

  test('is never assigned as an empty list with OK (U-12)', async (t) => {
    const { gateway, connect } = await setUp(t);
    gateway.refusals.set('topicDescribe', new BrokerError('timeout', 'There is no leader'));
    const answer = await connect('c').call('queryAssignment', { topic: { name: 'elsewhere' } });
    equal(codeOfAnswer(answer), CODE.proxyTimeout);
  });
});
