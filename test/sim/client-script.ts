/**
 * What clients ask for, drawn before the run. A value is used once in a run: finding it twice in a
 * committed log is a violation.
 */
import { Prng } from '../../src/base/prng.ts';
import type { Profile } from './profiles.ts';

export interface ClientOp {
  readonly atMs: number;
  /** Travels as `payloadCrc`; unique in the run and never 0. */
  readonly values: readonly number[];
  readonly payloadSizeBytes: number;
  /** Chooses among the nodes that believe they lead, deposed ones included. */
  readonly choice: number;
}

const BATCH_COUNT_MAX = 3;

export function clientScriptOf(seed: number, profile: Profile): readonly ClientOp[] {
  const random = new Prng(seed, 'clients');
  const opCount = Math.round((profile.chaosMs / 1000) * profile.proposalsPerSecond);
  const times = Array.from({ length: opCount }, () => random.below(profile.chaosMs));
  times.sort((a, b) => a - b);
  let value = 1;
  return times.map((atMs) => {
    const count = 1 + random.below(BATCH_COUNT_MAX);
    const values = Array.from({ length: count }, () => value++);
    const payloadSizeBytes = 1 + random.below(profile.payloadSizeBytesMax);
    return { atMs, values, payloadSizeBytes, choice: random.nextU32() };
  });
}
