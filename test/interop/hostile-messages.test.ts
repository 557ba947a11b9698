/**
 * Requests of the official protocol that ask for what may not be: each is answered with the
 * protocol's status, and a sentence that names the value and the limit, while gRPC itself says OK.
 */
import { equal, match } from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Answer, RawClient } from '../../src/broker/grpc/testing/raw-client.ts';
import { clientOf } from './audit.ts';
import { HostileCluster } from './hostile-cluster.ts';
import { type Owner, owning } from './owner.ts';
import { pollOnce, pollRequest, rawClient, rawMessage, trySend } from './raw-calls.ts';
import { waitFor } from './test-cluster.ts';

const TOPIC = 'strict';
const PRODUCER = 1;
const OK = 20000;

type Refusal = readonly [what: string, code: number, words: RegExp];

const letters = (count: number): string => 'x'.repeat(count);
const withSystem = (system: object): object => rawMessage(TOPIC, system);
const withProperties = (userProperties: object): object =>
  rawMessage(TOPIC, {}, { userProperties });
const manyProperties = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));

const MESSAGES: readonly (readonly [...Refusal, message: object])[] = [
  ['an empty body', 41302, /body is empty/, rawMessage(TOPIC, {}, { body: Buffer.alloc(0) })],
  ['a blank topic', 40002, /Topic name is empty/, rawMessage('')],
  ['a topic of 128 characters', 40002, /128 characters, the most is 127/, rawMessage(letters(128))],
  ['a topic with a blank', 40002, /"a b" has characters other than/, rawMessage('a b')],
  ['a system topic', 40002, /"SCHEDULE_TOPIC_XXXX" is reserved/, rawMessage('SCHEDULE_TOPIC_XXXX')],
  ['a topic with a system prefix', 40002, /"rmq_sys_x" is reserved/, rawMessage('rmq_sys_x')],
  ['an unknown topic', 40402, /"unknown" does not exist/, rawMessage('unknown')],
  ['a dead-letter topic that is not there', 40402, /%DLQ%g/, rawMessage('%DLQ%g')],
  [
    '129 properties',
    43101,
    /129 user properties, the most is 128/,
    withProperties(manyProperties(129)),
  ],
  [
    'properties above 16 KiB',
    43101,
    /16386 bytes together, the most is 16384/,
    withProperties({ k: letters(16_385) }),
  ],
  ['a reserved property', 40007, /"UNIQ_KEY" is reserved/, withProperties({ UNIQ_KEY: 'x' })],
  ['a blank property key', 40007, /blank key/, withProperties({ ' ': 'x' })],
  [
    'a property with control characters',
    40007,
    /"k" holds control characters/,
    withProperties({ k: 'a\u0002b' }),
  ],
  ['a blank tag', 40004, /tag is blank/, withSystem({ tag: ' ' })],
  ['a tag with a bar', 40004, /"a\|b" holds "\|"/, withSystem({ tag: 'a|b' })],
  ['a blank key', 40005, /key is blank/, withSystem({ keys: ['a', ' '] })],
  ['a key with control characters', 40005, /"a\?" holds control/, withSystem({ keys: ['a\n'] })],
  ['a blank message id', 40009, /message id is blank/, withSystem({ messageId: ' ' })],
  [
    'a message id of 129 characters',
    40009,
    /129 characters.*the most is 128/,
    withSystem({ messageId: letters(129) }),
  ],
  [
    'no system properties',
    40009,
    /no system properties/,
    rawMessage(TOPIC, {}, { systemProperties: null }),
  ],
  [
    'a message group',
    40014,
    /type FIFO, .*NORMAL/,
    withSystem({ messageType: 2, messageGroup: 'g' }),
  ],
  [
    'a delivery time',
    40014,
    /type DELAY, .*NORMAL/,
    withSystem({ messageType: 3, deliveryTimestamp: { seconds: 4_000_000_000 } }),
  ],
  ['a transaction', 40014, /type TRANSACTION, .*NORMAL/, withSystem({ messageType: 4 })],
  ['a group of blanks', 40006, /1 to 63 without control/, withSystem({ messageGroup: ' ' })],
  [
    'a wrong digest',
    40000,
    /does not match its digest/,
    withSystem({ bodyDigest: { type: 2, checksum: 'AB' } }),
  ],
  ['an unknown encoding', 40000, /encoding 9 is unknown/, withSystem({ bodyEncoding: 9 })],
  [
    'a long trace',
    40000,
    /trace context has 4097 bytes.*4096/,
    withSystem({ traceContext: letters(4_097) }),
  ],
];

