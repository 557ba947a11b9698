/**
 * One seed: a storm over a group of three whole nodes, then calm, then the reckoning.
 *
 * Everything is decided by the seed: faults, network, disks, clients, clocks. Nothing in it waits for
 * real time, a socket or a file, so a seed is the same run on every machine.
 */
import { checkWorld } from './checks.ts';
import { Faults } from './faults.ts';
import { StackWorld } from './stack-world.ts';
import { Workload } from './workload.ts';

const STORM_MS = 6_000;
/** From the end of the storm: everybody runs, agrees, and has consumed everything. */
const CALM_TIMEOUT_MS = 60_000;
/** One after the other is another world than a crowd. */
const PRODUCER_COUNT_MAX = 12;
const CONSUMER_COUNT = 2;

export interface RunResult {
  readonly seed: number;
  /** Empty: the promises were kept. */
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly consumed: number;
  readonly repeats: number;
  readonly entries: number;
  readonly leaders: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly calmMs: number;
}

export async function runSeed(seed: number): Promise<RunResult> {
  const world = new StackWorld(seed);
  const workload = new Workload(world);
  const faults = new Faults(world);
  world.startAll();
  workload.start(1 + (seed % PRODUCER_COUNT_MAX), CONSUMER_COUNT);
  const { observer, clock } = world;
  while (clock.monotonicMs() < STORM_MS && observer.violations.length === 0) {
    await world.step(() => faults.perhaps());
  }
  faults.healAll();
  workload.stopping = true;
  const calmAtMs = clock.monotonicMs();
  if (observer.violations.length === 0) await calmDown(world, workload);
  const calmMs = clock.monotonicMs() - calmAtMs;
  if (observer.violations.length === 0) await checkWorld(world, workload);
  await world.endAll();
  return {
    ...{ seed, violations: observer.violations, faults: faults.counts, calmMs },
    acknowledged: workload.receipts.size,
    consumed: workload.doneAtMs.size,
    repeats: workload.repeats,
    entries: observer.appliedMax,
    leaders: observer.leaderCount,
  };
}

async function calmDown(world: StackWorld, workload: Workload): Promise<void> {
  const { observer, nodes } = world;
  const isOver = () => workload.isOver || observer.violations.length > 0;
  if (!(await world.until(isOver, CALM_TIMEOUT_MS))) {
    const missing = workload.unconsumed;
    observer.violation(`after the storm ${missing.length} messages never came: ${missing}`);
    return;
  }
  const agree = () => {
    const all = nodes.map(({ running }) => running?.replica?.status() ?? null);
    const last = Math.max(...all.map((status) => status?.lastIndex ?? 0));
    return all.every((status) => status?.appliedIndex === last);
  };
  if (await world.until(() => agree() || observer.violations.length > 0, CALM_TIMEOUT_MS)) return;
  const states = JSON.stringify(nodes.map(({ running }) => running?.replica?.status()));
  observer.violation(`after the storm the nodes do not agree: ${states}`);
}

export function replayLine(seed: number): string {
  return `MQ_RAFT_STACK_SEED=${seed} node dist/test/stack/main.js`;
}
