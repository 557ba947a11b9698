import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import type { RoomLevel } from '../../src/broker/verbs.ts';
import { GROUP, ids, openBroker, outgoing, TOPIC } from './broker-fixture.ts';

async function aBroker(options: { readonly autoCreateTopics?: boolean } = {}) {
  const disk: { level: RoomLevel } = { level: 'ok' };
  const diskRoom = () => ({ ...disk, totalBytes: 1000, freeBytes: 40, reserveBytes: 50 });
  return { disk, ...(await openBroker({ ...options, diskRoom })) };
}

const REFUSAL = {
  code: 'diskFull',
  message: /40 of 1000 bytes are free, and the last 50 are kept .* Nothing was stored\. Free space/,
};

test('a full disk refuses messages before they enter the log, with the numbers', async () => {
  const { disk, replica, send } = await aBroker();
  await send({ messageId: 'a' });
  const lastIndex = replica.status().lastIndex;
  disk.level = 'full';
  await rejects(send({ messageId: 'b' }), REFUSAL);
  await rejects(send({ messageId: 'a' }, { messageId: 'b' }), REFUSAL);
  equal(replica.status().lastIndex, lastIndex);
  disk.level = 'ok';
  const [receipt] = await send({ messageId: 'b' });
  equal(receipt?.duplicate, false, 'the refusal left no trace');
});

test('a disk with little room takes messages', async () => {
  const { disk, send } = await aBroker();
  disk.level = 'low';
  equal((await send({})).length, 1);
});

test('a message that was stored before is acknowledged again, full disk or not', async () => {
  const { disk, send } = await aBroker();
  const [first] = await send({ messageId: 'a' });
  disk.level = 'full';
  const [again] = await send({ messageId: 'a' });
  deepEqual(again, { ...first, duplicate: true });
});

test('a full disk refuses topics and groups by command, and topics by first use', async () => {
  const { disk, serve, send } = await aBroker();
  disk.level = 'full';
  await rejects(send({ topic: 'new' }), REFUSAL);
  await rejects(serve({ kind: 'topicPut', topic: 'new', queueCount: 1 }, 'topicPut'), REFUSAL);
  await rejects(serve({ kind: 'groupPut', group: 'new', maxAttempts: 1 }, 'groupPut'), REFUSAL);
  const { topics } = await serve({ kind: 'topicList' }, 'topicList');
  deepEqual(topics, []);
});

test('what a topic is told that does not exist, it is told by a full disk as well', async () => {
  const { disk, send } = await aBroker({ autoCreateTopics: false });
  disk.level = 'full';
  await rejects(send({ topic: 'new' }), { code: 'topicNotFound' });
});

test('consumers go on while the disk is full: first poll, renewal, dead letter, deletion', async () => {
  const { disk, clock, serve, send, receive, ack } = await aBroker();
  await send({ messageId: 'a' }, { messageId: 'b' }, { messageId: 'c' });
  disk.level = 'full';
  const messages = await receive();
  deepEqual(ids(messages), ['a', 'b', 'c']);
  const [a, b, c] = messages;
  ok(a !== undefined && b !== undefined && c !== undefined);
  deepEqual(await ack(a.handle), ['ok']);
  const delivery = { group: GROUP, topic: TOPIC } as const;
  await serve(
    { kind: 'deadLetter', ...delivery, handle: b.handle, messageId: b.messageId },
    'deadLettered',
  );
  await serve(
    { kind: 'changeInvisible', ...delivery, handle: c.handle, invisibleMs: 1_000 },
    'invisibleChanged',
  );
  clock.advance(2_000);
  deepEqual(ids(await receive()), ['c']);
  const { existed } = await serve({ kind: 'topicDelete', topic: TOPIC }, 'topicDeleted');
  equal(existed, true);
});

test('a node tells how much room its disk has, or that it does not know', async () => {
  const { disk, serve } = await aBroker();
  disk.level = 'low';
  const { status } = await serve({ kind: 'status' }, 'status');
  const room = { level: 'low', totalBytes: 1000, freeBytes: 40, reserveBytes: 50 };
  deepEqual(status.disk.room, room);
  const unknowing = await openBroker();
  equal((await unknowing.serve({ kind: 'status' }, 'status')).status.disk.room, null);
  equal((await unknowing.serve({ kind: 'send', messages: [outgoing()] }, 'sent')).kind, 'sent');
});
