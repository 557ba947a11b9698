/** Groups that keep little of their log, and how one of their nodes comes to need what is gone. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readWholeTopic } from './audit.ts';
import {
  closeClients,
  drain,
  LoadProducer,
  startProducer,
  startSimpleConsumer,
} from './official-client.ts';
import type { Owner } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { lostOf, unexpiredOf } from './retention-audit.ts';
import { TestCluster, type TestClusterOptions, waitFor } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 256 * 1024;
export const KEPT_SIZE_BYTES = 1024 * 1024;
const GRACE_SECONDS = 3;
const LANES = 8;
const PADDING = 'x'.repeat(2_000);
/** Retention looks every ten seconds. */
export const PATIENCE_MS = 60_000;
const DRAIN_TIMEOUT_MS = 60_000;

export const KEEPS_LITTLE: Pick<TestClusterOptions, 'segmentSizeBytes' | 'brokerArgs'> = {
  segmentSizeBytes: SEGMENT_SIZE_BYTES,
  brokerArgs: [
    ...['--retention-bytes', String(KEPT_SIZE_BYTES)],
    ...['--member-grace-seconds', String(GRACE_SECONDS)],
  ],
};

export interface SmallLog {
  readonly cluster: TestCluster;
  readonly topic: string;
  /** When it all began. Its process stays: the client is told it, and takes long to come back to one that was away. */
  readonly leader: string;
  readonly followers: readonly string[];
  readonly load: LoadProducer;
}

/** Somebody sends, by way of the leader: it stays. */
export async function startSmallLog(
  owner: Owner,
  topic: string,
  options: TestClusterOptions = {},
): Promise<SmallLog> {
  const cluster = await TestCluster.start({ ...KEEPS_LITTLE, ...options });
  owner.after(() => cluster.close());
  const leader = await cluster.leader();
  const followers = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== leader);
  const producer = await startProducer(owner, cluster.node(leader).grpc, topic);
  const load = new LoadProducer(owner, producer, topic, LANES, PADDING);
  return { cluster, topic, leader, followers, load };
}

export async function metricOf(
  cluster: TestCluster,
  nodeId: string,
  name: string,
): Promise<number> {
  return (await cluster.metrics(nodeId))?.get(name) ?? Number.NaN;
}

/** Kills the nodes, and goes on until the group has removed what they would have needed next. */
export async function leaveBehind(
  { cluster, leader }: SmallLog,
  nodeIds: readonly string[],
): Promise<void> {
  const ends = nodeIds.map((nodeId) => metricOf(cluster, nodeId, 'mqraft_raft_last_index'));
  const lastIndex = Math.max(...(await Promise.all(ends)));
  await Promise.all(nodeIds.map((nodeId) => cluster.kill(nodeId)));
  await waitFor(
    `the log to begin behind what ${nodeIds.join(' and ')} had`,
    async () => {
      const firstIndex = await metricOf(cluster, leader, 'mqraft_log_first_index');
      return firstIndex > lastIndex + 1 ? true : null;
    },
    PATIENCE_MS,
  );
}

/** The node has made its state from a snapshot, once in all, and has what the leader has committed now. */
export async function caughtUp({ cluster, leader }: SmallLog, nodeId: string): Promise<void> {
  const committed = await metricOf(cluster, leader, 'mqraft_raft_commit_index');
  const rebuiltCount = () => eventCountIn(cluster.logOf(nodeId), 'snapshot.state_rebuilt');
  await waitFor(
    `${nodeId} to have everything by a snapshot`,
    async () => {
      const applied = await metricOf(cluster, nodeId, 'mqraft_raft_applied_index');
      return rebuiltCount() > 0 && applied >= committed ? true : null;
    },
    PATIENCE_MS,
  );
  equal(rebuiltCount(), 1);
}

export function eventCountIn(text: string, event: string): number {
  return text.split(`"event":"${event}"`).length - 1;
}

/**
 * The end of such a test: the beginning of the log is gone, everything behind it is there, once and in its
 * place, for each reader and on each disk, and as much of it as was to be kept.
 */
export async function everythingIsThere(
  owner: Owner,
  { cluster, topic, leader, load }: SmallLog,
): Promise<void> {
  await load.stop();
  await cluster.converged();
  for (const { nodeId } of cluster.nodes) {
    ok((await metricOf(cluster, nodeId, 'mqraft_log_kept_bytes')) >= KEPT_SIZE_BYTES, nodeId);
  }
  // What its group has not acknowledged no retention by size removes from now on.
  const read = await readWholeTopic(cluster, topic);
  const ids = new Set(read.map(({ messageId }) => messageId));
  ok(ids.size > 0, 'something is kept');
  equal(ids.size, read.length, 'no message twice');
  deepEqual(
    lostOf(load.sent, (messageId) => ids.has(messageId)),
    [],
  );
  for (const queueId of new Set(read.map((message) => message.queueId))) {
    const inQueue = read.filter((message) => message.queueId === queueId);
    const offsets = inQueue.map(({ queueOffset }) => queueOffset).sort((a, b) => a - b);
    const first = offsets[0]!;
    ok(first > 0, `the beginning of queue ${queueId} is gone`);
    const dense = offsets.map((_, i) => first + i);
    deepEqual(offsets, dense, `queue ${queueId} has no hole`);
  }
  const consumer = await startSimpleConsumer(owner, cluster.node(leader).grpc, topic, 'kept');
  const bodyOf = new Map(load.sent.map(({ messageId, body }) => [messageId, body]));
  for (const { view, body } of await drain(consumer, ids, DRAIN_TIMEOUT_MS)) {
    equal(body, bodyOf.get(view.messageId) ?? body);
  }
  await closeClients(owner);
  await everyReplicaHolds(cluster, topic, (isThere) =>
    unexpiredOf(load.sent, (messageId) => ids.has(messageId) || isThere(messageId)),
  );
}
