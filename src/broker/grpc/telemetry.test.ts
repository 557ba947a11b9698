import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { status as GRPC_STATUS } from '@grpc/grpc-js';
import { BrokerError } from '../verbs.ts';
import { CODE } from './status-codes.ts';
import type { StreamEnd, TelemetryConversation } from './testing/raw-client.ts';
import { setUp } from './testing/set-up.ts';
import type { Settings } from './wire-types.ts';

const NODE_JS = 8;
const JAVA = 1;
const TOPIC = { resourceNamespace: '', name: 'orders' };
const producer = { clientType: 1, userAgent: { language: JAVA }, publishing: { topics: [TOPIC] } };
const consumer = (language: number, name = 'billing'): object => ({
  clientType: 3,
  userAgent: { language },
  subscription: { group: { name }, subscriptions: [{ topic: TOPIC, expression: { type: 1 } }] },
});

async function answersTo(
  conversation: TelemetryConversation,
  settings: object,
  count = 1,
): Promise<readonly (Settings | null)[]> {
  conversation.say({ settings });
  const commands = await conversation.commands(count);
  for (const { status } of commands) equal(status?.code, CODE.ok);
  return commands.map((command) => command.settings);
}

test('a producer gets its settings back, filled in, with status OK (S-05)', async (t) => {
  const { connect } = await setUp(t);
  const [settings] = await answersTo(connect('c').telemetry(), producer);
  equal(settings?.publishing?.maxBodySize, 4 * 1024 * 1024 - 64 * 1024);
  equal(settings?.publishing?.validateMessageType, true);
  deepEqual(
    settings?.publishing?.topics.map(({ name }) => name),
    ['orders'],
  );
  equal(settings?.backoffPolicy?.maxAttempts, 3);
  equal(settings?.backoffPolicy?.exponentialBackoff?.initial.nanos, 10_000_000);
  equal(settings?.clientType, 1);
});

test('a consumer gets what its group is configured to (S-06)', async (t) => {
  const { gateway, connect } = await setUp(t);
  gateway.groups.set('billing', { maxAttempts: 5, fifo: true });
  const [settings] = await answersTo(connect('c').telemetry(), consumer(JAVA));
  equal(settings?.backoffPolicy?.maxAttempts, 5);
  equal(settings?.subscription?.fifo, true);
  equal(settings?.subscription?.receiveBatchSize, 32);
  equal(settings?.subscription?.longPollingTimeout?.seconds, 20);
  equal(settings?.subscription?.subscriptions.length, 1);
});

test('a consumer is answered while there is no leader', async (t) => {
  const { gateway, connect } = await setUp(t);
  gateway.refusals.set('groupDescribe', new BrokerError('timeout', 'There is no leader'));
  const [settings] = await answersTo(connect('c').telemetry(), consumer(JAVA));
  equal(settings?.backoffPolicy?.maxAttempts, 17);
});

test('settings that are sent again are answered again (S-08)', async (t) => {
  const { connect } = await setUp(t);
  const conversation = connect('c').telemetry();
  const [first] = await answersTo(conversation, producer);
  const [, second] = await answersTo(conversation, producer, 2);
  deepEqual(second, first);
});

const REFUSED = [
  {
    why: 'neither producer nor consumer (S-07)',
    settings: { clientType: 1 },
    code: CODE.badRequest,
  },
  { why: 'an illegal group', settings: consumer(JAVA, 'a b'), code: CODE.illegalConsumerGroup },
];
for (const { why, settings, code } of REFUSED) {
  test(`settings of ${why} end the stream with INVALID_ARGUMENT`, async (t) => {
    const { connect } = await setUp(t);
    const conversation = connect('c').telemetry();
    conversation.say({ settings });
    const end: StreamEnd = await conversation.ended;
    equal(end.code, GRPC_STATUS.INVALID_ARGUMENT);
    deepEqual(
      conversation.received.map(({ status, settings }) => [status?.code, settings]),
      [[code, null]],
    );
  });
}

test('a stream without a client id is told so and ends with OK (S-09)', async (t) => {
  const { connect } = await setUp(t);
  const conversation = connect(null).telemetry();
  equal((await conversation.ended).code, GRPC_STATUS.OK);
  equal(conversation.received[0]?.status?.code, CODE.clientIdRequired);
});

test('headers come before anything is said (S-16)', async (t) => {
  const { connect } = await setUp(t);
  await connect('c').telemetry().headers;
});

test('a client that ends its half gets the end of ours with OK (S-17)', async (t) => {
  const { connect, endpoint } = await setUp(t);
  const conversation = connect('c').telemetry();
  await answersTo(conversation, producer);
  conversation.halfClose();
  equal((await conversation.ended).code, GRPC_STATUS.OK);
  equal(endpoint.clients().streamCount, 0);
});

test('a Node client hears its settings again on its first heartbeat, others do not', async (t) => {
  const { connect } = await setUp(t);
  const [node, java] = [connect('node'), connect('java')];
  const [nodeTalk, javaTalk] = [node.telemetry(), java.telemetry()];
  const [first] = await answersTo(nodeTalk, consumer(NODE_JS));
  await answersTo(javaTalk, consumer(JAVA));
  await java.call('heartbeat', {});
  await node.call('heartbeat', {});
  const [, repeated] = await nodeTalk.commands(2);
  deepEqual(repeated?.settings, first);
  javaTalk.halfClose();
  await javaTalk.ended;
  equal(javaTalk.received.length, 1);
});

test('a Node client hears its settings again after a second without a heartbeat', async (t) => {
  const { connect } = await setUp(t);
  const conversation = connect('node').telemetry();
  const [first] = await answersTo(conversation, consumer(NODE_JS));
  const [, repeated] = await conversation.commands(2);
  deepEqual(repeated?.settings, first);
});

test('answers of a client to commands are taken without a reply', async (t) => {
  const { connect } = await setUp(t);
  const conversation = connect('c').telemetry();
  conversation.say({ threadStackTrace: { nonce: 'n', threadStackTrace: 'main' } });
  conversation.say({});
  await answersTo(conversation, producer);
  equal(conversation.received.length, 1);
});

test('streams are counted per client, and a lost connection loses them', async (t) => {
  const { connect, endpoint, gateway, until } = await setUp(t);
  const client = connect('c');
  const [first, second] = [client.telemetry(), client.telemetry()];
  await answersTo(first, producer);
  await answersTo(second, producer);
  deepEqual(endpoint.clients(), { clientCount: 1, streamCount: 2 });
  await until(() => gateway.requests('clientSeen').length === 1, 'the client was reported');
  first.cancel();
  second.cancel();
  await until(() => endpoint.clients().streamCount === 0, 'the streams were released');
  await until(() => gateway.requests('clientGone').length === 1, 'the client was reported as gone');
});

test('good-bye is told to the group', async (t) => {
  const { connect, gateway, until } = await setUp(t);
  const answer = await connect('c').call('notifyClientTermination', {});
  equal(answer.status?.code, CODE.ok);
  await until(() => gateway.requests('clientGone').length === 1, 'the client was reported as gone');
});

test('closing the endpoint ends streams with OK', async (t) => {
  const { connect, endpoint } = await setUp(t);
  const conversation = connect('c').telemetry();
  await answersTo(conversation, producer);
  await endpoint.close();
  equal((await conversation.ended).code, GRPC_STATUS.OK);
});
