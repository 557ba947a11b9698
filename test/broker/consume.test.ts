import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { LeadershipLost } from '../../src/broker/leadership-lost.ts';
import type { DeliveredMessage } from '../../src/broker/verbs.ts';
import { settled } from '../../src/io/memory/manual-clock.ts';
import { GROUP, ids, openBroker, outgoing, TOPIC } from './broker-fixture.ts';

const change = (handle: string, invisibleMs: number) =>
  ({ kind: 'changeInvisible', group: GROUP, topic: TOPIC, handle, invisibleMs }) as const;
const dlq = { group: 'undertaker', topic: `%DLQ%${GROUP}` };

function only(messages: readonly DeliveredMessage[]): DeliveredMessage {
  equal(messages.length, 1);
  return messages[0]!;
}

test('a new group gets what was sent before it came, from all queues, oldest first', async () => {
  const { send, receive, clock } = await openBroker();
  for (let i = 0; i < 6; i++) {
    await send({ messageId: `m${i}` });
    await clock.advanceSettling(5);
  }
  const messages = await receive({ group: 'newcomer' });
  deepEqual(
    messages.map(({ messageId }) => messageId),
    ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'],
  );
  deepEqual(new Set(messages.map(({ attempt }) => attempt)), new Set([1]));
});

test('a message is invisible to the group until its time is over, then comes again', async () => {
  const { send, receive, clock } = await openBroker();
  await send({ messageId: 'a' });
  const first = only(await receive({ invisibleMs: 10_000 }));
  deepEqual(await receive(), []);
  await clock.advanceSettling(9_999);
  deepEqual(await receive(), []);
  await clock.advanceSettling(1);
  const second = only(await receive());
  deepEqual([second.messageId, second.attempt], ['a', 2]);
  notEqual(second.handle, first.handle);
  deepEqual(ids(await receive({ group: 'other' })), ['a']);
});

test('an acknowledged message never comes again, and acknowledging again is harmless', async () => {
  const { send, receive, ack, clock, broker } = await openBroker();
  await send({}, {}, {});
  const handles = (await receive()).map(({ handle }) => handle);
  deepEqual(await ack(...handles), ['ok', 'ok', 'ok']);
  deepEqual(await ack(...handles), ['ok', 'ok', 'ok']);
  equal(broker.counters.acknowledged, 3);
  await clock.advanceSettling(60_000);
  deepEqual(await receive(), []);
});

test('an expired delivery may be acknowledged until someone else has the message', async () => {
  const { send, receive, ack, clock } = await openBroker();
  await send({ messageId: 'a' });
  await send({ messageId: 'b' });
  const [a, b] = await receive({ invisibleMs: 1_000 });
  await clock.advanceSettling(2_000);
  deepEqual(await ack(a!.handle), ['ok']);
  const again = only(await receive());
  equal(again.messageId, 'b');
  deepEqual(await ack(b!.handle), ['staleHandle']);
  deepEqual(await ack(again.handle), ['ok']);
});

test('a handle that is damaged, foreign or made up is invalid', async () => {
  const { send, receive, ack, serve } = await openBroker();
  await send({});
  const { handle } = only(await receive());
  const damaged = `${handle.slice(0, -2)}${handle.endsWith('AA') ? 'BB' : 'AA'}`;
  deepEqual(await ack(damaged, '', `${handle}!`), Array(3).fill('invalidHandle'));
  const foreign = { kind: 'ack', group: 'other', topic: TOPIC, handles: [handle] } as const;
  deepEqual((await serve(foreign, 'acked')).outcomes, ['invalidHandle']);
  await rejects(serve(change(damaged, 1_000), 'invisibleChanged'), { code: 'invalidHandle' });
  await rejects(ack(), { code: 'badRequest' });
});

