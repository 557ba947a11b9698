/**
 * An independent reading of a topic through the project's own client, which tells the queue of each
 * message (the official one does not): what is stored, where, and how often.
 */
import { randomUUID } from 'node:crypto';
import { createBrokerCallClient } from '../../src/client/broker-call-client.ts';
import { MqClient } from '../../src/client/mq-client.ts';
import { NodeDirectory } from '../../src/client/node-directory.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import type { DeliveredMessage } from '../../src/protocol/verbs.ts';
import type { TestCluster } from './test-cluster.ts';

const CALL_TIMEOUT_MS = 10_000;
const INVISIBLE_MS = 60_000;
const IDLE_WAIT_MS = 500;
const BATCH_SIZE = 32;
const READ_TIMEOUT_MS = 90_000;

/** @param nodes whom it may ask, in this order */
export function clientOf({ nodes }: Pick<TestCluster, 'nodes'>): MqClient {
  const clock = new NodeClock();
  const endpoints = nodes.map(({ nodeId, raft }) => ({
    nodeId,
    raft,
    grpc: null,
    http: null,
  }));
  return new MqClient({
    directory: new NodeDirectory({ nameServers: [], endpoints, clock }),
    connect: createBrokerCallClient,
    clock,
    timeoutMs: CALL_TIMEOUT_MS,
  });
}

/** Everything that a new group is given, until nothing more comes. */
export async function readWholeTopic(
  cluster: TestCluster,
  topic: string,
): Promise<readonly DeliveredMessage[]> {
  const client = clientOf(cluster);
  const group = `audit-${randomUUID()}`;
  const all: DeliveredMessage[] = [];
  const deadlineAtMs = performance.now() + READ_TIMEOUT_MS;
  try {
    for (;;) {
      if (performance.now() > deadlineAtMs) {
        throw new Error(`${topic} has no end: ${all.length} messages in ${READ_TIMEOUT_MS} ms`);
      }
      const messages = await client.receive({
        group,
        topic,
        filter: { tags: [] },
        batchSize: BATCH_SIZE,
        invisibleMs: INVISIBLE_MS,
        autoRenew: false,
        waitMs: IDLE_WAIT_MS,
        clientId: group,
        attemptId: randomUUID(),
      });
      if (messages.length === 0) return all;
      all.push(...messages);
    }
  } finally {
    client.close();
  }
}

/** Two messages at one place of a queue, one message id at two places, or a hole in a queue. */
export function anomaliesOf(messages: readonly DeliveredMessage[]): string[] {
  const anomalies: string[] = [];
  const idAt = new Map<string, string>();
  const placeOf = new Map<string, string>();
  const offsetsOf = new Map<number, Set<number>>();
  for (const { messageId, queueId, queueOffset } of messages) {
    const place = `${queueId}@${queueOffset}`;
    const otherId = idAt.get(place);
    if (otherId !== undefined) anomalies.push(`${place} was given as ${otherId} and ${messageId}`);
    const otherPlace = placeOf.get(messageId);
    if (otherPlace !== undefined) anomalies.push(`${messageId} is at ${otherPlace} and ${place}`);
    idAt.set(place, messageId);
    placeOf.set(messageId, place);
    offsetsOf.set(queueId, (offsetsOf.get(queueId) ?? new Set()).add(queueOffset));
  }
  for (const [queueId, offsets] of offsetsOf) {
    const highest = Math.max(...offsets);
    if (offsets.size !== highest + 1) {
      anomalies.push(`queue ${queueId} has ${offsets.size} messages below offset ${highest + 1}`);
    }
  }
  return anomalies;
}
