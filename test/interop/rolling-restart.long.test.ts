/**
 * All nodes of a group restart one after another while official clients send and receive. No send fails, nothing
 * is lost or doubled, and what a producer sends in order stays in order.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ConsumeResult } from 'rocketmq-client-nodejs';
import { NodeId } from '../../src/base/units.ts';
import {
  allReceived,
  closeClients,
  LoadProducer,
  sentMore,
  startProducer,
  startPushConsumer,
  startSimpleConsumer,
} from './official-client.ts';
import { disorderOf, Operator } from './operator.ts';
import { LONG_BODY_TIMEOUT_MS, type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TOPIC = 'rolling';
const LANES = 4;
/** A hand-over; nobody waits for an election. */
const WRITE_GAP_MS_MAX = 3_000;
const HELD_MS = 15_000;

suite('a rolling restart', { timeout: 290_000 }, () => {
  test('with official clients on every node: no send fails, and no poll', async (t) => {
    await owning((owner) => underClients(t, owner), LONG_BODY_TIMEOUT_MS);
  });
});

async function underClients(t: TestContext, owner: Owner): Promise<void> {
  const cluster = await TestCluster.start();
  owner.after(() => cluster.close());
  const operator = new Operator(cluster);
  const leader = await cluster.leader();
  const order = [
    ...cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== leader),
    leader,
  ];
  // The node that is asked for routes differs from client to client: each of them is away once.
  const loads = await Promise.all(
    cluster.nodes.map(async ({ grpc, nodeId }) => {
      const producer = await startProducer(owner, grpc, TOPIC);
      return new LoadProducer(owner, producer, TOPIC, LANES, ` by way of ${nodeId}`);
    }),
  );
  const pushed = await pushedIds(owner, cluster.node(order[1]!).grpc);
  const polling = new Polling(owner, cluster.node(order[2]!).grpc);
  for (const load of loads) await sentMore(load, 100);
  for (const load of loads) load.slow();
  for (const nodeId of order) await restart(t, cluster, operator, loads, nodeId);
  for (const load of loads) await sentMore(load, 20);
  for (const load of loads) await load.stop();
  const all = loads.flatMap(({ sent }) => sent);
  const failures = loads.flatMap((load) => load.failures.map(({ message }) => message));
  t.diagnostic(`${all.length} sends, ${failures.length} failed`);
  deepEqual(failures, []);
  for (const load of loads) {
    const gapMs = load.longestGapMs();
    t.diagnostic(`longest gap ${Math.round(gapMs)} ms`);
    ok(gapMs < WRITE_GAP_MS_MAX, `gap of ${gapMs} ms`);
  }
  await waitFor('the consumers', async () =>
    all.every(({ messageId }) => pushed.has(messageId) && polling.seen.has(messageId))
      ? true
      : null,
  );
  await polling.stop();
  const twice = [...pushed].filter(([, count]) => count > 1).length;
  t.diagnostic(
    `${twice} pushed twice; polls: ${polling.failures.length} failed, ${polling.twice} twice`,
  );
  deepEqual(polling.failures, []);
  equal(polling.twice, 0);
  equal(twice, 0);
  await cluster.converged();
  const load = { sent: all };
  await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, TOPIC);
  for (const one of loads) deepEqual(await disorderOf(cluster, one, TOPIC), []);
  await closeClients(owner);
  await everyReplicaHolds(cluster, TOPIC, all);
}

/** As docs/operations.md says it. */
async function restart(
  t: TestContext,
  cluster: TestCluster,
  operator: Operator,
  loads: readonly LoadProducer[],
  nodeId: string,
): Promise<void> {
  const node = { nodeId: NodeId(nodeId) };
  const startedAtMs = performance.now();
  const { sentence } = await operator.change({ kind: 'drain', ...node });
  const drainedAtMs = performance.now();
  for (const load of loads) load.fast();
  await delay(300);
  await cluster.kill(nodeId, 'SIGTERM');
  await cluster.startNode(nodeId);
  await waitFor(`${nodeId} to be live and caught up`, async () => {
    const { members } = await operator.members();
    const member = members.find((each) => each.nodeId === nodeId);
    return member?.isLive === true && member.lagBytes !== null && member.lagBytes < 65_536
      ? true
      : null;
  });
  for (const load of loads) load.slow();
  await operator.change({ kind: 'undrain', ...node });
  const [drainS, restS] = [drainedAtMs - startedAtMs, performance.now() - drainedAtMs].map((ms) =>
    (ms / 1_000).toFixed(1),
  );
  t.diagnostic(`${sentence}: after ${drainS} s; back after ${restS} s more`);
}

async function pushedIds(owner: Owner, endpoints: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await startPushConsumer(owner, endpoints, TOPIC, 'pushed', ({ messageId }) => {
    counts.set(messageId, (counts.get(messageId) ?? 0) + 1);
    return ConsumeResult.SUCCESS;
  });
  return counts;
}

/** A consumer that polls and acknowledges without a pause; each failure is kept. */
class Polling {
  readonly seen = new Set<string>();
  readonly failures: string[] = [];
  twice = 0;
  readonly #running: Promise<void>;
  #isStopping = false;

  constructor(owner: Owner, endpoints: string) {
    this.#running = this.#run(owner, endpoints);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(owner: Owner, endpoints: string): Promise<void> {
    const consumer = await startSimpleConsumer(owner, endpoints, TOPIC, 'polled');
    while (!this.#isStopping) {
      const views = await this.#noting('receive', () => consumer.receive(32, HELD_MS));
      for (const view of views ?? []) {
        if (this.seen.has(view.messageId)) this.twice++;
        this.seen.add(view.messageId);
        await this.#noting('ack', () => consumer.ack(view));
      }
    }
  }

  async #noting<T>(what: string, call: () => Promise<T>): Promise<T | null> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.failures.push(`${what}: ${error.message}`);
      await delay(200);
      return null;
    }
  }
}