test('a change of the invisible time replaces the handle', async () => {
  const { send, receive, serve, ack, clock } = await openBroker();
  await send({ messageId: 'a' });
  const first = only(await receive({ invisibleMs: 10_000 }));
  const changed = await serve(change(first.handle, 60_000), 'invisibleChanged');
  await clock.advanceSettling(30_000);
  deepEqual(await receive(), []);
  await rejects(serve(change(first.handle, 0), 'invisibleChanged'), { code: 'invalidHandle' });
  deepEqual(await ack(first.handle), ['staleHandle']);
  deepEqual(await ack(changed.handle), ['ok']);
  await rejects(serve(change(changed.handle, 0), 'invisibleChanged'), { code: 'invalidHandle' });
});

test('a repeated change whose answer was lost gets that answer', async () => {
  const { send, receive, serve } = await openBroker();
  await send({});
  const { handle } = only(await receive());
  const first = await serve(change(handle, 60_000), 'invisibleChanged');
  const again = await serve(change(handle, 60_000), 'invisibleChanged', { isRetry: true });
  equal(again.handle, first.handle);
});

test('a repeated poll whose answer was lost gets the messages it was given', async () => {
  const { send, receive } = await openBroker();
  await send({ messageId: 'a' }, { messageId: 'b' });
  const first = await receive({ attemptId: 't1' });
  const again = await receive({ attemptId: 't1' }, { isRetry: true });
  deepEqual(
    again.map(({ handle }) => handle),
    first.map(({ handle }) => handle),
  );
  deepEqual(await receive({ attemptId: 't2' }, { isRetry: true }), []);
});

test('a message given back is delivered to a waiting poll at once', async () => {
  const { send, receive, serve } = await openBroker();
  await send({ messageId: 'a' });
  const { handle } = only(await receive());
  const polling = receive({ waitMs: 20_000, clientId: 'c2' });
  await serve(change(handle, 0), 'invisibleChanged');
  deepEqual([only(await polling).attempt], [2]);
});

test('a poll waits for a message and gets it when it is sent', async () => {
  const { send, receive, clock, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 2 }, 'topicPut');
  const polling = receive({ waitMs: 20_000 });
  await clock.advanceSettling(5_000);
  await send({ messageId: 'a' });
  deepEqual(ids(await polling), ['a']);
});

test('an empty answer comes when the waiting time is over, not before', async () => {
  const { receive, clock, serve, broker } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 2 }, 'topicPut');
  let answered = false;
  const polling = receive({ waitMs: 20_000 }).then((messages) => {
    answered = true;
    return messages;
  });
  await clock.advanceSettling(19_999);
  equal(answered, false);
  equal(broker.pollCount, 1);
  await clock.advanceSettling(1);
  deepEqual(await polling, []);
  equal(broker.pollCount, 0);
});

test('a waiting poll gets a message when its invisible time is over', async () => {
  const { send, receive, clock } = await openBroker();
  await send({ messageId: 'a' });
  await receive({ invisibleMs: 3_000 });
  const polling = receive({ waitMs: 20_000 });
  await clock.advanceSettling(3_000);
  equal(only(await polling).attempt, 2);
});

test('of several waiting polls each message goes to one', async () => {
  const { send, receive, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 2 }, 'topicPut');
  const polls = Array.from({ length: 4 }, (_, i) =>
    receive({ waitMs: 20_000, batchSize: 1, clientId: `c${i}` }),
  );
  await settled();
  await Promise.all(['a', 'b', 'c', 'd'].map((messageId) => send({ messageId })));
  deepEqual(ids((await Promise.all(polls)).flat()), ['a', 'b', 'c', 'd']);
});

test('a batch is bounded in count and in bytes', async () => {
  const { send, receive } = await openBroker();
  await send(...Array.from({ length: 40 }, () => ({})));
  equal((await receive({ batchSize: 1000 })).length, 32);
  const body = new Uint8Array(1_500_000);
  await send({ topic: 'big', body }, { topic: 'big', body }, { topic: 'big', body });
  equal((await receive({ topic: 'big', batchSize: 32 })).length, 2);
});

