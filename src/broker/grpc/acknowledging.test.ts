import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CODE } from './status-codes.ts';
import type { Answer, RawClient } from './testing/raw-client.ts';
import {
  aMessage,
  codeOfAnswer,
  type EntriesAnswer,
  GROUP,
  receiveMessages,
  send,
  TOPIC,
} from './testing/requests.ts';
import { setUp } from './testing/set-up.ts';
import type { WireMessage } from './wire-types.ts';

const handleOf = (message: WireMessage | undefined): string =>
  message?.systemProperties?.receiptHandle ?? '';

describe('what consumers say about a delivery', () => {
  const ack = (client: RawClient, handles: readonly string[]): Promise<EntriesAnswer> =>
    client.call<EntriesAnswer>('ackMessage', {
      group: GROUP,
      topic: TOPIC,
      entries: handles.map((receiptHandle) => ({ messageId: 'm1', receiptHandle })),
    });

  test('an acknowledgement twice is OK twice (C-10)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage());
    const [message] = await receiveMessages(client);
    for (let i = 0; i < 2; i++) {
      const answer = await ack(client, [handleOf(message)]);
      deepEqual([codeOfAnswer(answer), answer.entries[0]?.status?.code], [CODE.ok, CODE.ok]);
    }
  });

  test('a good and a bad handle have different results, in order (C-11)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage());
    const [message] = await receiveMessages(client);
    const answer = await ack(client, [handleOf(message), 'garbage']);
    equal(codeOfAnswer(answer), CODE.multipleResults);
    deepEqual(answer.entries.map(codeOfAnswer), [CODE.ok, CODE.invalidReceiptHandle]);
    deepEqual(answer.entries[1]?.receiptHandle, 'garbage');
  });

  test('an acknowledgement of nothing is refused', async (t) => {
    const { connect } = await setUp(t);
    equal(codeOfAnswer(await ack(connect('c'), [])), CODE.badRequest);
  });

  test('a change of the invisible time gives a new handle and voids the old one (C-09)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage());
    const [message] = await receiveMessages(client);
    const old = handleOf(message);
    const answer = await client.call<Answer & { readonly receiptHandle: string }>(
      'changeInvisibleDuration',
      { group: GROUP, topic: TOPIC, receiptHandle: old, invisibleDuration: { seconds: 20 } },
    );
    equal(codeOfAnswer(answer), CODE.ok);
    notEqual(answer.receiptHandle, old);
    equal(codeOfAnswer(await ack(client, [old])), CODE.invalidReceiptHandle);
    equal(codeOfAnswer(await ack(client, [answer.receiptHandle])), CODE.ok);
  });

  test('an invisible time of 0 means now; an absent one means nothing (2.9)', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage());
    const [message] = await receiveMessages(client);
    const request = { group: GROUP, topic: TOPIC, receiptHandle: handleOf(message) };
    const absent = await client.call('changeInvisibleDuration', request);
    equal(codeOfAnswer(absent), CODE.illegalInvisibleTime);
    const zero = { ...request, invisibleDuration: { seconds: 0 } };
    equal(codeOfAnswer(await client.call('changeInvisibleDuration', zero)), CODE.ok);
    const [again] = await receiveMessages(client);
    equal(again?.systemProperties?.messageId, 'm1');
  });

  test('a dead letter is forwarded by its handle', async (t) => {
    const { connect } = await setUp(t);
    const client = connect('c');
    await send(client, aMessage());
    const [message] = await receiveMessages(client);
    const request = {
      group: GROUP,
      topic: TOPIC,
      receiptHandle: handleOf(message),
      messageId: 'm1',
    };
    equal(codeOfAnswer(await client.call('forwardMessageToDeadLetterQueue', request)), CODE.ok);
  });
});
