/**
 * `npm run sim -- [--minutes N] [--from S] [--seed S] [--profile P] [--canary ID]`
 *
 * Without a seed it runs seed after seed over the profiles until the time is up. A failing seed is
 * shrunk, kept under test/sim/regressions/, and printed as the line that replays it; exit code 1. A
 * long run over all profiles fails as well when a situation of marks.ts was never met.
 */
import { parseArgs } from 'node:util';
import { type Canary, canaryNamed, hunt, profileOf } from './canaries.ts';
import type { InvariantId } from './checkers/violation.ts';
import { PROFILES, type Profile, profileNamed } from './profiles.ts';
import { writeRegression } from './regression.ts';
import { type RunOptions, type RunResult, replayLine, runSeed, scriptOf } from './run.ts';
import { shrink } from './shrink.ts';
import { formatTable, Tally } from './tally.ts';
import type { Script } from './world.ts';

const MINUTE_MS = 60_000;
const PROGRESS_EVERY_MS = 10_000;
const TRACE_LINES_SHOWN = 40;
/** From so many minutes on every situation of note must have been met. */
const LONG_RUN_MINUTES = 10;
const MICROSECONDS_PER_MS = 1_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    from: { type: 'string' },
    seed: { type: 'string' },
    profile: { type: 'string' },
    canary: { type: 'string' },
  },
});

process.exitCode = main();

function main(): number {
  if (options.canary !== undefined) return keepCanary(canaryNamed(options.canary));
  const profiles =
    options.profile === undefined ? [...PROFILES.values()] : [profileNamed(options.profile)];
  if (options.seed !== undefined) return runOne(Number(options.seed), profiles);
  return runMany(profiles, Number(options.minutes));
}

function runOne(seed: number, profiles: readonly Profile[]): number {
  const tally = new Tally();
  for (const profile of profiles) {
    const startMs = cpuMs();
    const result = runSeed(seed, profile);
    tally.add(profile.name, result, cpuMs() - startMs);
    console.log(`${profile.name} seed ${seed}: digest ${result.digest}`);
    if (!result.ok) return fail(seed, profile, result);
  }
  console.log(formatTable(tally));
  return 0;
}

function runMany(profiles: readonly Profile[], minutes: number): number {
  // Another stretch of seeds in every run; the number is printed and can be given with --from.
  const firstSeed = Number(options.from ?? Date.now() % 1_000_000_000);
  console.log(`seeds from ${firstSeed}, profiles ${profiles.map(({ name }) => name).join(' ')}`);
  const tally = new Tally();
  const startMs = performance.now();
  let shownMs = startMs;
  for (let seed = firstSeed; ; seed++) {
    for (const profile of profiles) {
      const beforeMs = cpuMs();
      const result = runSeed(seed, profile);
      tally.add(profile.name, result, cpuMs() - beforeMs);
      if (!result.ok) return fail(seed, profile, result);
      const nowMs = performance.now();
      if (nowMs - startMs >= minutes * MINUTE_MS) {
        console.log(`seeds ${firstSeed} to ${seed}`);
        console.log(formatTable(tally));
        return judgeMarks(tally, profiles, minutes);
      }
      if (nowMs - shownMs >= PROGRESS_EVERY_MS) {
        shownMs = nowMs;
        console.log(tally.summary());
      }
    }
  }
}

/** What one core has done, whatever else the machine is busy with. */
function cpuMs(): number {
  return process.cpuUsage().user / MICROSECONDS_PER_MS;
}

function judgeMarks(tally: Tally, profiles: readonly Profile[], minutes: number): number {
  const missing = tally.missingMarks();
  if (minutes < LONG_RUN_MINUTES || profiles.length < PROFILES.size || missing.length === 0) {
    return 0;
  }
  console.log(`FAILED: never met: ${missing.join(', ')}`);
  return 1;
}

function fail(seed: number, profile: Profile, { violation }: RunResult): number {
  if (violation === null) return 0;
  console.log(violation.trace.slice(-TRACE_LINES_SHOWN).join('\n'));
  console.log(`at ${violation.atMs.toFixed(3)} ms: ${violation.message}`);
  const name = `${profile.name}-${seed}-${violation.invariant}`;
  keep(scriptOf(seed, profile), violation.invariant, { name, options: {}, canary: null });
  console.log(`FAILED ${violation.invariant}: ${replayLine(seed, profile)}`);
  return 1;
}

function keepCanary(canary: Canary): number {
  for (const [i, witness] of canary.witnesses.entries()) {
    const { violation, seed } = hunt(canary, witness);
    if (violation === null) {
      console.log(`${canary.id}: not found in ${seed} seeds of ${witness.profile}`);
      return 1;
    }
    console.log(`${canary.id}: ${violation.message} (seed ${seed} of ${witness.profile})`);
    const isLast = i === canary.witnesses.length - 1;
    if (!isLast) continue;
    const script = scriptOf(seed, profileOf(witness));
    const runOptions = { bugs: canary.bugs, muted: witness.muted };
    const name = `canary-${canary.id}`;
    keep(script, violation.invariant, { name, options: runOptions, canary: canary.id });
  }
  return 0;
}

interface Keepsake {
  readonly name: string;
  readonly options: RunOptions;
  readonly canary: string | null;
}

function keep(script: Script, invariant: InvariantId, keepsake: Keepsake): void {
  const shrunk = shrink(script, invariant, keepsake.options);
  const { faults, ops, profile } = shrunk.script;
  const note = `shrunk from ${script.faults.length} faults and ${script.ops.length} client operations`;
  const { name, canary } = keepsake;
  const path = writeRegression({ name, invariant, canary, note, script: shrunk.script });
  const left = `${faults.length} faults, ${ops.length} client operations, ${profile.chaosMs} ms`;
  console.log(`${path}: ${left} (${note}, ${shrunk.runCount} runs)`);
}