test('a poll whose client has gone takes nothing', async () => {
  const { send, receive, replica, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 2 }, 'topicPut');
  const leaving = new AbortController();
  const polling = receive({ waitMs: 20_000 }, { signal: leaving.signal });
  await settled();
  leaving.abort();
  deepEqual(await polling, []);
  await send({ messageId: 'a' });
  const before = replica.state.appliedIndex;
  deepEqual(only(await receive()).attempt, 1);
  equal(replica.state.appliedIndex, before + 1);
});

test('what was given to a client that went meanwhile is visible again at once', async () => {
  const { send, receive, replica, clock } = await openBroker();
  await send({ messageId: 'a' });
  await receive({ group: 'warm', batchSize: 1 });
  await receive({ group: GROUP, topic: TOPIC, filter: { tags: ['none'] } });
  await send({ messageId: 'b' });
  replica.commitMode = 'held';
  const leaving = new AbortController();
  const polling = receive({}, { signal: leaving.signal });
  await clock.advanceSettling(0);
  equal(replica.openCount, 1);
  leaving.abort();
  deepEqual(await polling, []);
  replica.commitMode = 'auto';
  replica.commitOpen();
  await clock.advanceSettling(1);
  deepEqual([only(await receive()).messageId], ['b']);
});

test('a filter passes its tags only, and what it leaves out counts as consumed', async () => {
  const { send, receive, serve } = await openBroker();
  // Java's String.hashCode is the same for both.
  await send({ messageId: 'a', tag: 'Aa' });
  await send({ messageId: 'b', tag: 'BB' });
  await send({ messageId: 'c' });
  await send({ messageId: 'd', tag: 'other' });
  deepEqual(ids(await receive({ filter: { tags: ['Aa', 'x'] } })), ['a']);
  deepEqual(await receive(), []);
  const { group } = await serve({ kind: 'groupDescribe', group: GROUP }, 'group');
  equal(
    group.queues.reduce((sum, { lag }) => sum + lag, 0),
    1,
  );
});

