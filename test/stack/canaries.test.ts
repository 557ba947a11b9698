/** Each planted bug must be found, by the right check; and a hunt that sees nothing must say so. */
import { ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { hunt, huntStackCanary, STACK_CANARIES } from './canaries.ts';
import { CHECKS, type CheckId } from './check-id.ts';
import { stackProfileNamed } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';

const EVERYTHING = Object.keys(CHECKS) as CheckId[];

for (const canary of STACK_CANARIES) {
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

test('C40: where every check is blind, a planted bug is not found, and the hunt fails', async () => {
  const [canary] = STACK_CANARIES;
  ok(canary !== undefined);
  const [seeing] = canary.witnesses;
  const blind = { ...seeing, muted: EVERYTHING, seedCountMax: 2 };
  ok((await hunt(canary, blind)) === null);
  await rejects(huntStackCanary('C1', blind), /C1 is not found within 2 seeds/);
});