const poll = (topic: string, group: string, rest: object = {}): object => ({
  ...pollRequest(topic, group),
  ...rest,
});

const POLLS: readonly (readonly [...Refusal, request: object])[] = [
  ['an unknown topic', 40402, /"unknown" does not exist/, poll('unknown', 'g')],
  ['a topic with a blank', 40002, /"a b" has characters other than/, poll('a b', 'g')],
  ['a blank group', 40003, /Consumer group name is empty/, poll(TOPIC, '')],
  [
    'a group of 121 characters',
    40003,
    /121 characters, the most is 120/,
    poll(TOPIC, letters(121)),
  ],
  ['a group with a blank', 40003, /"a b" has characters other than/, poll(TOPIC, 'a b')],
  ['a system group', 40003, /"CID_RMQ_SYS_x" is reserved/, poll(TOPIC, 'CID_RMQ_SYS_x')],
  [
    'no invisible time',
    40011,
    /no usable invisible/,
    poll(TOPIC, 'g', { invisibleDuration: null }),
  ],
  [
    'an invisible time of a day',
    40011,
    /86400000 ms, from 1000 to 43200000 ms/,
    poll(TOPIC, 'g', { invisibleDuration: { seconds: 86_400 } }),
  ],
  [
    'a filter in SQL',
    40010,
    /SQL are not there yet/,
    poll(TOPIC, 'g', { filterExpression: { type: 2, expression: 'a = 1' } }),
  ],
  [
    'a filter without tags',
    40010,
    /names no tag/,
    poll(TOPIC, 'g', { filterExpression: { type: 1, expression: '||' } }),
  ],
  [
    'a negative wait',
    40018,
    /long polling timeout is out of range/,
    poll(TOPIC, 'g', { longPollingTimeout: { seconds: -1 } }),
  ],
];

const NOT_THERE = [
  ...['updateOffset', 'getOffset', 'queryOffset', 'endTransaction', 'recallMessage'],
  'syncLiteSubscription',
];