test('a waiting poll with a filter sleeps through messages that do not match', async () => {
  const { send, receive, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  const polling = receive({ waitMs: 20_000, filter: { tags: ['x'] } });
  for (let i = 0; i < 5; i++) await send({ tag: 'y' });
  await send({ messageId: 'a', tag: 'x' });
  deepEqual(ids(await polling), ['a']);
});

test('a message out of attempts goes to the dead-letter topic and leaves the group', async () => {
  const { send, receive, serve, clock, broker } = await openBroker();
  await serve({ kind: 'groupPut', group: GROUP, maxAttempts: 2 }, 'groupPut');
  await send({ messageId: 'a', tag: 't', keys: ['k'], userProperties: { p: 'v' } });
  for (let attempt = 1; attempt <= 2; attempt++) {
    equal(only(await receive({ invisibleMs: 1_000 })).attempt, attempt);
    await clock.advanceSettling(1_000);
  }
  deepEqual(await receive(), []);
  const dead = only(await receive(dlq));
  deepEqual(
    [dead.messageId, dead.tag, dead.keys, dead.userProperties, dead.attempt],
    ['a', 't', ['k'], { p: 'v' }, 1],
  );
  deepEqual(dead.deadLetterOf, { topic: TOPIC, messageId: 'a' });
  equal(broker.counters.deadLettered, 1);
  await clock.advanceSettling(60_000);
  deepEqual(await receive(), []);
});

test('a message out of attempts becomes a dead letter even when nobody polls', async () => {
  const { send, receive, serve, clock } = await openBroker();
  await serve({ kind: 'groupPut', group: GROUP, maxAttempts: 1 }, 'groupPut');
  await send({ messageId: 'a' });
  await receive({ invisibleMs: 1_000 });
  await clock.advanceSettling(10_000);
  deepEqual(ids(await receive(dlq)), ['a']);
});

test('a message in its own dead-letter topic is tried for ever', async () => {
  const { send, receive, serve, clock } = await openBroker();
  await serve({ kind: 'groupPut', group: GROUP, maxAttempts: 1 }, 'groupPut');
  await send({ messageId: 'a' });
  await receive({ invisibleMs: 1_000 });
  await clock.advanceSettling(10_000);
  for (let attempt = 1; attempt <= 3; attempt++) {
    const own = only(await receive({ topic: dlq.topic, invisibleMs: 1_000 }));
    deepEqual([own.messageId, own.attempt], ['a', attempt]);
    await clock.advanceSettling(10_000);
  }
});

test('a consumer can give a message up; doing so again is harmless', async () => {
  const { send, receive, serve } = await openBroker();
  await send({ messageId: 'a' });
  const { handle, messageId } = only(await receive());
  const give = { kind: 'deadLetter', group: GROUP, topic: TOPIC, handle, messageId } as const;
  await serve(give, 'deadLettered');
  await serve(give, 'deadLettered');
  deepEqual(ids(await receive({ ...dlq })), ['a']);
  deepEqual(await receive(), []);
});

test('giving up and acknowledging at the same time puts the message in one place', async () => {
  const { send, receive, serve, ack } = await openBroker();
  await send({ messageId: 'a' });
  const { handle, messageId } = only(await receive());
  const give = { kind: 'deadLetter', group: GROUP, topic: TOPIC, handle, messageId } as const;
  const [outcomes] = await Promise.all([ack(handle), serve(give, 'deadLettered')]);
  deepEqual(outcomes, ['ok']);
  await rejects(receive(dlq), { code: 'topicNotFound' });
});

test('deliveries under auto-renew stay with a client that lives, and only with such a one', async () => {
  const { send, receive, serve, clock, broker } = await openBroker();
  await send({ messageId: 'a' });
  const first = only(await receive({ autoRenew: true }));
  for (let i = 0; i < 30; i++) {
    await serve({ kind: 'clientSeen', clientId: 'c1' }, 'noted');
    await clock.advanceSettling(10_000);
  }
  deepEqual(await receive({ clientId: 'c2' }), []);
  ok(broker.counters.renewed >= 4);
  await clock.advanceSettling(100_000);
  const second = only(await receive({ clientId: 'c2' }));
  equal(second.attempt, 2);
  notEqual(second.handle, first.handle);
});

test('a renewal keeps the handle', async () => {
  const { send, receive, serve, ack, clock } = await openBroker();
  await send({ messageId: 'a' });
  const { handle } = only(await receive({ autoRenew: true }));
  for (let i = 0; i < 12; i++) {
    await serve({ kind: 'clientSeen', clientId: 'c1' }, 'noted');
    await clock.advanceSettling(10_000);
  }
  deepEqual(await ack(handle), ['ok']);
});

// The official push consumer gives a failed message back for a second; the scan for renewals that
// fell into that second took it for a minute instead.
test('a message given back under auto-renew is not renewed, wherever the renewal scan falls', async () => {
  for (let giveBackAfterMs = 0; giveBackAfterMs < 6_000; giveBackAfterMs += 500) {
    const { send, receive, serve, clock } = await openBroker();
    await send({ messageId: 'a' });
    const { handle } = only(await receive({ autoRenew: true }));
    await clock.advanceSettling(giveBackAfterMs);
    await serve({ kind: 'clientSeen', clientId: 'c1' }, 'noted');
    const giveBack = { group: GROUP, topic: TOPIC, handle, invisibleMs: 1_000 };
    await serve({ kind: 'changeInvisible', ...giveBack }, 'invisibleChanged');
    const polling = receive({ clientId: 'c2', waitMs: 20_000 });
    await clock.advanceSettling(1_500);
    deepEqual(ids(await polling), ['a']);
  }
});

test('what a client held when it said goodbye is visible after a second', async () => {
  const { send, receive, serve, clock } = await openBroker();
  await send({ messageId: 'a' });
  await receive({ autoRenew: true });
  const polling = receive({ clientId: 'c2', waitMs: 20_000 });
  await serve({ kind: 'clientGone', clientId: 'c1' }, 'noted');
  await clock.advanceSettling(1_000);
  deepEqual(ids(await polling), ['a']);
});

test('polls end at once when leadership is lost', async () => {
  const { receive, replica, serve } = await openBroker();
  await serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, 'topicPut');
  const polling = rejects(receive({ waitMs: 20_000 }), LeadershipLost);
  await settled();
  replica.loseLeadership(null);
  await polling;
});

