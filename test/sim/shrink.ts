/**
 * Makes a failing script small: drops whole kinds of faults and of client operations, then parts of
 * the two scripts (ddmin), then time. A smaller script counts when it breaks the same invariant.
 */
import type { InvariantId } from './checkers/violation.ts';
import type { FaultKind } from './fault-script.ts';
import { type RunOptions, runScript } from './run.ts';
import type { Script } from './world.ts';

export interface Shrunk {
  readonly script: Script;
  readonly runCount: number;
}

const RUN_COUNT_MAX = 2_000;
/** Time left after the violation, for the runs that break it a little later. */
const SPARE_MS = 1_000;

export function shrink(script: Script, invariant: InvariantId, options: RunOptions): Shrunk {
  let runCount = 0;
  const fails = (candidate: Script): boolean => {
    if (runCount >= RUN_COUNT_MAX) return false;
    runCount++;
    return runScript(candidate, options).violation?.invariant === invariant;
  };
  let best = withoutKinds(cutTime(script, invariant, options), fails);
  for (;;) {
    // Each round makes the script smaller; ends when a round does not.
    const before = best.faults.length + best.ops.length;
    const withFaults = (faults: Script['faults']): Script => ({ ...best, faults });
    best = withFaults(ddmin(best.faults, (faults) => fails(withFaults(faults))));
    const withOps = (ops: Script['ops']): Script => ({ ...best, ops });
    best = withOps(ddmin(best.ops, (ops) => fails(withOps(ops))));
    if (best.faults.length + best.ops.length === before) return { script: best, runCount };
  }
}

/** Ends the chaos soon after the violation; what comes later cannot matter. */
function cutTime(script: Script, invariant: InvariantId, options: RunOptions): Script {
  const { violation } = runScript(script, options);
  const endMs = Math.ceil((violation?.atMs ?? script.profile.chaosMs) + SPARE_MS);
  if (endMs >= script.profile.chaosMs) return script;
  const shorter: Script = {
    ...script,
    profile: { ...script.profile, chaosMs: endMs },
    faults: script.faults.filter(({ atMs }) => atMs < endMs),
    ops: script.ops.filter(({ atMs }) => atMs < endMs),
  };
  return runScript(shorter, options).violation?.invariant === invariant ? shorter : script;
}

function withoutKinds(script: Script, fails: (candidate: Script) => boolean): Script {
  let best = script;
  const kinds = new Set<FaultKind>(script.faults.map(({ kind }) => kind));
  for (const dropped of kinds) {
    const candidate = { ...best, faults: best.faults.filter(({ kind }) => kind !== dropped) };
    if (fails(candidate)) best = candidate;
  }
  for (const dropped of new Set(script.ops.map(({ kind }) => kind))) {
    const candidate = { ...best, ops: best.ops.filter(({ kind }) => kind !== dropped) };
    if (fails(candidate)) best = candidate;
  }
  return best;
}

/**
 * Zeller's delta debugging, complements only.
 *
 * @returns a subsequence that still fails and from which no single item can go, budget permitting
 */
export function ddmin<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => boolean,
): readonly T[] {
  if (items.length === 0 || fails([])) return [];
  let kept = items;
  let partCount = 2;
  while (kept.length >= 2) {
    const partSize = Math.ceil(kept.length / partCount);
    const smaller = complements(kept, partSize).find((candidate) => fails(candidate));
    if (smaller !== undefined) {
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

function complements<T>(items: readonly T[], partSize: number): readonly (readonly T[])[] {
  const result: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += partSize) {
    result.push([...items.slice(0, at), ...items.slice(at + partSize)]);
  }
  return result;
}
