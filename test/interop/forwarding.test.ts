/** Every node serves every request: through followers, across leader changes, without a leader. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { Term } from '../../src/base/units.ts';
import { type Answer, SERVICE } from '../../src/broker/grpc/testing/raw-client.ts';
import type { RouteAnswer } from '../../src/broker/grpc/testing/requests.ts';
import { createBrokerCallClient } from '../../src/client/broker-call-client.ts';
import { serviceDefinition } from '../../src/protocol/schema.ts';
import type { BrokerRequest } from '../../src/protocol/verbs.ts';
import { clientOf } from './audit.ts';
import { type Owner, owning } from './owner.ts';
import {
  ackRaw,
  CODE_NOTHING_FOUND,
  CODE_OK,
  pollOnce,
  pollRequest,
  rawClient,
  rawMessage,
  sendRaw,
  trySend,
} from './raw-calls.ts';
import { type NodePlan, TestCluster, waitFor } from './test-cluster.ts';

const CODE_TIMEOUT = 50400;
const CALL_MS = 5_000;
/** A poll may wait this long; its message must come much sooner. */
const POLL_WAIT_MS = 18_000;
const PROMPT_MS = 6_000;
const SHORT_DEADLINE_MS = 3_000;
const LONG_DEADLINE_MS = 25_000;

