/** All that a run is made from: a seed's, or what a shrinker has left of it. */
import { faultScriptOf, type StackFault } from './fault-script.ts';
import { operationScriptOf, type StackOperation } from './operation-script.ts';
import type { LossProfile, StackProfile } from './profiles.ts';

export interface StackScript {
  /** Of clocks, network, disks and clients; the faults below are drawn already. */
  readonly seed: number;
  readonly profile: string;
  readonly chaosMs: number;
  readonly producers: number;
  readonly consumers: number;
  /** Of the log so much stays, once it is consumed; null, or in older scripts nothing: everything. */
  readonly retentionSizeBytes?: number | null;
  /** Left out in older scripts: three. */
  readonly founderCount?: number;
  /** Left out: nobody is lost for good. */
  readonly loss?: LossProfile | null;
  readonly faults: readonly StackFault[];
  /** What operators type; null, or in older scripts nothing: there are none. */
  readonly operations?: readonly StackOperation[] | null;
}

export function scriptOf(seed: number, profile: StackProfile): StackScript {
  const { name, chaosMs, consumers, producersMax, retentionSizeBytes } = profile;
  const producers = 1 + (seed % producersMax);
  const faults = faultScriptOf(seed, profile);
  const operations = profile.operations === null ? null : operationScriptOf(seed, profile);
  return {
    ...{ seed, profile: name, chaosMs, producers, consumers, retentionSizeBytes },
    ...{ founderCount: profile.founderCount, loss: profile.loss, faults, operations },
  };
}
