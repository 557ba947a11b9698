import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CANARIES, hunt } from './canaries.ts';
import { profileNamed } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';

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
      const profile = profileNamed(witness.profile);
      const standard = runSeed(seed, profile);
      assert.ok(standard.ok, `${replayLine(seed, profile)}: ${standard.violation?.message}`);
    });
  }
}
