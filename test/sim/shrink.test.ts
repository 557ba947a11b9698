import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canaryNamed, hunt, profileOf } from './canaries.ts';
import { profileNamed } from './profiles.ts';
import { readRegressions } from './regression.ts';
import { runScript, scriptOf } from './run.ts';
import { ddmin, shrink } from './shrink.ts';

test('ddmin keeps exactly the items that a failure needs', () => {
  const itemCount = 40;
  const items = Array.from({ length: itemCount }, (_, i) => i);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(itemCount - 1), { maxLength: 6 }), (needed) => {
      const kept = ddmin(items, (subset) => needed.every((item) => subset.includes(item)));
      assert.deepEqual(
        kept,
        needed.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 100 },
  );
});

test('a shrunk script is smaller and breaks the same invariant', () => {
  const canary = canaryNamed('C3');
  const witness = canary.witnesses[0]!; // every canary has one
  const { violation, seed } = hunt(canary, witness);
  assert.ok(violation !== null);
  const options = { bugs: canary.bugs, muted: witness.muted };
  const script = scriptOf(seed, profileOf(witness));
  const { script: small } = shrink(script, violation.invariant, options);

  assert.ok(small.faults.length <= 3, `${small.faults.length} faults are left`);
  assert.ok(small.faults.length < script.faults.length);
  assert.equal(runScript(small, options).violation?.invariant, violation.invariant);
  assert.ok(runScript(small).ok, 'without the bug the small script is clean');
});

for (const regression of readRegressions()) {
  test(`regression ${regression.name} stays fixed`, () => {
    const { violation } = runScript(regression.script);
    assert.equal(violation?.message, undefined);
  });
}

test('files of older days are read as complete scripts of today', () => {
  const regressions = readRegressions();
  assert.ok(regressions.length > 0);
  const known = Object.keys(profileNamed('calm-3')).sort();
  for (const { name, script } of regressions) {
    assert.deepEqual(Object.keys(script.profile).sort(), known, name);
    for (const { kind } of script.ops) assert.ok(kind !== undefined, name);
  }
});