suite('every node serves', { timeout: 120_000 }, () => {
  let cluster: TestCluster;
  let followers: readonly NodePlan[];
  before(async () => {
    cluster = await TestCluster.start();
    await settled();
  });
  after(async () => {
    await cluster.close();
  });

  /** All nodes run and know who leads. */
  async function settled(): Promise<void> {
    for (const { nodeId } of cluster.nodes) {
      if (!cluster.isRunning(nodeId)) await cluster.startNode(nodeId);
    }
    const leader = await cluster.leader();
    followers = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
    await cluster.converged();
  }

  async function forwardedBy({ nodeId }: NodePlan): Promise<number> {
    const metrics = await cluster.metrics(nodeId);
    return metrics?.get('mqraft_forwarded_calls_total') ?? 0;
  }

  /** Starts a call and waits until its node has passed it on; in a list, so that nobody awaits it yet. */
  async function passedOn<T>(node: NodePlan, start: () => Promise<T>): Promise<Promise<T>[]> {
    const before = await forwardedBy(node);
    const started = start();
    await waitFor('the call to be forwarded', async () =>
      (await forwardedBy(node)) > before ? true : null,
    );
    return [started];
  }

  async function createTopic(topic: string): Promise<string> {
    const client = clientOf(cluster);
    await client.topicPut(topic, 1).finally(() => client.close());
    return topic;
  }

  async function receiveOne(owner: Owner, node: NodePlan, topic: string, group: string) {
    const request = pollRequest(topic, group, { waitMs: POLL_WAIT_MS, batchSize: 1 });
    const poll = pollOnce(rawClient(owner, node.grpc), request);
    const { code, sentence, messages } = await promptly(poll, 'a message');
    equal(code, CODE_OK, sentence);
    equal(messages.length, 1);
    const { messageId, deliveryAttempt, receiptHandle } = messages[0]!.systemProperties!;
    return { messageId, attempt: deliveryAttempt, handle: receiptHandle!, message: messages[0]! };
  }

  test('every RPC of clients is served by a follower, which forwards what only the leader can do', async () => {
    await owning(async (owner) => {
      const [follower] = followers;
      const client = rawClient(owner, follower!.grpc);
      const names = { topic: { name: 'verbs' }, group: { name: 'verbs-group' } };
      const before = await forwardedBy(follower!);
      const route = await client.call<RouteAnswer>('queryRoute', { topic: names.topic });
      equal(route.status?.code, CODE_OK, route.status?.message);
      equal(new Set(route.messageQueues.map(({ broker }) => broker?.name)).size, 3);
      const assignment = await client.call<Answer>('queryAssignment', names);
      equal(assignment.status?.code, CODE_OK);
      const ids = ['acked', 'prolonged', 'given-up'];
      for (const id of ids) await sendRaw(client, 'verbs', id);
      const handles = new Map<string, string>();
      await waitFor('all messages', async () => {
        const { messageId, handle } = await receiveOne(owner, follower!, 'verbs', 'verbs-group');
        handles.set(messageId, handle);
        return handles.size < ids.length ? null : true;
      });
      equal(
        (await ackRaw(client, 'verbs', 'verbs-group', handles.get('acked')!)).status?.code,
        CODE_OK,
      );
      const change = await client.call<Answer & { readonly receiptHandle: string }>(
        'changeInvisibleDuration',
        { ...names, receiptHandle: handles.get('prolonged'), invisibleDuration: { seconds: 30 } },
      );
      equal(change.status?.code, CODE_OK, change.status?.message);
      equal(
        (await ackRaw(client, 'verbs', 'verbs-group', change.receiptHandle)).status?.code,
        CODE_OK,
      );
      const dead = { ...names, receiptHandle: handles.get('given-up'), messageId: 'given-up' };
      const deadLetter = await client.call<Answer>('forwardMessageToDeadLetterQueue', dead);
      equal(deadLetter.status?.code, CODE_OK, deadLetter.status?.message);
      for (const rpc of ['heartbeat', 'notifyClientTermination']) {
        equal((await client.call<Answer>(rpc, { group: names.group })).status?.code, CODE_OK, rpc);
      }
      ok((await forwardedBy(follower!)) - before >= 10);
    });
  });

  test('every verb of the command line is served by a follower', async () => {
    const [follower] = followers;
    const calls = createBrokerCallClient(follower!.raft);
    const { signal } = new AbortController();
    const ask = async (request: BrokerRequest): Promise<string> => {
      const call = { remainingMs: CALL_MS, hops: 0, leaderTerm: Term(0), retried: false, request };
      const reply = await calls.call(call, signal);
      return reply.kind === 'answer' ? reply.response.kind : JSON.stringify(reply);
    };
    try {
      deepEqual(
        [
          await ask({ kind: 'topicPut', topic: 'admin', queueCount: 2 }),
          await ask({ kind: 'topicDescribe', topic: 'admin' }),
          await ask({ kind: 'topicList' }),
          await ask({ kind: 'groupPut', group: 'admin-group', maxAttempts: 3 }),
          await ask({ kind: 'groupDescribe', group: 'admin-group' }),
          await ask({ kind: 'clientSeen', clientId: 'admin-client' }),
          await ask({ kind: 'clientGone', clientId: 'admin-client' }),
          await ask({ kind: 'topicDelete', topic: 'admin' }),
          await ask({ kind: 'status' }),
        ],
        [
          ...['topicPut', 'topic', 'topicList', 'groupPut', 'group', 'noted', 'noted'],
          ...['topicDeleted', 'status'],
        ],
      );
    } finally {
      calls.close();
    }
  });

  test('a long poll on one follower wakes when a message is sent through the other', async (t) => {
    await owning(async (owner) => {
      const topic = await createTopic('wake');
      const [one, other] = followers;
      const [poll] = await passedOn(one!, () => receiveOne(owner, one!, topic, 'wake-group'));
      const startedAtMs = performance.now();
      await sendRaw(rawClient(owner, other!.grpc), topic, 'alarm');
      equal((await poll!).messageId, 'alarm');
      t.diagnostic(`sent and received in ${Math.round(performance.now() - startedAtMs)} ms`);
    });
  });

  test('what one node handed out is acknowledged on another', async () => {
    await owning(async (owner) => {
      const topic = await createTopic('ack-elsewhere');
      const [one, other] = followers;
      await sendRaw(rawClient(owner, one!.grpc), topic, 'm');
      const { handle } = await receiveOne(owner, one!, topic, 'g');
      const client = rawClient(owner, other!.grpc);
      equal((await ackRaw(client, topic, 'g', handle)).status?.code, CODE_OK);
      const group = clientOf(cluster);
      owner.after(async () => group.close());
      const [queue] = (await group.groupDescribe('g')).queues;
      deepEqual([queue?.consumerOffset, queue?.inFlightCount, queue?.lag], [1, 0, 0]);
    });
  });

  const departures: readonly (readonly [how: string, topic: string, start: typeof pollToCancel])[] =
    [
      ['cancels its poll', 'freed-by-cancel', pollToCancel],
      ['loses its connection', 'freed-by-reset', pollToReset],
    ];
  for (const [how, name, start] of departures) {
    test(`a client that ${how} frees it: the message goes to the next one at once`, async () => {
      await owning(async (owner) => {
        const topic = await createTopic(name);
        const [one, other] = followers;
        const request = pollRequest(topic, 'g', { waitMs: POLL_WAIT_MS });
        const before = await forwardedBy(one!);
        const leave = start(owner, one!.grpc, request);
        await waitFor('the poll to be forwarded', async () =>
          (await forwardedBy(one!)) > before ? true : null,
        );
        leave();
        const [poll] = await passedOn(other!, () => receiveOne(owner, other!, topic, 'g'));
        await sendRaw(rawClient(owner, one!.grpc), topic, 'm');
        equal((await poll!).messageId, 'm');
      });
    });
  }

  test('after the last attempt a message lies in the dead-letter topic, with its origin', async () => {
    await owning(async (owner) => {
      const topic = await createTopic('mortal');
      const group = 'mortal-group';
      const own = clientOf(cluster);
      owner.after(async () => own.close());
      await own.groupPut(group, 2);
      const [follower] = followers;
      const client = rawClient(owner, follower!.grpc);
      const messageId = randomUUID();
      await sendRaw(client, topic, messageId, 'cannot be consumed');
      for (const attempt of [1, 2]) {
        const given = await receiveOne(owner, follower!, topic, group);
        deepEqual([given.messageId, given.attempt], [messageId, attempt]);
        const names = { topic: { name: topic }, group: { name: group } };
        const back = { ...names, receiptHandle: given.handle, invisibleDuration: { seconds: 0 } };
        const change = await client.call<Answer>('changeInvisibleDuration', back);
        equal(change.status?.code, CODE_OK, change.status?.message);
      }
      const third = await pollOnce(client, pollRequest(topic, group));
      deepEqual([third.code, third.messages], [CODE_NOTHING_FOUND, []]);
      const deadLetters = `%DLQ%${group}`;
      await waitFor('the dead-letter topic', async () => {
        const route = await client.call<Answer>('queryRoute', { topic: { name: deadLetters } });
        return route.status?.code === CODE_OK ? true : null;
      });
      const dead = await receiveOne(owner, follower!, deadLetters, 'mortician');
      equal(dead.messageId, messageId);
      equal(Buffer.from(dead.message.body).toString(), 'cannot be consumed');
      deepEqual({ ...dead.message.systemProperties?.deadLetterQueue }, { topic, messageId });
      equal((await own.groupDescribe(group)).queues[0]?.inFlightCount, 0);
    });
  });

  test('deliveries, attempts and handles survive the death of the leader', async () => {
    await owning(async (owner) => {
      const topic = await createTopic('survival');
      const [survivor, other] = followers;
      const client = rawClient(owner, survivor!.grpc);
      const handles = new Map<string, string>();
      for (const id of ['acked', 'given-back', 'kept']) {
        await sendRaw(client, topic, id);
        const { messageId, attempt, handle } = await receiveOne(owner, survivor!, topic, 'g');
        deepEqual([messageId, attempt], [id, 1]);
        handles.set(id, handle);
      }
      await cluster.kill(await cluster.leader());
      await cluster.leader();
      equal((await ackRaw(client, topic, 'g', handles.get('acked')!)).status?.code, CODE_OK);
      const change = await client.call<Answer>('changeInvisibleDuration', {
        topic: { name: topic },
        group: { name: 'g' },
        receiptHandle: handles.get('given-back'),
        invisibleDuration: { seconds: 0 },
      });
      equal(change.status?.code, CODE_OK, change.status?.message);
      const again = await receiveOne(owner, other!, topic, 'g');
      deepEqual([again.messageId, again.attempt], ['given-back', 2]);
      const nothing = await pollOnce(client, pollRequest(topic, 'g'));
      deepEqual([nothing.code, nothing.messages], [CODE_NOTHING_FOUND, []]);
      equal((await ackRaw(client, topic, 'g', handles.get('kept')!)).status?.code, CODE_OK);
    });
    await settled();
  });

  test('without a leader a send waits, says 50400 in time, and succeeds when one is back', async (t) => {
    await owning(async (owner) => {
      const topic = await createTopic('leaderless');
      await cluster.converged();
      const [survivor, follower] = followers;
      const leader = await cluster.leader();
      const client = rawClient(owner, survivor!.grpc);
      await Promise.all([cluster.kill(leader), cluster.kill(follower!.nodeId)]);

      const refused = await trySend(client, rawMessage(topic), SHORT_DEADLINE_MS);
      equal(refused.status?.code, CODE_TIMEOUT, refused.status?.message);
      const poll = await pollOnce(client, pollRequest(topic, 'g'));
      equal(poll.code, CODE_TIMEOUT, poll.sentence);
      const names = { topic: { name: topic }, group: { name: 'g' } };
      for (const rpc of ['queryRoute', 'queryAssignment', 'heartbeat']) {
        equal((await client.call<Answer>(rpc, names)).status?.code, CODE_OK, rpc);
      }

      const startedAtMs = performance.now();
      const waiting = sendRaw(client, topic, 'patient', 'x', LONG_DEADLINE_MS);
      await cluster.startNode(leader);
      const offset = await waiting;
      t.diagnostic(
        `sent ${Math.round(performance.now() - startedAtMs)} ms after the restart began`,
      );
      equal(await sendRaw(client, topic, 'patient'), offset);
    });
    await settled();
  });
});

async function promptly<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Waited ${PROMPT_MS} ms in vain for ${what}`)),
      PROMPT_MS,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @returns how the client goes away */
function pollToCancel(owner: Owner, address: string, request: object): () => void {
  return rawClient(owner, address).startAndForget('receiveMessage', request);
}

/** The same with a connection of its own, which is reset: no word of HTTP/2 is said at the end. */
function pollToReset(owner: Owner, address: string, request: object): () => void {
  const { path, requestSerialize } = serviceDefinition(SERVICE)['receiveMessage']!;
  const bytes = requestSerialize(request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  const { hostname, port } = new URL(`http://${address}`);
  const socket = connectSocket(Number(port), hostname);
  const session = connectHttp2(`http://${address}`, { createConnection: () => socket });
  // It ends with the error that we cause.
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-mq-client-id': 'lost',
  });
  stream.on('error', () => undefined);
  stream.end(Buffer.concat([head, bytes]));
  owner.after(async () => session.destroy());
  return () => socket.resetAndDestroy();
}
