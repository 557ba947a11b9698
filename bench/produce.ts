/** The produce path: three real brokers on this machine, RocketMQ's gRPC protocol, real disks. */
import { setTimeout as delay } from 'node:timers/promises';
import { TestCluster, waitFor } from '../test/interop/test-cluster.ts';
import { type LoadPlan, type LoadResult, runLoad } from './load.ts';
import { cpuSecondsOf, residentBytesOf } from './process-stats.ts';
import { RawSender } from './raw-sender.ts';

const MIB = 1024 * 1024;
const BENCH_SEGMENT_SIZE_BYTES = 64 * MIB;
const IDLE_MS = 3_000;
const PROFILE_WRITE_MS = 1_500;
/** Compilers and caches of all processes settle before the first measurement. */
const SETTLING = [
  { inFlight: 64, messagesPerRequest: 1, warmUpSeconds: 0, seconds: 4 },
  { inFlight: 8, messagesPerRequest: 32, warmUpSeconds: 0, seconds: 2 },
];

export interface ProduceResult extends LoadResult {
  readonly path: 'leader' | 'follower';
  readonly fsyncsPerMessageOnLeader: number;
  readonly messagesPerEntry: number;
  readonly brokerCpuMicrosPerMessage: number;
  readonly clientCpuMicrosPerMessage: number;
}

export interface ProduceReport {
  /** Name server and three brokers, from the first spawn to a leader that serves. */
  readonly startToReadyMs: number;
  /** Of the three brokers. */
  readonly idleResidentMib: number;
  readonly nameServerResidentMib: number;
  readonly loadedResidentMib: number;
  readonly results: readonly ProduceResult[];
}

export interface ProducePlan extends LoadPlan {
  readonly path: 'leader' | 'follower';
}

/** @param profile the brokers carry cpu-profiler.ts: each plan overwrites the files of the one before */
export async function measureProduce(
  plans: readonly ProducePlan[],
  bodySizeBytes: number,
  profile = false,
): Promise<ProduceReport> {
  const startMs = performance.now();
  const cluster = await TestCluster.start({ segmentSizeBytes: BENCH_SEGMENT_SIZE_BYTES });
  try {
    const startToReadyMs = performance.now() - startMs;
    await delay(IDLE_MS);
    const idleResidentMib = residentMib(cluster);
    const nameServerResidentMib = residentBytesOf(cluster.pidOf('namesrv')) / MIB;
    const results: ProduceResult[] = [];
    for (const path of ['leader', 'follower'] as const) {
      for (const plan of SETTLING) await measure(cluster, { ...plan, path }, bodySizeBytes);
    }
    for (const plan of plans) {
      if (profile) await signalProfilers(cluster);
      results.push(await measure(cluster, plan, bodySizeBytes));
      if (profile) await signalProfilers(cluster);
    }
    const loadedResidentMib = residentMib(cluster);
    return { startToReadyMs, idleResidentMib, nameServerResidentMib, loadedResidentMib, results };
  } finally {
    await cluster.close();
  }
}

/** Starts or ends the profiles of all brokers. */
async function signalProfilers(cluster: TestCluster): Promise<void> {
  for (const { nodeId } of cluster.nodes) process.kill(cluster.pidOf(nodeId), 'SIGUSR2');
  await delay(PROFILE_WRITE_MS);
}

async function measure(
  cluster: TestCluster,
  plan: ProducePlan,
  bodySizeBytes: number,
): Promise<ProduceResult> {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!.nodeId;
  const target = cluster.node(plan.path === 'leader' ? leader : follower);
  const sender = new RawSender(target.grpc, bodySizeBytes);
  await waitFor('the first send', async () => ((await sender.trySend(1)) ? true : null));
  const before = await counters(cluster, leader);
  const sentBefore = sender.sentCount;
  const result = await runLoad(plan, () => sender.send(plan.messagesPerRequest));
  const after = await counters(cluster, leader);
  sender.close();
  const acknowledged = after.acknowledged - before.acknowledged;
  const sent = sender.sentCount - sentBefore;
  if (acknowledged !== sent) {
    throw new Error(
      `${leader} acknowledged ${acknowledged} of ${sent} messages: did it stop leading?`,
    );
  }
  return {
    ...result,
    path: plan.path,
    fsyncsPerMessageOnLeader: (after.fsyncs - before.fsyncs) / acknowledged,
    messagesPerEntry: acknowledged / (after.appliedIndex - before.appliedIndex),
    brokerCpuMicrosPerMessage: ((after.brokerCpu - before.brokerCpu) * 1e6) / acknowledged,
    clientCpuMicrosPerMessage: ((after.clientCpu - before.clientCpu) * 1e6) / acknowledged,
  };
}

interface Counters {
  readonly fsyncs: number;
  readonly acknowledged: number;
  readonly appliedIndex: number;
  readonly brokerCpu: number;
  readonly clientCpu: number;
}

async function counters(cluster: TestCluster, leader: string): Promise<Counters> {
  const metrics = await cluster.metrics(leader);
  const read = (name: string): number => {
    const value = metrics?.get(name);
    if (value === undefined) throw new Error(`${leader} has no metric ${name}`);
    return value;
  };
  const { user, system } = process.cpuUsage();
  return {
    fsyncs: read('mqraft_fsyncs_total'),
    acknowledged: read('mqraft_acknowledged_messages_total'),
    appliedIndex: read('mqraft_raft_applied_index'),
    brokerCpu: cluster.nodes.reduce(
      (sum, { nodeId }) => sum + cpuSecondsOf(cluster.pidOf(nodeId)),
      0,
    ),
    clientCpu: (user + system) / 1e6,
  };
}

function residentMib(cluster: TestCluster): number {
  return (
    cluster.nodes.reduce((sum, { nodeId }) => sum + residentBytesOf(cluster.pidOf(nodeId)), 0) / MIB
  );
}
