/** A leader that cannot do its work must not keep others from doing it, and nobody may lose by it. */
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { OutgoingMessage } from '../../src/broker/verbs.ts';
import { DISK_FAILED_MS, DISK_STALLED_MS } from '../../src/replica/limits.ts';
import { checkWorld } from './checks.ts';
import type { StackNode } from './stack-node.ts';
import { StackWorld } from './stack-world.ts';
import { TOPIC, Workload } from './workload.ts';

const SEND_TIMEOUT_MS = 2_000;
/** Of the nodes of this world: detection of silence, an election, and what a slow link adds. */
const ELECTION_MS_MAX = 3_000;
const CALM_TIMEOUT_MS = 60_000;

interface Scene {
  readonly world: StackWorld;
  readonly workload: Workload;
  readonly leader: StackNode;
  readonly others: readonly [StackNode, StackNode];
}

async function openScene(seed: number): Promise<Scene> {
  const world = new StackWorld(seed);
  world.startAll();
  const leading = () => world.nodes.find(({ running }) => running?.replica?.leadership() != null);
  ok(await world.until(() => leading() !== undefined, CALM_TIMEOUT_MS), 'somebody leads');
  const workload = new Workload(world);
  workload.start(3, 1);
  await world.until(() => workload.receipts.size > 20, CALM_TIMEOUT_MS);
  const leader = leading();
  ok(leader !== undefined);
  const [second, third] = world.nodes.filter((node) => node !== leader);
  ok(second !== undefined && third !== undefined);
  return { world, workload, leader, others: [second, third] };
}

/** Simulated time until a client of `node` gets its message acknowledged. */
async function msUntilAnswered(scene: Scene, node: StackNode, id: string): Promise<number> {
  const { world, workload } = scene;
  const startedAtMs = world.clock.monotonicMs();
  const body = new TextEncoder().encode(id);
  workload.bodies.set(id, body);
  const sending = async () => {
    for (;;) {
      const request = { kind: 'send', messages: [message(id, body)] } as const;
      const { kind } = await world.call(node, request, SEND_TIMEOUT_MS);
      if (kind === 'answer') return;
      await world.sleep(50);
    }
  };
  await world.await(sending(), CALM_TIMEOUT_MS);
  return world.clock.monotonicMs() - startedAtMs;
}

async function closeScene({ world, workload }: Scene): Promise<void> {
  workload.stopping = true;
  world.network.unblockAmong(world.nodeIds);
  for (const node of world.nodes) {
    node.diskSpeed = 6;
    node.start();
  }
  ok(await world.until(() => workload.isOver, CALM_TIMEOUT_MS), 'everything is consumed');
  await world.until(() => {
    const all = world.nodes.map(({ running }) => running?.replica?.status() ?? null);
    return all.every((status) => status?.appliedIndex === all[0]?.lastIndex);
  }, CALM_TIMEOUT_MS);
  await checkWorld(world, workload);
  deepEqual(world.observer.violations, []);
  await world.endAll();
}

test('a leader whose disk hangs gives way, and the process ends when it does not come back', async () => {
  const scene = await openScene(11);
  const { world, leader, others } = scene;
  leader.diskSpeed = 0;
  const answeredMs = await msUntilAnswered(scene, others[0], 'while-hung');
  ok(answeredMs <= DISK_STALLED_MS + ELECTION_MS_MAX, `${answeredMs} ms`);
  notEqual(leader.running?.replica?.status().role, 'leader');

  ok(await world.until(() => world.observer.violations.length > 0, DISK_FAILED_MS));
  const [given, ...more] = world.observer.violations.splice(0);
  match(
    given?.sentence ?? '',
    /gave up: FatalError: Cannot write the log: the disk has not finished/,
  );
  deepEqual(more, []);
  await leader.kill();
  await closeScene(scene);
});

test('a leader whose disk hangs for a while catches up and nothing is lost', async () => {
  const scene = await openScene(12);
  const { leader, others, world } = scene;
  leader.diskSpeed = 0;
  await msUntilAnswered(scene, others[1], 'while-hung');
  leader.diskSpeed = 6;
  await world.until(() => world.clock.monotonicMs() % 500 === 0, 1_000);
  const answeredMs = await msUntilAnswered(scene, leader, 'afterwards');
  ok(answeredMs <= ELECTION_MS_MAX, `${answeredMs} ms`);
  await closeScene(scene);
});

test('a leader that nobody hears is replaced, and follows when it hears of it', async () => {
  const scene = await openScene(13);
  const { leader, others } = scene;
  scene.world.network.block(others.map((other) => [leader.nodeId, other.nodeId]));
  const answeredMs = await msUntilAnswered(scene, others[0], 'while-mute');
  ok(answeredMs <= ELECTION_MS_MAX, `${answeredMs} ms`);
  equal(leader.running?.replica?.leadership(), null);
  await closeScene(scene);
});

test('a leader that hears nobody stops leading', async () => {
  const scene = await openScene(14);
  const { leader, others } = scene;
  scene.world.network.block(others.map((other) => [other.nodeId, leader.nodeId]));
  const answeredMs = await msUntilAnswered(scene, others[0], 'while-deaf');
  ok(answeredMs <= ELECTION_MS_MAX, `${answeredMs} ms`);
  equal(leader.running?.replica?.leadership(), null);
  await closeScene(scene);
});

function message(messageId: string, body: Uint8Array): OutgoingMessage {
  return {
    ...{ topic: TOPIC, messageId, body, bodyEncoding: 'identity', tag: null, keys: [] },
    ...{ userProperties: {}, bornTimestampMs: 1, bornHost: '10.1.0.1:5', traceContext: null },
  };
}
