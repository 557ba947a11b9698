import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { LeadershipLost } from '../../src/broker/leadership-lost.ts';
import { BrokerError, type BrokerRequest } from '../../src/broker/verbs.ts';
import { GROUP, openBroker, outgoing, receiveRequest, TOPIC } from './broker-fixture.ts';

const CONTEXT = { remainingMs: 1000, signal: new AbortController().signal, isRetry: false };

/** What another leader may have changed since, and what the answer is here. */
const reads: readonly (readonly [string, BrokerRequest])[] = [
  ['the list of topics', { kind: 'topicList' }],
  ['a description of a topic', { kind: 'topicDescribe', topic: TOPIC }],
  ['that there is no such topic', { kind: 'topicDescribe', topic: 'unheard-of' }],
  ['that there is no such topic to read', receiveRequest({ topic: 'unheard-of' })],
  ['a description of a group', { kind: 'groupDescribe', group: GROUP }],
];

for (const [what, request] of reads) {
  test(`H24: ${what} is not answered by a leader that nobody confirms`, async () => {
    const { broker, replica } = await openBroker();
    await broker.serve({ kind: 'topicPut', topic: TOPIC, queueCount: 1 }, CONTEXT);
    const before = await broker.serve(request, CONTEXT).catch((error: unknown) => error);
    ok(!(before instanceof LeadershipLost), 'a confirmed leader answers');
    replica.isDeposed = true;
    await rejects(broker.serve(request, CONTEXT), LeadershipLost);
  });
}

test('what passes through the log needs no other proof', async () => {
  const { broker, replica } = await openBroker();
  const sent = await broker.serve({ kind: 'send', messages: [outgoing()] }, CONTEXT);
  equal(sent.kind, 'sent');
  await broker.serve(receiveRequest(), CONTEXT);
  equal(replica.barrierCount, 0);
});

test('a mistake in the request itself is told by anybody', async () => {
  const { broker, replica } = await openBroker();
  replica.isDeposed = true;
  const request = { kind: 'topicPut', topic: '', queueCount: 1 } as const;
  await rejects(broker.serve(request, CONTEXT), BrokerError);
  deepEqual(replica.barrierCount, 0);
});
