/** One run from begin to end: a cluster, workloads, faults, healing, the final reading, and the dump of every disk. */
import { spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { release } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/bin/version.ts';
import { Cluster } from './harness/cluster.ts';
import { lookAtMachine, type Machine } from './harness/machine.ts';
import { Slot } from './harness/slot.ts';
import { EVIDENCE_FILES, type ReplicaLog, type RunSummary } from './history/evidence.ts';
import { Recorder } from './history/recorder.ts';
import {
  DRAIN_TIMEOUT_MS,
  HEAL_TIMEOUT_MS,
  PLANTED_TIMEOUT_MS,
  RECOVERY_MS_MAX,
  SPARES_MAX,
} from './limits.ts';
import { Executor } from './nemesis/executor.ts';
import { scheduleOf } from './nemesis/schedule.ts';
import type { RunOptions, RunPlan } from './plan.ts';
import { drainAll } from './workloads/drain.ts';
import { workloadNamed } from './workloads/index.ts';
import type { Workload, WorkloadContext } from './workloads/workload.ts';

const READER = fileURLToPath(new URL('./harness/read-replica.js', import.meta.url));

/** Every lane of every workload waits for the stop. */
const STOP_LISTENERS_MAX = 200;

export function planOf(options: RunOptions): RunPlan {
  const nodes = Array.from({ length: options.nodeCount }, (_, i) => `n${i + 1}`);
  const { seed, rows, seconds, script } = options;
  const schedule = script ?? scheduleOf({ seed, rows, nodes, seconds });
  const deaths = schedule.filter(({ step }) => step.kind === 'replaceMember').length;
  const spareCount = Math.min(deaths, SPARES_MAX);
  const spares = Array.from({ length: spareCount }, (_, i) => `m${i + 1}`);
  return { ...options, nodes, spares, schedule };
}

/** Leaves everything in the folder. Rejects only when the suite itself is at fault. */
export async function runOnce(options: RunOptions, folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const plan = planOf(options);
  const machine = await lookAtMachine();
  const slot = await Slot.claim();
  const remove = onSignals(slot);
  let cluster: Cluster | null = null;
  try {
    const recorder = new Recorder(folder);
    recorder.document(EVIDENCE_FILES.plan, plan);
    cluster = await Cluster.create({ plan, machine, slot, recorder });
    const summary = await inCluster(cluster, plan, machine, recorder);
    recorder.flush();
    recorder.document(EVIDENCE_FILES.replicas, await readReplicas(cluster, recorder));
    recorder.flush();
    recorder.document(EVIDENCE_FILES.summary, summary);
  } finally {
    await cluster?.stop();
    await cluster?.destroy();
    await slot.remove();
    remove();
  }
}

async function inCluster(
  cluster: Cluster,
  plan: RunPlan,
  machine: Machine,
  recorder: Recorder,
): Promise<RunSummary> {
  const workloads = plan.workloads.map(workloadNamed);
  const stopping = new AbortController();
  setMaxListeners(STOP_LISTENERS_MAX, stopping.signal);
  const context: WorkloadContext = {
    recorder,
    endpoints: endpointsOf(cluster, plan),
    grpcEndpoints: cluster.nodes.map(({ nodeId }) => cluster.network.forClients(nodeId).grpc),
    seed: plan.seed,
    stopping: stopping.signal,
  };
  const problems: string[] = [];
  await cluster.start();
  for (const workload of workloads) await workload.prepare(context);
  // Time is counted from here: before it there was nothing to see.
  recorder.startClock();
  const running = Promise.all(workloads.map((workload) => workload.run(context)));
  const executor = new Executor(cluster);
  const faults = executor.run(plan.schedule, plan.script !== undefined);
  const lateMs = await Promise.race([faults, running.then(() => 0)]);
  await Promise.race([untilMs(recorder, plan.seconds * 1_000 + lateMs), running]);
  const healMs = await healed(cluster, executor, plan, workloads, problems);
  stopping.abort();
  await running;
  problems.push(...executor.troubles);
  // Who does not come back cannot be read to the end either.
  if (problems.length === 0) {
    problems.push(...(await drainAll(workloads, context, patienceOf(plan, DRAIN_TIMEOUT_MS))));
  }
  if (problems.length === 0) {
    const timeoutMs = patienceOf(plan, HEAL_TIMEOUT_MS);
    await cluster.untilEqual(timeoutMs).catch((error: Error) => problems.push(error.message));
  }
  const seconds = Math.round(recorder.nowMs() / 1_000);
  await cluster.stop();
  const skippedFeatures = Object.entries(machine)
    .filter(([, why]) => why !== null)
    .map(([feature, why]) => `${feature}: ${why}`);
  const versions = { mqRaft: VERSION, node: process.version, kernel: release() };
  return { seconds, healMs, problems, versions, network: cluster.network.kind, skippedFeatures };
}

function patienceOf({ canary }: RunPlan, timeoutMs: number): number {
  return canary === null ? timeoutMs : PLANTED_TIMEOUT_MS;
}

/** @returns how long it took until a send was acknowledged that began after the healing */
async function healed(
  cluster: Cluster,
  executor: Executor,
  plan: RunPlan,
  workloads: readonly Workload[],
  problems: string[],
): Promise<number | null> {
  const { recorder } = cluster;
  const timeoutMs = patienceOf(plan, HEAL_TIMEOUT_MS);
  await executor.heal();
  const healedAtMs = recorder.nowMs();
  const wait = (what: Promise<unknown>): Promise<unknown> =>
    what.catch((error: Error) => problems.push(error.message));
  if (!workloads.some(({ topics }) => topics.length > 0)) {
    await wait(cluster.untilLeader(timeoutMs));
    return null;
  }
  const deadlineAtMs = healedAtMs + timeoutMs;
  const isOver = (): boolean => recorder.nowMs() >= deadlineAtMs || cluster.isBeyondHelp;
  while (recorder.lastOkSendStartMs < healedAtMs && !isOver()) {
    await untilMs(recorder, recorder.nowMs() + 50);
  }
  const isBack = recorder.lastOkSendStartMs >= healedAtMs;
  const tookMs = Math.round(recorder.nowMs() - healedAtMs);
  if (!isBack) problems.push(`no send was acknowledged within ${tookMs} ms after healing`);
  else if (tookMs > RECOVERY_MS_MAX)
    problems.push(`the first send after healing took ${tookMs} ms`);
  return isBack ? tookMs : null;
}

/** Those that come later are known from the beginning, as a line of configuration would know them. */
function endpointsOf(cluster: Cluster, { nodes, spares }: RunPlan): WorkloadContext['endpoints'] {
  const { network, nameServers } = cluster;
  return {
    nodes: [...nodes, ...spares].map((nodeId) => network.forClients(nodeId).raft),
    // What name servers tell leads past the relays.
    nameServers: network.kind === 'namespaces' ? nameServers : [],
  };
}

/** Each by a program of its own, which knows nothing of what clients were told. */
async function readReplicas(cluster: Cluster, recorder: Recorder): Promise<readonly ReplicaLog[]> {
  const logs: ReplicaLog[] = [];
  for (const { nodeId, directory } of cluster.nodes) {
    const child = spawn(process.execPath, [READER, nodeId, directory], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    let log: ReplicaLog | null = null;
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as { log?: ReplicaLog }; // our own program
      if (line.log === undefined) recorder.place(line);
      else log = line.log;
    }
    logs.push(log ?? unreadable(nodeId, complaint));
  }
  return logs;
}

function unreadable(node: string, complaint: string): ReplicaLog {
  const damages = [`cannot be read: ${complaint.slice(-500)}`];
  const logStart = { index: 0, physicalOffset: 0 };
  const nothing = { firstIndex: 0, lastIndex: 0, appliedIndex: null, logStart, digests: [] };
  return { node, verdict: 'damaged', damages, ...nothing };
}

/** A run that is told to end takes everything with it. @returns how to stop listening */
function onSignals(slot: Slot): () => void {
  const end = (): void => {
    void slot.remove().then(() => process.exit(130));
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  return () => {
    process.removeListener('SIGINT', end);
    process.removeListener('SIGTERM', end);
  };
}

async function untilMs(recorder: Recorder, atMs: number): Promise<void> {
  const leftMs = atMs - recorder.nowMs();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
}
