/**
 * Whole nodes under power cuts, kills, partitions and slow disks, seed by seed. `npm test` runs a few;
 * `node dist/test/stack/main.js` runs as many as one likes (main.ts has the variables).
 */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { replayLine, runSeed } from './run.ts';

const SEEDS_PER_TEST = 10;
const TEST_COUNT = 4;

for (let part = 0; part < TEST_COUNT; part++) {
  const from = 1 + part * SEEDS_PER_TEST;
  test(`what was acknowledged survives every storm (seeds ${from} to ${from + SEEDS_PER_TEST - 1})`, async () => {
    let acknowledged = 0;
    for (let seed = from; seed < from + SEEDS_PER_TEST; seed++) {
      const result = await runSeed(seed);
      equal(result.violations.join('\n'), '', replayLine(seed));
      acknowledged += result.acknowledged;
    }
    ok(acknowledged > 10 * SEEDS_PER_TEST, `the storms let only ${acknowledged} messages through`);
  });
}

test('a seed is the same run every time', async () => {
  const [first, second] = [await runSeed(7), await runSeed(7)];
  equal(JSON.stringify(first), JSON.stringify(second));
});
