/** A scripted storm for one hazard: the faults are written down, everything else comes from a few seeds. */
import { equal, fail, ok } from 'node:assert/strict';
import { stackCanaryNamed } from './canaries.ts';
import type { StackFault, StackFaultKind } from './fault-script.ts';
import { type RunResult, runScript } from './run.ts';
import type { StackScript } from './script.ts';

const CHAOS_MS = 5_000;
const SEEDS = [1, 2, 3] as const;
const ACKNOWLEDGED_MIN = 20;

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
/** A fault as a scenario names it: which chance it is left to does not matter. */
export type PlannedFault = Without<StackFault, 'salt' | 'round'>;

/** What the storm meets. */
export interface Stage {
  readonly chaosMs?: number;
  readonly producers?: number;
  readonly consumers?: number;
  /** Of the log so much stays, once it is consumed; null: everything. */
  readonly retentionSizeBytes?: number | null;
}

/**
 * What was acknowledged survives, everybody who is well agrees, derived state is what the log says, and
 * whoever must not take part says so: run.ts. And the faults did strike.
 */
export async function survives(
  faults: readonly PlannedFault[],
  stage: Stage = {},
): Promise<readonly RunResult[]> {
  const struck = new Set<StackFaultKind>();
  const results: RunResult[] = [];
  for (const seed of SEEDS) {
    const result = await runScript(scriptOf(seed, faults, stage));
    results.push(result);
    equal(result.violation?.sentence, undefined, `seed ${seed}`);
    ok(result.acknowledged > ACKNOWLEDGED_MIN, `seed ${seed}: ${result.acknowledged} acknowledged`);
    for (const kind of result.faults.keys()) struck.add(kind);
  }
  for (const { kind } of faults) ok(struck.has(kind), `${kind} has struck`);
  return results;
}

/** The same storm finds the mistake that the hazard is named after: it would not pass whatever we did. */
export async function finds(
  canaryId: string,
  faults: readonly PlannedFault[],
  stage: Stage = {},
): Promise<void> {
  const { bug, bugs } = stackCanaryNamed(canaryId);
  for (const seed of SEEDS) {
    const { violation } = await runScript(scriptOf(seed, faults, stage), { bugs });
    if (violation !== null) return;
  }
  fail(`nothing has found: ${bug}`);
}

function scriptOf(
  seed: number,
  faults: readonly PlannedFault[],
  { chaosMs = CHAOS_MS, producers = 4, consumers = 2, retentionSizeBytes = null }: Stage,
): StackScript {
  return {
    ...{ seed, profile: 'hazard', chaosMs, producers, consumers, retentionSizeBytes },
    // A chance and a round of its own for each, and other ones for each seed.
    faults: faults.map((fault, i) => ({ ...fault, salt: 1_000 * seed + i, round: (seed + i) % 4 })),
  };
}

/** So often, so far apart. */
export function times(
  count: number,
  everyMs: number,
  fault: (atMs: number, i: number) => PlannedFault,
): readonly PlannedFault[] {
  return Array.from({ length: count }, (_, i) => fault(1_500 + i * everyMs, i));
}