for (const fate of ['survive', 'vanish'] as const) {
  test(`after a fall of the leader nothing is lost when a delivery may ${fate}`, async () => {
    const { send, receive, replica, clock, ack } = await openBroker();
    await send({ messageId: 'a' });
    await receive({ group: GROUP, filter: { tags: ['none'] }, topic: TOPIC });
    await send({ messageId: 'b' });
    replica.commitMode = 'held';
    const polling = rejects(receive({ attemptId: 't' }), LeadershipLost);
    await clock.advanceSettling(0);
    equal(replica.openCount, 1);
    replica.loseLeadership(null, fate);
    await polling;
    replica.commitMode = 'auto';
    replica.lead();
    const again = only(await receive({ attemptId: 't' }, { isRetry: true }));
    deepEqual([again.messageId, again.attempt], ['b', 1]);
    deepEqual(await ack(again.handle), ['ok']);
  });
}

test('a receive is checked before it waits', async () => {
  const { send, receive } = await openBroker();
  await send({});
  await rejects(receive({ invisibleMs: 0 }), { code: 'illegalInvisibleTime' });
  await rejects(receive({ invisibleMs: 12 * 3_600_000 + 1 }), { code: 'illegalInvisibleTime' });
  await rejects(receive({ group: 'a b' }), { code: 'illegalGroup' });
  await rejects(receive({ topic: 'x'.repeat(128) }), { code: 'illegalTopic' });
  await rejects(receive({ group: 'CID_RMQ_SYS_x' }), { code: 'illegalGroup' });
  await rejects(receive({ topic: 'nothing' }), { code: 'topicNotFound' });
});

test('topics and groups are described as they are', async () => {
  const { serve, send, receive } = await openBroker();
  const put = (queueCount: number) =>
    serve({ kind: 'topicPut', topic: TOPIC, queueCount }, 'topicPut');
  equal((await put(1)).created, true);
  equal((await put(2)).created, false);
  await rejects(put(1), { code: 'badRequest' });
  await rejects(put(0), { code: 'badRequest' });
  await send({}, {}, {});
  await receive({ batchSize: 1 });
  const { topic } = await serve({ kind: 'topicDescribe', topic: TOPIC }, 'topic');
  deepEqual(
    topic.queues.map(({ queueId, minOffset, nextOffset }) => [queueId, minOffset, nextOffset]),
    [
      [0, 0, 3],
      [1, 0, 0],
    ],
  );
  const { group } = await serve({ kind: 'groupDescribe', group: GROUP }, 'group');
  deepEqual(group.maxAttempts, 17);
  deepEqual(group.queues[0], {
    topic: TOPIC,
    queueId: 0,
    consumerOffset: 0,
    nextOffset: 1,
    inFlightCount: 1,
    lag: 3,
  });
  equal((await serve({ kind: 'topicList' }, 'topicList')).topics.length, 1);
  const gone = await serve({ kind: 'topicDelete', topic: TOPIC }, 'topicDeleted');
  equal(gone.existed, true);
  await rejects(serve({ kind: 'topicDescribe', topic: TOPIC }, 'topic'), { code: 'topicNotFound' });
  await rejects(serve({ kind: 'groupDescribe', group: 'none' }, 'group'), {
    code: 'groupNotFound',
  });
  await rejects(serve({ kind: 'topicDescribe', topic: 'a\n' }, 'topic'), { code: 'illegalTopic' });
  await rejects(serve({ kind: 'groupDescribe', group: 'a\n' }, 'group'), { code: 'illegalGroup' });
});

test('a node answers for itself without leading', async () => {
  const { serve, replica } = await openBroker();
  replica.loseLeadership(null);
  const { status } = await serve({ kind: 'status' }, 'status');
  deepEqual([status.nodeId, status.serving, status.leader], ['n1', false, null]);
  await rejects(serve({ kind: 'send', messages: [outgoing()] }, 'sent'), LeadershipLost);
});
