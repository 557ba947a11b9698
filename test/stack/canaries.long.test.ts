/** Planted bugs of administration and of recovery after the loss of a majority: each must be found. */
import { testCanary } from './canary-test.ts';
import { LOSS_CANARIES } from './loss-canaries.ts';
import { MEMBERSHIP_CANARIES } from './membership-canaries.ts';

for (const canary of [...MEMBERSHIP_CANARIES, ...LOSS_CANARIES]) testCanary(canary);
