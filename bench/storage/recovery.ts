/** Starts of a replica on a large log: what is read, what is built anew, how long until it serves. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { TestCluster, waitFor } from '../../test/interop/test-cluster.ts';
import { peakResidentBytesOf } from '../process-stats.ts';
import { type FilledLog, fillLog } from './fill-log.ts';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 900_000;
const NODE = 'n1';

export interface Start {
  readonly how: 'rebuild' | 'after kill -9' | 'after an orderly stop';
  /** Until it leads, has applied everything, and says that it is ready. */
  readonly toReadyMs: number;
  readonly mibPerSecond: number;
  readonly peakResidentMib: number;
}

export interface RecoveryReport extends FilledLog {
  readonly fillMibPerSecond: number;
  readonly starts: readonly Start[];
}

export async function measureRecovery(
  sizeBytes: number,
  segmentSizeBytes: number,
): Promise<RecoveryReport> {
  const readyTimeoutMs = TIMEOUT_MS;
  const cluster = await TestCluster.plan({ nodeCount: 1, segmentSizeBytes, readyTimeoutMs });
  try {
    await cluster.startNameServer();
    const { directory } = cluster.node(NODE);
    const beganMs = performance.now();
    const filled = await fillLog(directory, NODE, segmentSizeBytes, sizeBytes);
    const fillMibPerSecond = mibPerSecond(filled.sizeBytes, performance.now() - beganMs);
    const starts: Start[] = [];
    // The first start has no derived state, and makes it from the whole log.
    starts.push(await measureStart(cluster, 'rebuild', filled));
    await cluster.kill(NODE, 'SIGKILL');
    starts.push(await measureStart(cluster, 'after kill -9', filled));
    await cluster.kill(NODE, 'SIGTERM');
    starts.push(await measureStart(cluster, 'after an orderly stop', filled));
    await cluster.kill(NODE, 'SIGTERM');
    rmSync(join(directory, 'data'), { recursive: true });
    return { ...filled, fillMibPerSecond, starts };
  } finally {
    await cluster.close();
  }
}

async function measureStart(
  cluster: TestCluster,
  how: Start['how'],
  { sizeBytes, lastIndex }: FilledLog,
): Promise<Start> {
  const beganMs = performance.now();
  await cluster.startNode(NODE);
  await appliedUpTo(cluster, NODE, lastIndex);
  await waitFor('the node to lead', () => leads(cluster), TIMEOUT_MS);
  const toReadyMs = performance.now() - beganMs;
  const peakResidentMib = peakResidentBytesOf(cluster.pidOf(NODE)) / MIB;
  return { how, toReadyMs, mibPerSecond: mibPerSecond(sizeBytes, toReadyMs), peakResidentMib };
}

async function leads(cluster: TestCluster): Promise<true | null> {
  const metrics = await cluster.metrics(NODE);
  return metrics?.get('mqraft_raft_role{role="leader"}') === 1 ? true : null;
}

export async function appliedUpTo(
  cluster: TestCluster,
  nodeId: string,
  index: number,
): Promise<void> {
  await waitFor(
    `${nodeId} to apply entry ${index}`,
    async () => {
      const applied = (await cluster.metrics(nodeId))?.get('mqraft_raft_applied_index') ?? 0;
      return applied >= index ? true : null;
    },
    TIMEOUT_MS,
  );
}

export function mibPerSecond(sizeBytes: number, durationMs: number): number {
  return sizeBytes / MIB / (durationMs / 1000);
}
