/**
 * Makes a failing script small: less time, whole kinds of faults, then single faults (ddmin), then
 * clients. A smaller script counts when the same check fails.
 */
import type { CheckId } from './check-id.ts';
import { type RunOptions, runScript } from './run.ts';
import type { StackScript } from './script.ts';

export interface Shrunk {
  readonly script: StackScript;
  readonly runCount: number;
}

/** A run takes some hundred milliseconds. */
const RUN_COUNT_MAX = 300;
const STEP_MS = 10;

type Fails = (candidate: StackScript) => Promise<boolean>;

export async function shrink(
  script: StackScript,
  check: CheckId,
  options: RunOptions = {},
): Promise<Shrunk> {
  let runCount = 0;
  const fails = async (candidate: StackScript): Promise<boolean> => {
    if (runCount >= RUN_COUNT_MAX) return false;
    runCount++;
    return (await runScript(candidate, options)).violation?.check === check;
  };
  const { violation } = await runScript(script, options);
  let best = await cutTime(script, violation?.atMs ?? script.chaosMs, fails);
  best = await withoutKinds(best, fails);
  const withFaults = (faults: StackScript['faults']): StackScript => ({ ...best, faults });
  best = withFaults(await ddmin(best.faults, (faults) => fails(withFaults(faults))));
  const withOperations = (operations: NonNullable<StackScript['operations']>): StackScript => ({
    ...best,
    operations,
  });
  const { operations } = best;
  if (operations != null) {
    best = withOperations(await ddmin(operations, (left) => fails(withOperations(left))));
  }
  best = await withFewerClients(best, fails);
  return { script: best, runCount };
}

/** Ends the storm with the violation; what would come later cannot matter. */
async function cutTime(script: StackScript, atMs: number, fails: Fails): Promise<StackScript> {
  const chaosMs = Math.ceil(atMs / STEP_MS) * STEP_MS + STEP_MS;
  if (chaosMs >= script.chaosMs) return script;
  const faults = script.faults.filter((fault) => fault.atMs <= chaosMs);
  const operations = script.operations?.filter((operation) => operation.atMs <= chaosMs) ?? null;
  const shorter = { ...script, chaosMs, faults, operations };
  return (await fails(shorter)) ? shorter : script;
}

async function withoutKinds(script: StackScript, fails: Fails): Promise<StackScript> {
  let best = script;
  for (const dropped of new Set(script.faults.map(({ kind }) => kind))) {
    const candidate = { ...best, faults: best.faults.filter(({ kind }) => kind !== dropped) };
    if (await fails(candidate)) best = candidate;
  }
  return best;
}

async function withFewerClients(script: StackScript, fails: Fails): Promise<StackScript> {
  let best = script;
  for (const producers of [1, 2, 4]) {
    if (producers >= best.producers) break;
    const candidate = { ...best, producers };
    if (!(await fails(candidate))) continue;
    best = candidate;
    break;
  }
  const alone = { ...best, consumers: 1 };
  return best.consumers > 1 && (await fails(alone)) ? alone : best;
}

/**
 * Zeller's delta debugging, complements only.
 *
 * @returns a subsequence that still fails and from which no single item can go, budget permitting
 */
async function ddmin<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  if (items.length === 0 || (await fails([]))) return [];
  let kept = items;
  let partCount = 2;
  while (kept.length >= 2) {
    const partSize = Math.ceil(kept.length / partCount);
    const smaller = await firstFailing(kept, partSize, fails);
    if (smaller !== null) {
      kept = smaller;
      partCount = Math.max(2, partCount - 1);
    } else if (partSize === 1) {
      return kept;
    } else {
      partCount = Math.min(kept.length, partCount * 2);
    }
  }
  return kept;
}

async function firstFailing<T>(
  items: readonly T[],
  partSize: number,
  fails: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[] | null> {
  for (let at = 0; at < items.length; at += partSize) {
    const candidate = [...items.slice(0, at), ...items.slice(at + partSize)];
    if (await fails(candidate)) return candidate;
  }
  return null;
}
