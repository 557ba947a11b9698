import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARKS, RARE_MARKS } from './marks.ts';
import { PROFILES, profileNamed } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';
import { formatTable, Tally } from './tally.ts';

const SEEDS = Array.from({ length: 30 }, (_, i) => i + 1);
const FAULT_KINDS = [
  'crash',
  'crashLeader',
  'trap',
  'partition',
  'isolate',
  'storm',
  'stall',
  'pause',
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
    const wanted = MARKS.filter((mark) => !RARE_MARKS.has(mark));
    for (const mark of wanted) assert.ok((tally.marks.get(mark) ?? 0) > 0, mark);
  });
});

test('a seed is a run: twice the same digest, another seed another digest', () => {
  for (const name of ['swarm-3', 'elections-5', 'slow-disk-3']) {
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
    assert.equal(result.marks.get('elected'), 1, replayLine(seed, profile));
    assert.ok(result.proposalsApplied > 500, replayLine(seed, profile));
  }
});
