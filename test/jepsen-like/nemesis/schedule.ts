/**
 * The schedule of a run: a pure function of its seed, rows, nodes and length. Each row of each period has a
 * random stream of its own, so that leaving one row out leaves the others as they were.
 */
import { Prng } from '../../../src/base/prng.ts';
import { PERIOD_MS, QUIET_PERIOD_IN, QUIET_TAIL_MS, ROWS_PER_PERIOD_MAX } from '../limits.ts';
import { type RowMaker, rowNamed } from './rows.ts';
import type { ScheduledStep, Step } from './step.ts';

export interface ScheduleOptions {
  readonly seed: number;
  readonly rows: readonly string[];
  readonly nodes: readonly string[];
  readonly seconds: number;
}

/** Before the first fault the clients see a healthy system. */
const FIRST_FAULT_AT_MS = 2_000;
/** Steps that take as long as they take: a guess, so that most of those that follow do not meet them. */
const UNTIMED_STEP_MS = 2_000;
const STEP_OF_ALL_NODES_MS = 8_000;
const CHANGE_OF_MEMBERS_MS = 12_000;
const THREE_UPGRADES_MS = 60_000;

export function scheduleOf({ seed, rows, nodes, seconds }: ScheduleOptions): ScheduledStep[] {
  const makers = rows.map(rowNamed);
  const steps: ScheduledStep[] = [];
  const endMs = seconds * 1_000;
  for (let period = 0; period * PERIOD_MS < endMs; period++) {
    const startMs = Math.max(FIRST_FAULT_AT_MS, period * PERIOD_MS);
    const lastMs = Math.min(endMs, (period + 1) * PERIOD_MS) - QUIET_TAIL_MS;
    const random = new Prng(seed, `period-${period}`);
    for (const maker of chosen(random, makers, period)) {
      const stream = new Prng(seed, `period-${period}-${maker.id}`);
      steps.push(...stepsOf(maker, stream, nodes, startMs, lastMs));
    }
  }
  return steps.sort((a, b) => a.atMs - b.atMs);
}

/** The first period is never quiet: a short run would have none else. */
function chosen(random: Prng, makers: readonly RowMaker[], period: number): readonly RowMaker[] {
  if (period > 0 && random.chance(1, QUIET_PERIOD_IN)) return [];
  const left = [...makers];
  const count = 1 + random.below(Math.min(ROWS_PER_PERIOD_MAX, left.length));
  return Array.from({ length: Math.min(count, left.length) }, () => {
    const [maker] = left.splice(random.below(left.length), 1);
    return maker!; // count is not above the length
  });
}

function stepsOf(
  maker: RowMaker,
  random: Prng,
  nodes: readonly string[],
  startMs: number,
  lastMs: number,
): readonly ScheduledStep[] {
  const steps: ScheduledStep[] = [];
  let atMs = startMs + random.below(maker.gapMsMax);
  while (atMs < lastMs) {
    const step = maker.make({ random, nodes, roomMs: lastMs - atMs });
    steps.push({ atMs, row: maker.id, step });
    atMs += durationOf(step) + 500 + random.below(maker.gapMsMax);
  }
  return steps;
}

function durationOf(step: Step): number {
  if ('lastsMs' in step) return step.lastsMs;
  if ('downMs' in step) return step.downMs;
  switch (step.kind) {
    case 'rollingRestart':
      return STEP_OF_ALL_NODES_MS;
    case 'membership':
    case 'replaceDead':
    case 'replaceMember':
      return CHANGE_OF_MEMBERS_MS;
    case 'rollingUpgrade':
      return THREE_UPGRADES_MS;
    default:
      return UNTIMED_STEP_MS;
  }
}
