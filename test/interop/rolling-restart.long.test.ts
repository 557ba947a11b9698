/**
 * All nodes of a group restart one after another while official clients send and receive. No send fails, nothing
 * is lost or doubled, and what a producer sends in order stays in order.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ConsumeResult } from 'rocketmq-client-nodejs';
import { aWorkingDirectory, CommandProcess } from './dev-process.ts';
import {
  allReceived,
  closeClients,
  LoadProducer,
  sentMore,
  startProducer,
  startPushConsumer,
  startSimpleConsumer,
} from './official-client.ts';
import { disorderOf } from './operator.ts';
import { LONG_BODY_TIMEOUT_MS, type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TOPIC = 'rolling';
const LANES = 4;
/** A hand-over; nobody waits for an election. */
const WRITE_GAP_MS_MAX = 3_000;
const HELD_MS = 15_000;
/** Sends without a pause around the moment at which a process ends, and a few in between. */
const BUSY_MS = 300;
/** Until the clients of a node are elsewhere. */
const STEP_TIMEOUT_MS = 90_000;

suite('a rolling restart', { timeout: 290_000 }, () => {
  test('with official clients on every node: no send fails, and no poll', async (t) => {
    await owning((owner) => underClients(t, owner), LONG_BODY_TIMEOUT_MS);
  });
});

async function underClients(t: TestContext, owner: Owner): Promise<void> {
  const cluster = await TestCluster.start();
  owner.after(() => cluster.close());
  const leader = await cluster.leader();
  // The node that is asked for routes differs from client to client: each of them is away once.
  const loads = await Promise.all(
    cluster.nodes.map(async ({ grpc, nodeId }) => {
      const producer = await startProducer(owner, grpc, TOPIC);
      return new LoadProducer(owner, producer, TOPIC, LANES, ` by way of ${nodeId}`);
    }),
  );
  const pushed = await pushedIds(owner, cluster.nodes[1]!.grpc);
  const polling = new Polling(owner, cluster.nodes[2]!.grpc);
  for (const load of loads) await sentMore(load, 100);
  for (const load of loads) load.slow();
  const order = await restartAll(t, owner, cluster, loads);
  equal(order.at(-1), leader);
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

/**
 * As docs/operations.md says it: the command walks, and the processes are restarted when it asks for that. It is
 * interrupted after the first node, and goes on.
 */
async function restartAll(
  t: TestContext,
  owner: Owner,
  cluster: TestCluster,
  loads: readonly LoadProducer[],
): Promise<readonly string[]> {
  const cwd = aWorkingDirectory(owner);
  const words = ['rolling-restart', '--namesrv', cluster.nameServer];
  const first = new CommandProcess(owner, cwd, words);
  const order = [await restartNext(first, cluster, loads, [])];
  await said(first, /undrained/);
  first.kill('SIGINT');
  const { code, stderr } = await first.end();
  equal(code, 130);
  const since = /--since (\S+)/.exec(stderr)?.[1];
  ok(since !== undefined, stderr);
  const second = new CommandProcess(owner, cwd, [...words, '--since', since]);
  for (const _ of ['second', 'third']) {
    order.push(await restartNext(second, cluster, loads, order));
  }
  const end = await second.end();
  equal(end.code, 0, end.stderr);
  for (const line of `${stderr}${end.stderr}${end.stdout}`.split('\n')) t.diagnostic(line);
  return order;
}

/** @returns which one it was */
async function restartNext(
  command: CommandProcess,
  cluster: TestCluster,
  loads: readonly LoadProducer[],
  before: readonly string[],
): Promise<string> {
  const others = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => !before.includes(id));
  const asked = `(${others.join('|')}): restart its process now`;
  const nodeId = (await said(command, new RegExp(asked)))[1];
  ok(nodeId !== undefined);
  for (const load of loads) load.fast();
  await delay(BUSY_MS);
  await cluster.kill(nodeId, 'SIGTERM');
  await cluster.startNode(nodeId);
  await delay(BUSY_MS);
  for (const load of loads) load.slow();
  return nodeId;
}

function said(command: CommandProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return waitFor(
    `${pattern}`,
    async () => {
      if (!command.isRunning) throw new Error(`It ended and wrote: ${command.stderr}`);
      return pattern.exec(command.stderr);
    },
    STEP_TIMEOUT_MS,
  );
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
