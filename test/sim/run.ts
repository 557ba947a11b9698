/** One run: from a seed or a script to a verdict with numbers. */
import { InvariantError } from '../../src/base/assert.ts';
import { INVARIANTS, type InvariantId, Judge, Violation } from './checkers/violation.ts';
import { clientScriptOf } from './client-script.ts';
import { faultScriptOf } from './fault-script.ts';
import type { Mark } from './marks.ts';
import { NO_BUGS, type PlantedBugs } from './planted-bugs.ts';
import { type Profile, weatherOf } from './profile.ts';
import { type OpCounts, type Script, World } from './world.ts';

export interface RunOptions {
  readonly bugs?: PlantedBugs;
  /** Invariants that say nothing, so that a later witness must find the bug. */
  readonly muted?: readonly InvariantId[];
}

export interface FoundViolation {
  readonly invariant: InvariantId;
  readonly message: string;
  readonly atMs: number;
  /** The last events before it. */
  readonly trace: readonly string[];
}

export interface RunResult {
  readonly ok: boolean;
  readonly violation: FoundViolation | null;
  readonly events: number;
  readonly simulatedMs: number;
  /** How many faults struck, by kind. */
  readonly faults: ReadonlyMap<string, number>;
  /** How often each situation of note was met. */
  readonly marks: ReadonlyMap<Mark, number>;
  readonly ops: Readonly<OpCounts>;
  readonly committedIndex: number;
  /** Equal for equal runs. */
  readonly digest: string;
}

export function scriptOf(seed: number, profile: Profile): Script {
  const weather = weatherOf(seed, profile);
  return {
    seed,
    profile: weather,
    faults: faultScriptOf(seed, weather),
    ops: clientScriptOf(seed, weather),
  };
}

export function runSeed(seed: number, profile: Profile, options: RunOptions = {}): RunResult {
  return runScript(scriptOf(seed, profile), options);
}

export function runScript(script: Script, options: RunOptions = {}): RunResult {
  const world = new World(script, options.bugs ?? NO_BUGS, new Judge(options.muted ?? []));
  const violation = violationOf(world);
  return {
    ok: violation === null,
    violation,
    events: world.eventCount,
    simulatedMs: world.nowMs,
    faults: world.faults.counts,
    marks: world.marks.counts,
    ops: world.opCounts,
    committedIndex: world.history.lastIndex,
    digest: world.digest,
  };
}

function violationOf(world: World): FoundViolation | null {
  try {
    world.run();
    return null;
  } catch (error) {
    const where = { atMs: world.nowMs, trace: world.trace.lines() };
    if (error instanceof Violation) {
      return { invariant: error.invariant, message: error.message, ...where };
    }
    if (!(error instanceof InvariantError)) throw error;
    const message = `core ${INVARIANTS.core}: ${error.stack ?? error.message}`;
    return { invariant: 'core', message, ...where };
  }
}

/** The one line that runs a failing seed again. */
export function replayLine(seed: number, profile: Profile): string {
  return `npm run sim -- --seed ${seed} --profile ${profile.name}`;
}
