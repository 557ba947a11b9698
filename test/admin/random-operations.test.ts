/** Random operations, right and wrong ones, with crashes at any step. One seed: SEED=n. */
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed, type Tally } from './random-operations.ts';

const SEEDS = 60;
const MUST_HAPPEN = [
  ...['crash', 'cut off', 'joined', 'told of its removal', 'timeout', 'unlock done'],
  ...[
    'several at once',
    'add done',
    'add refused',
    'promote done',
    'promote refused',
    'remove done',
    'remove refused',
  ],
  ...['replace pending', 'replace refused', 'transfer done', 'drain done', 'undrain done'],
];

test('whatever operators do and whoever crashes, the group goes on and loses nothing', async (t) => {
  const tally: Tally = new Map();
  const only = process.env['SEED'];
  const seeds =
    only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    try {
      await runSeed(seed, tally);
    } catch (error) {
      throw new Error(`SEED=${seed} npm run test:only -- admin/random`, { cause: error });
    }
  }
  t.diagnostic(
    [...tally]
      .sort()
      .map(([what, count]) => `${what} ${count}`)
      .join(', '),
  );
  if (only !== undefined) return;
  for (const what of MUST_HAPPEN) ok(tally.has(what), `${what} never happened`);
});
