/** Members that come and go, and majorities that are lost: more seeds than `npm test` has time for. */

import { STACK_PROFILES } from './profiles.ts';
import { isLong, keepsPromises } from './promises-test.ts';

const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);

for (const profile of STACK_PROFILES.filter(isLong)) keepsPromises(profile, SEEDS);
