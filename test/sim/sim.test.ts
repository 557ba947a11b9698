import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARKS, RARE_MARKS } from './marks.ts';
import { weatherOf } from './profile.ts';
import { PROFILES, profileNamed } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';
import { formatTable, Tally } from './tally.ts';

const SEEDS = Array.from({ length: 5 }, (_, i) => i + 1);
const FAULT_KINDS = [
  'crash',
  'crashLeader',
  'trap',
  'partition',
  'isolate',
  'storm',
  'clog',
  'narrow',
  'replay',
  'stall',
  'pause',
  'wipe',
  'restore',
  'clone',
  'powerCut',
];

test('clusters keep every invariant and come to rest after the chaos', async (t) => {
  const tally = new Tally();
  for (const profile of PROFILES.values()) {
    await t.test(`${profile.name}, seeds ${SEEDS[0]} to ${SEEDS.at(-1)}`, () => {
      for (const seed of SEEDS) {
        const startMs = performance.now();
        const result = runSeed(seed, profile);
        tally.add(profile.name, result, performance.now() - startMs);
        assert.ok(result.ok, `${replayLine(seed, profile)}: ${result.violation?.message}`);
      }
    });
  }
  for (const line of formatTable(tally).split('\n')) t.diagnostic(line);

  await t.test('every kind of fault has struck', () => {
    for (const kind of FAULT_KINDS) assert.ok((tally.faults.get(kind) ?? 0) > 0, kind);
  });
  await t.test('every situation of note was met', () => {
    const missing = MARKS.filter((mark) => !RARE_MARKS.has(mark) && !tally.marks.has(mark));
    assert.deepEqual(missing, []);
  });
  await t.test('clients and operators got what they asked for', () => {
    const { acknowledged, readsAnswered, changesAccepted, transfersDone } = tally.total;
    for (const count of [acknowledged, readsAnswered, changesAccepted, transfersDone]) {
      assert.ok(count > 0);
    }
  });
});

test('a seed is a run: twice the same digest, another seed another digest', () => {
  for (const name of ['swarm-3', 'elections-5', 'slow-disk-3', 'membership-3', 'identity-3']) {
    const profile = profileNamed(name);
    const first = runSeed(77, profile);
    const second = runSeed(77, profile);
    const other = runSeed(78, profile);
    assert.equal(second.digest, first.digest);
    assert.equal(second.events, first.events);
    assert.notEqual(other.digest, first.digest);
  }
});

test('without faults the first leader stays and everything proposed is acknowledged', () => {
  for (const seed of SEEDS) {
    const profile = profileNamed('calm-3');
    const result = runSeed(seed, profile);
    // The second one leads after the power cut at the end.
    assert.equal(result.marks.get('elected'), 2, replayLine(seed, profile));
    assert.ok(result.ops.acknowledged > 500, replayLine(seed, profile));
  }
});

test('each seed of a swarm leaves out some kinds of trouble, and none is always left out', () => {
  const swarm = profileNamed('swarm-5');
  const kinds = Object.keys(swarm.rates) as (keyof typeof swarm.rates)[];
  const seen = new Set<string>();
  for (let seed = 1; seed <= 30; seed++) {
    const { rates } = weatherOf(seed, swarm);
    const chosen = kinds.filter((kind) => rates[kind] > 0);
    assert.ok(chosen.length < kinds.length, `seed ${seed}`);
    for (const kind of chosen) seen.add(kind);
  }
  assert.deepEqual([...seen].sort(), [...kinds].sort());
});
