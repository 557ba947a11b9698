import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CANARIES, canaryNamed, hunt, profileOf } from './canaries.ts';
import { CANARY_PAGE, idsInPage, SOURCES, withTable } from './canary-table.ts';
import { allEdges } from './fault-script.ts';
import { NO_BUGS, type PlantedBugs } from './planted-bugs.ts';
import { profileNamed } from './profiles.ts';
import { replayLine, runScript, runSeed, scriptOf } from './run.ts';

for (const canary of CANARIES) {
  for (const witness of canary.witnesses) {
    const wanted = witness.foundBy.join(' or ');
    test(`${canary.id}: ${wanted} finds it within ${witness.seedCountMax} seeds`, (t) => {
      const { violation, seed } = hunt(canary, witness);
      assert.ok(violation !== null, `not found: ${canary.bug}`);
      t.diagnostic(`seed ${seed} of ${witness.profile}: ${violation.message.split('\n')[0]}`);
      assert.ok(
        witness.foundBy.includes(violation.invariant),
        `found by ${violation.invariant} instead of ${wanted}: ${violation.message}`,
      );

      // The seed that finds the bug is fair: without the bug it is clean.
      const profile = profileOf(witness);
      const standard = runSeed(seed, profile);
      assert.ok(standard.ok, `${replayLine(seed, profile)}: ${standard.violation?.message}`);
    });
  }
}

test('C31: a node that comes and goes unseats the leader when it does not ask before it campaigns', () => {
  const calm = scriptOf(1, profileNamed('calm-3'));
  const electionsOf = (place: number, bugs: PlantedBugs) => {
    const cut = allEdges(3).filter((edge) => edge.includes(place));
    const faults = [10_000, 20_000, 30_000, 40_000].map((atMs) => {
      return { kind: 'partition', atMs, durationMs: 5_000, shape: 'alone', cut } as const;
    });
    const { marks, violation } = runScript({ ...calm, faults }, { bugs, muted: ['E1'] });
    assert.equal(violation, null);
    return marks.get('elected') ?? 0;
  };
  const elections = [0, 1, 2].map((place) => electionsOf(place, NO_BUGS));
  // Some node never leads in this run: nobody minds when it goes.
  const follower = elections.indexOf(Math.min(...elections));
  const { bugs } = canaryNamed('C31');
  assert.ok(electionsOf(follower, bugs) >= electionsOf(follower, NO_BUGS) + 4);
});

test('the canaries of a simulator have different names', () => {
  for (const { ids } of SOURCES) assert.equal(new Set(ids).size, ids.length);
});

test('the page has a row for each canary and no other', () => {
  const page = readFileSync(CANARY_PAGE, 'utf8');
  const wanted = SOURCES.flatMap(({ ids }) => ids);
  assert.deepEqual([...idsInPage(page)].sort(), wanted.sort());
});

test('a new table takes the place of the old one', () => {
  const page = 'a\n<!-- canaries: begin -->\nold\n<!-- canaries: end -->\nz\n';
  const table = '| id | bug |\n| --- | --- |\n| C1 | one |\n|  |  |\n| two-b | two |';
  const once = withTable(page, table);
  assert.deepEqual(idsInPage(once), ['C1', 'two-b']);
  assert.equal(withTable(once, table), once);
  assert.ok(once.startsWith('a\n') && once.endsWith('\nz\n') && !once.includes('old'));
});
