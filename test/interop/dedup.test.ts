/** The same message id again: the first outcome, from any node, whatever happened in between. */
import { deepEqual, equal } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import type { RawClient } from '../../src/broker/grpc/testing/raw-client.ts';
import { anomaliesOf, clientOf, readWholeTopic } from './audit.ts';
import { inTime } from './deadline.ts';
import { type Owner, owning } from './owner.ts';
import { rawClient, rawMessage, sendRaw } from './raw-calls.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const RACED_IDS = 30;
const RETRIED_IDS = 200;
const RETRIED_AT_ONCE = 16;
const SEND_TIMEOUT_MS = 8_000;
const RETRY_TIMEOUT_MS = 30_000;

suite('sends of the same message id', { timeout: 120_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await TestCluster.start();
  });
  after(async () => {
    await cluster.close();
  });

  /** One queue: then equal offsets are equal places. */
  async function topicOfOneQueue(name: string): Promise<string> {
    const client = clientOf(cluster);
    await client.topicPut(name, 1).finally(() => client.close());
    return name;
  }

  const everyNode = (owner: Owner): readonly RawClient[] =>
    cluster.nodes.map(({ grpc }) => rawClient(owner, grpc));

  async function storedOnce(topic: string, ids: readonly string[]): Promise<void> {
    const stored = await readWholeTopic(cluster, topic);
    deepEqual(anomaliesOf(stored), []);
    deepEqual(stored.map(({ messageId }) => messageId).sort(), [...ids].sort());
  }

  const send = (client: RawClient, topic: string, id: string, body?: string): Promise<number> =>
    sendRaw(client, topic, id, body, SEND_TIMEOUT_MS);

  test('on the same node and on the others: the first offset, and the first body', async () => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-nodes');
      const [n1, n2, n3] = everyNode(owner);
      const other = await send(n1!, topic, 'other');
      const first = await send(n1!, topic, 'payment', 'first');
      equal(first, other + 1);
      for (const node of [n1!, n2!, n3!]) equal(await send(node, topic, 'payment', 'again'), first);
      await storedOnce(topic, ['other', 'payment']);
      const stored = await readWholeTopic(cluster, topic);
      const payment = stored.find(({ messageId }) => messageId === 'payment');
      equal(Buffer.from(payment!.body).toString(), 'first');
    });
  });

  test('in another topic it is another message', async () => {
    await owning(async (owner) => {
      const one = await topicOfOneQueue('dedup-one');
      const two = await topicOfOneQueue('dedup-two');
      const [node] = everyNode(owner);
      await send(node!, one, 'before');
      equal(await send(node!, one, 'same'), 1);
      equal(await send(node!, two, 'same'), 0);
      await storedOnce(one, ['before', 'same']);
      await storedOnce(two, ['same']);
    });
  });

  test('twice in one send it is stored once, and both entries name that place', async () => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-batch');
      const [node] = everyNode(owner);
      const twin = rawMessage(topic, { messageId: 'twin' });
      const single = rawMessage(topic, { messageId: 'single' });
      const { entries } = await node!.call<{
        readonly status: null;
        readonly entries: readonly { readonly messageId: string; readonly offset: number }[];
      }>('sendMessage', { messages: [twin, single, twin] });
      deepEqual(
        entries.map(({ messageId, offset }) => [messageId, offset]),
        [
          ['twin', 0],
          ['single', 1],
          ['twin', 0],
        ],
      );
      await storedOnce(topic, ['twin', 'single']);
    });
  });

  test('from three nodes at the same time: one copy, one answer', async () => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-race');
      const nodes = everyNode(owner);
      const ids = Array.from({ length: RACED_IDS }, () => randomUUID());
      const races = ids.map((id) =>
        Promise.all([...nodes, ...nodes].map((node) => send(node, topic, id))),
      );
      const answers = await inTime('all answers', Promise.all(races));
      for (const offsets of answers) equal(new Set(offsets).size, 1);
      await storedOnce(topic, ids);
    });
  });

  test('after kill -9 of the leader, and again when it is back', async () => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-failover');
      const leader = await cluster.leader();
      const killed = rawClient(owner, cluster.node(leader).grpc);
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const client = rawClient(owner, survivor.grpc);
      await send(killed, topic, 'before');
      const first = await send(killed, topic, 'payment');
      await cluster.kill(leader);
      equal(await send(client, topic, 'payment'), first);
      equal(await send(client, topic, 'between'), first + 1);
      await cluster.startNode(leader);
      const restarted = rawClient(owner, cluster.node(leader).grpc);
      equal(await send(restarted, topic, 'payment'), first);
      equal(await send(restarted, topic, 'between'), first + 1);
      await storedOnce(topic, ['before', 'payment', 'between']);
    });
  });

  test('sends in flight while the leader dies are repeated until answered: one copy each', async (t) => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-in-flight');
      const nodes = everyNode(owner);
      const ids = Array.from({ length: RETRIED_IDS }, () => randomUUID());
      const offsets = new Map<string, number>();
      let retries = 0;
      const queue = [...ids];
      const lane = async (at: number): Promise<void> => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
          const message = id;
          let tries = 0;
          const offset = await waitFor(
            `an answer to ${message}`,
            () => tryOn(nodes[(at + tries++) % nodes.length]!, topic, message),
            RETRY_TIMEOUT_MS,
          );
          retries += tries - 1;
          offsets.set(message, offset);
        }
      };
      const lanes = Promise.all(Array.from({ length: RETRIED_AT_ONCE }, (_, at) => lane(at)));
      await waitFor('sends to be under way', async () => (offsets.size >= 20 ? true : null));
      const leader = await cluster.leader();
      await cluster.kill(leader);
      await inTime('all sends to have an answer', lanes);
      await cluster.startNode(leader);
      t.diagnostic(`${retries} retries`);
      for (const id of ids.slice(0, 20)) {
        // A channel to a node that has just come back may still pause before it connects.
        const again = await waitFor('the first outcome', () => tryOn(nodes[0]!, topic, id));
        equal(again, offsets.get(id));
      }
      await storedOnce(topic, ids);
      const stored = await readWholeTopic(cluster, topic);
      for (const { messageId, queueOffset } of stored) equal(queueOffset, offsets.get(messageId));
    });
  });

  test('after kill -9 and restart of all three', async () => {
    await owning(async (owner) => {
      const topic = await topicOfOneQueue('dedup-restart');
      const ids = ['a', 'b', 'c'];
      const offsets: number[] = [];
      await owning(async (earlier) => {
        const client = rawClient(earlier, cluster.nodes[0]!.grpc);
        for (const id of ids) offsets.push(await send(client, topic, id));
      });
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.kill(nodeId)));
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.startNode(nodeId)));
      for (const client of everyNode(owner)) {
        for (const [at, id] of ids.entries()) equal(await send(client, topic, id), offsets[at]);
      }
      equal(await send(rawClient(owner, cluster.nodes[1]!.grpc), topic, 'd'), offsets.at(-1)! + 1);
      await storedOnce(topic, [...ids, 'd']);
    });
  });
});

/** null: no answer or no success, so the sender does not know and tries again. */
async function tryOn(node: RawClient, topic: string, id: string): Promise<number | null> {
  try {
    return await sendRaw(node, topic, id);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null;
  }
}
