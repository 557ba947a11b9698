/** What is asserted of a planted bug: it is found, by the right check, and the seed is clean without it. */
import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { hunt, type StackCanary } from './canaries.ts';
import { stackProfileNamed } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';

export function testCanary(canary: StackCanary): void {
  for (const witness of canary.witnesses) {
    const wanted = witness.foundBy.join(' or ');
    test(`${canary.id}: ${wanted} finds it in profile ${witness.profile}`, async (t) => {
      const found = await hunt(canary, witness);
      ok(found?.violation != null, `not found: ${canary.bug}`);
      const { check, eventCount, sentence } = found.violation;
      t.diagnostic(`seed ${found.seed}, after ${eventCount} events: ${sentence.split('\n')[0]}`);
      ok(witness.foundBy.includes(check), `found by ${check} instead of ${wanted}: ${sentence}`);

      // The seed that finds the bug is fair: without the bug it is clean.
      const standard = await runSeed(found.seed, stackProfileNamed(witness.profile));
      ok(standard.violation === null, replayLine(found.seed, witness.profile));
    });
  }
}
