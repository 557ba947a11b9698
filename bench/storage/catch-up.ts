/** An empty replica joins a group with a large log, while clients send: how fast, and what they feel. */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { TestCluster, waitFor } from '../../test/interop/test-cluster.ts';
import { peakResidentBytesOf } from '../process-stats.ts';
import { RawSender } from '../raw-sender.ts';
import { fillLog } from './fill-log.ts';
import { appliedUpTo, mibPerSecond } from './recovery.ts';

const MIB = 1024 * 1024;
const NS_PER_MS = 1e6;
const BODY_SIZE_BYTES = 1024;
const LANES = 8;
const TIMEOUT_MS = 900_000;

export interface SendLatency {
  readonly sent: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface CatchUpReport {
  readonly sizeBytes: number;
  readonly toCaughtUpMs: number;
  readonly mibPerSecond: number;
  /** Of the replica that caught up, and of the leader that served it. */
  readonly peakResidentMib: { readonly replica: number; readonly leader: number };
  readonly sends: { readonly without: SendLatency; readonly meanwhile: SendLatency };
}

export async function measureCatchUp(
  sizeBytes: number,
  segmentSizeBytes: number,
  calmSeconds: number,
): Promise<CatchUpReport> {
  const cluster = await TestCluster.plan({ segmentSizeBytes, readyTimeoutMs: TIMEOUT_MS });
  try {
    await cluster.startNameServer();
    const [first, second, empty] = cluster.nodes;
    const full = [first!, second!];
    const atMs = Date.now();
    let lastIndex = 0;
    for (const { nodeId, directory } of full) {
      const filled = await fillLog(directory, nodeId, segmentSizeBytes, sizeBytes, atMs);
      lastIndex = filled.lastIndex;
    }
    await Promise.all(full.map(({ nodeId }) => cluster.startNode(nodeId)));
    for (const { nodeId } of full) await appliedUpTo(cluster, nodeId, lastIndex);
    const leader = await cluster.leader();
    const sender = new RawSender(cluster.node(leader).grpc, BODY_SIZE_BYTES);
    await waitFor('the first send', async () => ((await sender.trySend(1)) ? true : null));
    // Compilers and caches settle.
    await sendWhile(sender, delay(calmSeconds * 500));
    const without = await sendWhile(sender, delay(calmSeconds * 1000));
    const beganMs = performance.now();
    const catchingUp = catchUp(cluster, empty!.nodeId, lastIndex);
    const meanwhile = await sendWhile(sender, catchingUp);
    const toCaughtUpMs = performance.now() - beganMs;
    sender.close();
    return {
      ...{ sizeBytes, toCaughtUpMs, mibPerSecond: mibPerSecond(sizeBytes, toCaughtUpMs) },
      peakResidentMib: {
        replica: peakResidentBytesOf(cluster.pidOf(empty!.nodeId)) / MIB,
        leader: peakResidentBytesOf(cluster.pidOf(leader)) / MIB,
      },
      sends: { without, meanwhile },
    };
  } finally {
    await cluster.close();
  }
}

async function catchUp(cluster: TestCluster, nodeId: string, lastIndex: number): Promise<void> {
  await cluster.startNode(nodeId);
  await appliedUpTo(cluster, nodeId, lastIndex);
}

/** A closed loop with few requests in flight, as long as something else lasts. */
export async function sendWhile(
  sender: RawSender,
  other: Promise<unknown>,
  laneCount = LANES,
): Promise<SendLatency> {
  const histogram = createHistogram();
  let isOver = false;
  const over = other.finally(() => {
    isOver = true;
  });
  const beganMs = performance.now();
  let sent = 0;
  async function lane(): Promise<void> {
    while (!isOver) {
      const sentAtMs = performance.now();
      await sender.send(1);
      sent += 1;
      histogram.record(Math.max(1, Math.round((performance.now() - sentAtMs) * NS_PER_MS)));
    }
  }
  await Promise.all([over, ...Array.from({ length: laneCount }, lane)]);
  const ms = (ns: number): number => ns / NS_PER_MS;
  return {
    sent,
    perSecond: sent / ((performance.now() - beganMs) / 1000),
    p50Ms: ms(histogram.percentile(50)),
    p99Ms: ms(histogram.percentile(99)),
    maxMs: ms(histogram.max),
  };
}