suite('requests that ask for what may not be', { timeout: 60_000 }, () => {
  let hostile: HostileCluster;
  before(async () => {
    hostile = await HostileCluster.start({ nodeCount: 1, autoCreateTopics: false });
    const client = clientOf(hostile.cluster);
    await client.topicPut(TOPIC, 1).finally(() => client.close());
  });
  after(async () => {
    await hostile.close();
  });

  const connected = (owner: Owner, clientId = 'strict-client'): RawClient =>
    rawClient(owner, hostile.cluster.nodes[0]!.grpc, clientId);
  const told = ({ status }: Answer, code: number, words: RegExp): void => {
    equal(status?.code, code, status?.message);
    match(status?.message ?? '', words);
  };

  for (const [what, code, words, message] of MESSAGES) {
    test(`a send with ${what} is ${code}`, async () => {
      await owning(async (owner) => {
        told(await trySend(connected(owner), message), code, words);
      });
    });
  }

  for (const [what, code, words, request] of POLLS) {
    test(`a poll with ${what} is ${code}`, async () => {
      await owning(async (owner) => {
        const answer = await pollOnce(connected(owner), request);
        equal(answer.code, code, answer.sentence);
        match(answer.sentence, words);
      });
    });
  }

  test('one byte more than the advertised maximum is 41301, the maximum itself is stored', async () => {
    await owning(async (owner) => {
      const client = connected(owner);
      const telemetry = client.telemetry();
      owner.after(async () => telemetry.cancel());
      telemetry.say({
        settings: { clientType: PRODUCER, publishing: { topics: [{ name: TOPIC }] } },
      });
      const [command] = await telemetry.commands(1);
      const maxBodySize = command?.settings?.publishing?.maxBodySize ?? 0;
      equal(maxBodySize > 1_000_000, true, `${maxBodySize}`);
      const most = rawMessage(TOPIC, {}, { body: Buffer.alloc(maxBodySize, 1) });
      equal((await trySend(client, most)).status?.code, OK);
      const more = rawMessage(TOPIC, {}, { body: Buffer.alloc(maxBodySize + 1, 1) });
      const sentence = new RegExp(`body has ${maxBodySize + 1} bytes, the most is ${maxBodySize}`);
      told(await trySend(client, more), 41301, sentence);
    });
  });

  test('a send of no message, of two topics or of too many is refused as a whole', async () => {
    await owning(async (owner) => {
      const client = connected(owner);
      const send = (messages: readonly object[]) =>
        client.call<Answer>('sendMessage', { messages });
      told(await send([]), 40016, /holds no message/);
      told(await send([rawMessage(TOPIC), rawMessage('other')]), 40016, /"strict" and "other"/);
      const many = Array.from({ length: 1_025 }, () => rawMessage(TOPIC));
      told(await send(many), 40016, /1025 messages, the most is 1024/);
      const half = { body: Buffer.alloc(3_500_000, 1) };
      const large = [rawMessage(TOPIC, {}, half), rawMessage(TOPIC, {}, half)];
      told(await send(large), 41301, /7000000 bytes, the most is 6291456/);
    });
  });

  test('a route of an unknown topic is 40402, of an illegal one 40002', async () => {
    await owning(async (owner) => {
      const client = connected(owner);
      for (const method of ['queryRoute', 'queryAssignment']) {
        const ask = (name: string) =>
          client.call<Answer>(method, { topic: { name }, group: { name: 'g' } });
        told(await ask('unknown'), 40402, /No topic route info.*unknown/);
        told(await ask(letters(128)), 40002, /128 characters, the most is 127/);
        told(await ask(''), 40002, /empty/);
      }
    });
  });

  test('RPCs that are not there yet are 50100, each by its name', async () => {
    await owning(async (owner) => {
      const client = connected(owner);
      for (const method of NOT_THERE) {
        told(await client.call(method, {}), 50100, new RegExp(`${method} is not there yet`, 'i'));
      }
      const [answer] = await client.collect<Answer>('pullMessage', {});
      told(answer!, 50100, /PullMessage is not there yet/);
    });
  });

  test('a client without an id is 40017, one with an endless id 40000', async () => {
    await owning(async (owner) => {
      const heartbeat = (id: string) => connected(owner, id).call<Answer>('heartbeat', {});
      told(await heartbeat(' '), 40017, /x-mq-client-id is missing or blank/);
      told(await heartbeat(letters(257)), 40000, /257 characters; at most 256/);
    });
  });

  test('handles that are none are 40013, and none at all is 40000', async () => {
    await owning(async (owner) => {
      const client = connected(owner);
      const names = { group: { name: 'g' }, topic: { name: TOPIC } };
      const entries = [{ messageId: 'm', receiptHandle: 'nonsense' }];
      told(await client.call('ackMessage', { ...names, entries }), 40013, /names no delivery/);
      told(await client.call('ackMessage', { ...names, entries: [] }), 40000, /no receipt handle/);
      const handle = { ...names, receiptHandle: 'nonsense', messageId: 'm' };
      const change = { ...handle, invisibleDuration: { seconds: 1 } };
      told(await client.call('changeInvisibleDuration', change), 40013, /not one of this group/);
      told(await client.call('forwardMessageToDeadLetterQueue', handle), 40013, /not one of/);
    });
  });

  test('afterwards all is as before: processes, descriptors, memory, logs, and it serves', async () => {
    await waitFor('telemetry streams to end', async () => {
      const metrics = await hostile.cluster.metrics('n1');
      return metrics?.get('mqraft_grpc_telemetry_streams') === 0 ? true : null;
    });
    const metrics = await hostile.cluster.metrics('n1');
    equal(metrics?.get('mqraft_grpc_unexpected_errors_total'), 0);
    await hostile.unharmed('strict-after');
  });
});
