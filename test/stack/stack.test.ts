/**
 * Whole nodes under power cuts, kills, partitions, bad disks, wrong directories and operators, seed by seed.
 * `npm test` runs a few; the head of main.ts says how to run as many as one likes.
 */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { STACK_PROFILES, stackProfileNamed } from './profiles.ts';
import { isLong, keepsPromises } from './promises-test.ts';
import { replayLine, runSeed } from './run.ts';

const SEEDS_PER_PROFILE = 6;

for (const profile of STACK_PROFILES.filter((each) => !isLong(each))) {
  const seeds = Array.from({ length: SEEDS_PER_PROFILE }, (_, place) => place + 1);
  test(`what was acknowledged survives every storm of profile ${profile.name}`, async () => {
    let acknowledged = 0;
    const kinds = new Set<string>();
    for (const seed of seeds) {
      const result = await runSeed(seed, profile);
      equal(result.violation?.sentence, undefined, replayLine(seed, profile.name));
      acknowledged += result.acknowledged;
      for (const kind of result.faults.keys()) kinds.add(kind);
    }
    ok(acknowledged > 10 * seeds.length, `the storms let only ${acknowledged} messages through`);
    ok(2 * kinds.size > profile.kinds.length, `only ${[...kinds]} ever struck`);
  });
}

// One each; of all profiles in stack.long.test.ts, and as many as one likes by main.ts.
for (const name of ['membership-crash', 'membership-retention', 'quorum-loss-five']) {
  keepsPromises(stackProfileNamed(name), [1]);
}

test('a seed is the same run every time', async () => {
  const names = ['membership-churn', 'quorum-loss'];
  const others = STACK_PROFILES.filter((profile) => !isLong(profile));
  for (const profile of [...others, ...names.map(stackProfileNamed)]) {
    const [first, second] = [await runSeed(7, profile), await runSeed(7, profile)];
    equal(first.digest, second.digest, profile.name);
    equal(first.eventCount, second.eventCount, profile.name);
  }
});

test('other seeds are other runs', async () => {
  const profile = stackProfileNamed('crash');
  const [first, second] = [await runSeed(21, profile), await runSeed(22, profile)];
  ok(first.digest !== second.digest);
});
