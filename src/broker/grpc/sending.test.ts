import { deepEqual, equal, ok } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { CODE } from './status-codes.ts';
import {
  aMessage,
  codeOfAnswer,
  type EntriesAnswer,
  receiveMessages,
  send,
  userProperties,
} from './testing/requests.ts';
import { setUp } from './testing/set-up.ts';

describe('a send', () => {
  test('answers id, transaction id and offset (P-01)', async (t) => {
    const { connect } = await setUp(t);
    const { status, entries } = await send(connect('c'), aMessage());
    equal(status?.code, CODE.ok);
    const [entry] = entries;
    deepEqual(
      [entry?.status?.code, entry?.messageId, entry?.transactionId, entry?.offset],
      [CODE.ok, 'm1', 'm1', 0],
    );
  });

  test('of the same message id twice has the same outcome (P-14)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    const [first, second] = [await send(client, aMessage()), await send(client, aMessage())];
    deepEqual(first.entries[0]?.offset, second.entries[0]?.offset);
  });

  test('answers several messages in their order', async (t) => {
    const { connect } = await setUp(t);
    const messages = ['a', 'b', 'c'].map((messageId) => aMessage({ messageId }));
    const answer = await connect('c').call<EntriesAnswer>('sendMessage', { messages });
    deepEqual(
      answer.entries.map(({ messageId }) => messageId),
      ['a', 'b', 'c'],
    );
  });

  const timestamp = { seconds: 4_000_000_000 };
  const refusals: readonly { why: string; message: object; code: number }[] = [
    { why: 'an empty body (P-05)', message: aMessage({}, { body: Buffer.alloc(0) }), code: 41302 },
    {
      why: 'a body beyond the advertised size (P-04)',
      message: aMessage({}, { body: Buffer.alloc(4 * 1024 * 1024 - 64 * 1024 + 1) }),
      code: 41301,
    },
    {
      why: '129 properties',
      message: aMessage({}, { userProperties: userProperties(129, 1) }),
      code: 43101,
    },
    {
      why: '17 KiB of properties',
      message: aMessage({}, { userProperties: userProperties(17, 1024) }),
      code: 43101,
    },
    {
      why: 'a reserved key',
      message: aMessage({}, { userProperties: { TAGS: 'x' } }),
      code: 40007,
    },
    {
      why: 'a control character',
      message: aMessage({}, { userProperties: { k: '\u0001' } }),
      code: 40007,
    },
    { why: 'a tag with a bar', message: aMessage({ tag: 'a|b' }), code: 40004 },
    { why: 'a blank tag', message: aMessage({ tag: ' ' }), code: 40004 },
    { why: 'a blank key', message: aMessage({ keys: ['a', ' '] }), code: 40005 },
    {
      why: 'a message group of 64 bytes',
      message: aMessage({ messageGroup: 'g'.repeat(64) }),
      code: 40006,
    },
    { why: 'a blank message group', message: aMessage({ messageGroup: '' }), code: 40006 },
    { why: 'a blank id (P-15)', message: aMessage({ messageId: ' ' }), code: 40009 },
    { why: 'no system properties', message: aMessage({}, { systemProperties: null }), code: 40009 },
    { why: 'FIFO', message: aMessage({ messageType: 2, messageGroup: 'g' }), code: 40014 },
    {
      why: 'DELAY',
      message: aMessage({ messageType: 3, deliveryTimestamp: timestamp }),
      code: 40014,
    },
    {
      why: 'a delivery time called NORMAL',
      message: aMessage({ deliveryTimestamp: timestamp }),
      code: 40014,
    },
    { why: 'TRANSACTION', message: aMessage({ messageType: 4 }), code: 40014 },
    { why: 'LITE', message: aMessage({ messageType: 5, liteTopic: 'l' }), code: 40014 },
    { why: 'PRIORITY', message: aMessage({ messageType: 6, priority: 3 }), code: 40014 },
    { why: 'a type without its field', message: aMessage({ messageType: 3 }), code: 40014 },
    {
      why: 'a wrong digest',
      message: aMessage({ bodyDigest: { type: 2, checksum: 'AB' } }),
      code: 40000,
    },
    { why: 'an unknown encoding', message: aMessage({ bodyEncoding: 9 }), code: 40000 },
    {
      why: 'a born time before 1970',
      message: aMessage({ bornTimestamp: { seconds: -5 } }),
      code: 40000,
    },
    {
      why: 'an unknown topic',
      message: aMessage({}, { topic: { name: 'elsewhere' } }),
      code: 40402,
    },
    { why: 'no topic', message: aMessage({}, { topic: null }), code: 40002 },
  ];
  for (const { why, message, code } of refusals) {
    test(`is refused with ${code} for ${why}`, async (t) => {
      const { connect } = await setUp(t);
      const { status, entries } = await send(connect('c'), message);
      equal(status?.code, code);
      equal(entries.length, 0);
      ok((status?.message ?? '').length > 10);
    });
  }

  test('of two topics in one request is refused (P-12)', async (t) => {
    const { gateway, connect } = await setUp(t);
    gateway.addTopic('payments', 1);
    const messages = [aMessage(), aMessage({}, { topic: { name: 'payments' } })];
    const answer = await connect('c').call('sendMessage', { messages });
    equal(codeOfAnswer(answer), CODE.messageCorrupted);
  });

  test('of nothing is refused', async (t) => {
    const { connect } = await setUp(t);
    const answer = await connect('c').call('sendMessage', { messages: [] });
    equal(codeOfAnswer(answer), CODE.messageCorrupted);
  });

  test('of a NORMAL message with priority 0 is a NORMAL message (P-17)', async (t) => {
    const { connect } = await setUp(t);
    equal(codeOfAnswer(await send(connect('c'), aMessage({ priority: 0 }))), CODE.ok);
  });

  const body = Buffer.from('paid 🙂');
  const digests = [
    { type: 2, checksum: createHash('md5').update(body).digest('hex') },
    { type: 3, checksum: createHash('sha1').update(body).digest('hex').toUpperCase() },
    { type: 0, checksum: 'whatever' },
    { type: 2, checksum: '' },
  ];
  for (const bodyDigest of digests) {
    test(`with the digest ${bodyDigest.type} "${bodyDigest.checksum.slice(0, 6)}" is taken`, async (t) => {
      const { connect } = await setUp(t);
      equal(codeOfAnswer(await send(connect('c'), aMessage({ bodyDigest }))), CODE.ok);
    });
  }

  test('of the largest body reaches a consumer in one gRPC message of 4 MiB (P-04)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    const largest = Buffer.alloc(4 * 1024 * 1024 - 64 * 1024, 'x');
    equal(
      codeOfAnswer(
        await send(
          client,
          aMessage({}, { body: largest, userProperties: userProperties(15, 1_000) }),
        ),
      ),
      CODE.ok,
    );
    const [message] = await receiveMessages(client);
    equal(message?.body.length, largest.length);
  });
});
