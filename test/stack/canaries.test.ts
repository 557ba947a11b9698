/** Each planted bug must be found, by the right check; and a hunt that sees nothing must say so. */
import { ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { hunt, huntStackCanary, STACK_CANARIES, stackCanaryNamed } from './canaries.ts';
import { testCanary } from './canary-test.ts';
import { CHECKS, type CheckId } from './check-id.ts';

const EVERYTHING = Object.keys(CHECKS) as CheckId[];
/** One of administration and one of recovery; all others of these are in canaries.long.test.ts. */
const SHORT = ['no-lock', 'old-members-stay'];

for (const canary of STACK_CANARIES) testCanary(canary);
for (const id of SHORT) testCanary(stackCanaryNamed(id));

test('C40: where every check is blind, a planted bug is not found, and the hunt fails', async () => {
  const [canary] = STACK_CANARIES;
  ok(canary !== undefined);
  const [seeing] = canary.witnesses;
  const blind = { ...seeing, muted: EVERYTHING, seedCountMax: 2 };
  ok((await hunt(canary, blind)) === null);
  await rejects(huntStackCanary('C1', blind), /C1 is not found within 2 seeds/);
});
