/**
 * A replica that has lost a whole segment starts among two that have it, while clients send a little: how
 * fast the segment comes back, and what the clients feel of it.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TestCluster, waitFor } from '../../test/interop/test-cluster.ts';
import { peakResidentBytesOf } from '../process-stats.ts';
import { RawSender } from '../raw-sender.ts';
import { type SendLatency, sendWhile } from './catch-up.ts';
import { type EntryShape, fillLog } from './fill-log.ts';
import { appliedUpTo, mibPerSecond } from './recovery.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const TIMEOUT_MS = 900_000;
/** So much of the log follows the segment that is lost: it names what is missing. */
const BEHIND_SIZE_BYTES = 4 * MIB;
const SEND_BODY_SIZE_BYTES = KIB;
const LANES = 2;
const LOOK_INTERVAL_MS = 250;
/** Entry header, fixed part of a message record, topic and properties: what is no body of one message. */
const OVERHEAD_SIZE_BYTES = 224;

export interface Lost {
  readonly lostSizeBytes: number;
  /** About. */
  readonly entrySizeBytes: number;
}

export interface RepairReport extends Lost {
  readonly entryCount: number;
  /** From the start of the process until it knew what is missing. */
  readonly toRepairMs: number;
  /** From then until the last entries were back. */
  readonly fillMs: number;
  readonly filledSizeBytes: number;
  readonly mibPerSecond: number;
  /** From the start until the log was open again; null: it was not waited for. */
  readonly toReadyMs: number | null;
  readonly peakResidentMib: { readonly replica: number; readonly leader: number };
  readonly sends: { readonly without: SendLatency; readonly meanwhile: SendLatency };
}

export async function measureRepair(
  lost: Lost,
  calmSeconds: number,
  secondsMax: number,
): Promise<RepairReport> {
  const segmentSizeBytes = lost.lostSizeBytes;
  const cluster = await TestCluster.plan({ segmentSizeBytes, readyTimeoutMs: TIMEOUT_MS });
  try {
    await cluster.startNameServer();
    const atMs = Date.now();
    const sizeBytes = segmentSizeBytes + BEHIND_SIZE_BYTES;
    const shape = shapeOf(lost.entrySizeBytes);
    let lastIndex = 0;
    for (const { nodeId, directory } of cluster.nodes) {
      const filled = await fillLog(directory, nodeId, segmentSizeBytes, sizeBytes, atMs, shape);
      lastIndex = filled.lastIndex;
    }
    const [first, second, damaged] = cluster.nodes.map(({ nodeId }) => nodeId);
    await Promise.all([cluster.startNode(first!), cluster.startNode(second!)]);
    for (const nodeId of [first!, second!]) await appliedUpTo(cluster, nodeId, lastIndex);
    const leader = await cluster.leader();
    const sender = new RawSender(cluster.node(leader).grpc, SEND_BODY_SIZE_BYTES);
    await waitFor('the first send', async () => ((await sender.trySend(1)) ? true : null));
    await sendWhile(sender, delay(calmSeconds * 500), LANES);
    const without = await sendWhile(sender, delay(calmSeconds * 1000), LANES);

    const data = join(cluster.node(damaged!).directory, 'data');
    rmSync(join(data, readdirSync(data).sort()[0]!));
    const startedAtMs = Date.now();
    const starting = cluster.startNode(damaged!);
    // The end of a process that is not waited for is no failure.
    starting.catch(() => {});
    const story = storyOf(cluster, damaged!, startedAtMs + secondsMax * 1000);
    const meanwhile = await sendWhile(sender, story, LANES);
    sender.close();
    const peak = (nodeId: string): number => peakResidentBytesOf(cluster.pidOf(nodeId)) / MIB;
    const peakResidentMib = { replica: peak(damaged!), leader: peak(leader) };
    const { beganAtMs, lastAtMs, entryCount, doneAtMs } = await story;
    const filledSizeBytes = (entryCount / lastIndex) * sizeBytes;
    const fillMs = lastAtMs - beganAtMs;
    return {
      ...{ ...lost, entryCount, filledSizeBytes, fillMs, peakResidentMib },
      toRepairMs: beganAtMs - startedAtMs,
      mibPerSecond: mibPerSecond(filledSizeBytes, fillMs),
      toReadyMs: doneAtMs === null ? null : doneAtMs - startedAtMs,
      sends: { without, meanwhile },
    };
  } finally {
    await cluster.close();
  }
}

function shapeOf(entrySizeBytes: number): EntryShape {
  const messageCount = Math.max(1, Math.floor(entrySizeBytes / (KIB + OVERHEAD_SIZE_BYTES)));
  return {
    messageCount,
    bodySizeBytes: Math.floor(entrySizeBytes / messageCount) - OVERHEAD_SIZE_BYTES,
  };
}

interface Story {
  readonly beganAtMs: number;
  readonly lastAtMs: number;
  readonly entryCount: number;
  readonly doneAtMs: number | null;
}

/** What the log of the node tells, once it is done or time is up. */
async function storyOf(cluster: TestCluster, nodeId: string, deadlineMs: number): Promise<Story> {
  for (;;) {
    await delay(LOOK_INTERVAL_MS);
    const story = storyIn(cluster.logOf(nodeId));
    if (story.beganAtMs === 0) {
      if (Date.now() > deadlineMs) throw new Error(`${nodeId} has not begun to repair itself`);
    } else if (story.doneAtMs !== null || Date.now() > deadlineMs) return story;
  }
}

function storyIn(log: string): Story {
  const story = { beganAtMs: 0, lastAtMs: 0, entryCount: 0, doneAtMs: null as number | null };
  // The last line may be half of one.
  for (const line of log.split('\n').slice(0, -1)) {
    if (!line.includes('"repair.')) continue;
    const { event, time, entryCount } = JSON.parse(line) as Line;
    const atMs = Date.parse(time);
    if (event === 'repair.started') story.beganAtMs ||= atMs;
    if (event === 'repair.done') story.doneAtMs = atMs;
    if (event !== 'repair.entries_fetched') continue;
    story.lastAtMs = atMs;
    story.entryCount += entryCount ?? 0;
  }
  return story;
}

interface Line {
  readonly event: string;
  readonly time: string;
  readonly entryCount?: number;
}
