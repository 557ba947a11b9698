/**
 * Planted bugs and what must find them. A canary with several witnesses is hunted once per witness:
 * the narrow invariant that names the cause, and, with that one muted, the global one that sees the
 * damage. Without the second hunt a global checker that never fires would go unnoticed.
 */
import type { Canary, Witness } from './canary.ts';
import { IDENTITY_CASES, MEMBERSHIP_CASES, READ_CASES } from './canary-cases-group.ts';
import { DISK_CASES, ELECTION_CASES, LOG_CASES } from './canary-cases-log.ts';
import { profileOf } from './canary-profiles.ts';
import { type FoundViolation, runSeed } from './run.ts';

export type { Canary, Witness } from './canary.ts';
export { profileOf } from './canary-profiles.ts';

export const CANARIES: readonly Canary[] = [
  ...DISK_CASES,
  ...ELECTION_CASES,
  ...LOG_CASES,
  ...MEMBERSHIP_CASES,
  ...IDENTITY_CASES,
  ...READ_CASES,
];

export interface Hunt {
  /** Null: not found within the budget. */
  readonly violation: FoundViolation | null;
  readonly seed: number;
  /** Of the run that found it. */
  readonly eventCount: number;
}

/** Runs seeds 1, 2, ... until something is found. */
export function hunt(canary: Canary, witness: Witness): Hunt {
  const profile = profileOf(witness);
  const { bugs } = canary;
  for (let seed = 1; seed <= witness.seedCountMax; seed++) {
    const { violation, events } = runSeed(seed, profile, { bugs, muted: witness.muted });
    if (violation !== null) return { violation, seed, eventCount: events };
  }
  return { violation: null, seed: witness.seedCountMax, eventCount: 0 };
}

export function canaryNamed(id: string): Canary {
  const canary = CANARIES.find((candidate) => candidate.id === id);
  if (canary === undefined) {
    throw new Error(`Unknown canary ${id}: known are ${CANARIES.map((c) => c.id).join(', ')}`);
  }
  return canary;
}
