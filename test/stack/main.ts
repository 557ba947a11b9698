/**
 * Whole nodes under storms, seed after seed:
 *
 *     node dist/test/stack/main.js [--minutes N] [--from S] [--profile P]   until the time is up
 *     node dist/test/stack/main.js --seed S [--profile P]                   the replay line of a failure
 *     node dist/test/stack/main.js --file F.json                            a kept script
 *     node dist/test/stack/main.js --canary ID                              hunts, shrinks and keeps
 *
 * A failing seed is shrunk, kept under test/stack/regressions/, and printed as the line that replays
 * it; exit code 1.
 */
import { parseArgs } from 'node:util';
import { hunt, type StackCanary, stackCanaryNamed } from './canaries.ts';
import { CHECKS } from './check-id.ts';
import { STACK_PROFILES, type StackProfile, stackProfileNamed } from './profiles.ts';
import { readRegression, writeRegression } from './regression.ts';
import { type RunOptions, type RunResult, replayLine, runScript, runSeed } from './run.ts';
import { scriptOf } from './script.ts';
import { shrink } from './shrink.ts';
import { StackTally } from './tally.ts';

const MINUTE_MS = 60_000;
const PROGRESS_EVERY_MS = 30_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    from: { type: 'string' },
    seed: { type: 'string' },
    profile: { type: 'string' },
    canary: { type: 'string' },
    file: { type: 'string' },
  },
});

process.exitCode = await main();

function main(): Promise<number> {
  const { canary, file, profile, seed, minutes } = options;
  if (canary !== undefined) return keepCanary(stackCanaryNamed(canary));
  if (file !== undefined) return replay(file);
  const profiles = profile === undefined ? STACK_PROFILES : [stackProfileNamed(profile)];
  if (seed !== undefined) return runOne(Number(seed), profiles);
  return runMany(profiles, Number(minutes) * MINUTE_MS);
}

async function runOne(seed: number, profiles: readonly StackProfile[]): Promise<number> {
  const tally = new StackTally();
  for (const profile of profiles) {
    const startMs = performance.now();
    const result = await runSeed(seed, profile);
    tally.add(result, performance.now() - startMs);
    console.log(`${profile.name} seed ${seed}: digest ${result.digest}`);
    if (result.violation !== null) return fail(result, profile);
  }
  console.log(tally.table());
  return 0;
}

async function runMany(profiles: readonly StackProfile[], budgetMs: number): Promise<number> {
  // Another stretch of seeds in every run; the number is printed and can be given with --from.
  const firstSeed = Number(options.from ?? Date.now() % 1_000_000_000);
  console.log(`seeds from ${firstSeed}, profiles ${profiles.map(({ name }) => name).join(' ')}`);
  const tally = new StackTally();
  const startMs = performance.now();
  let shownMs = startMs;
  for (let seed = firstSeed; ; seed++) {
    for (const profile of profiles) {
      const beforeMs = performance.now();
      const result = await runSeed(seed, profile);
      const afterMs = performance.now();
      tally.add(result, afterMs - beforeMs);
      if (result.violation !== null) {
        console.log(tally.table());
        return fail(result, profile);
      }
      if (afterMs - startMs >= budgetMs) {
        console.log(`seeds ${firstSeed} to ${seed}\n${tally.table()}`);
        return 0;
      }
      if (afterMs - shownMs < PROGRESS_EVERY_MS) continue;
      shownMs = afterMs;
      console.log(tally.table());
    }
  }
}

async function replay(file: string): Promise<number> {
  const { script, canary, name } = readRegression(file);
  const bugs = canary === null ? {} : { bugs: stackCanaryNamed(canary).bugs };
  const result = await runScript(script, bugs);
  console.log(`${name}: ${describe(result)}`);
  return result.violation === null ? 0 : 1;
}

async function fail(result: RunResult, profile: StackProfile): Promise<number> {
  const { seed, violation } = result;
  if (violation === null) return 0;
  console.log(describe(result));
  await keep(result, profile, { options: {}, canary: null });
  console.log(`FAILED ${violation.check}: ${replayLine(seed, profile.name)}`);
  return 1;
}

async function keepCanary(canary: StackCanary): Promise<number> {
  for (const [place, witness] of canary.witnesses.entries()) {
    const found = await hunt(canary, witness);
    if (found === null) {
      console.log(`${canary.id}: not found in ${witness.seedCountMax} seeds of ${witness.profile}`);
      return 1;
    }
    console.log(`${canary.id}: seed ${found.seed} of ${witness.profile}: ${describe(found)}`);
    if (place > 0) continue;
    const runOptions = { bugs: canary.bugs, muted: witness.muted };
    const profile = stackProfileNamed(witness.profile);
    await keep(found, profile, { options: runOptions, canary: canary.id });
  }
  return 0;
}

interface Keepsake {
  readonly options: RunOptions;
  readonly canary: string | null;
}

async function keep(result: RunResult, profile: StackProfile, how: Keepsake): Promise<void> {
  const { seed, violation } = result;
  if (violation === null) return;
  const script = scriptOf(seed, profile);
  const { check } = violation;
  const shrunk = await shrink(script, check, how.options);
  const { faults, producers, chaosMs } = shrunk.script;
  const { canary } = how;
  const name = canary === null ? `${profile.name}-${seed}-${check}` : `canary-${canary}`;
  const note = `shrunk from ${script.faults.length} faults: ${violation.sentence.split('\n')[0]}`;
  const path = writeRegression({ name, check, canary, note, script: shrunk.script });
  const left = `${faults.length} faults, ${producers} producers, ${chaosMs} ms`;
  console.log(`${path}: ${left} (from ${script.faults.length} faults in ${shrunk.runCount} runs)`);
}

function describe({ violation, digest, eventCount, simulatedMs }: RunResult): string {
  if (violation === null) return `clean, ${eventCount} events, ${simulatedMs} ms, digest ${digest}`;
  const { check, atMs, sentence } = violation;
  return `${check} (${CHECKS[check]}) at ${atMs} ms after ${violation.eventCount} events: ${sentence}`;
}
