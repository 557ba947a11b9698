/** All that a run is made from: a seed's, or what a shrinker has left of it. */
import { faultScriptOf, type StackFault } from './fault-script.ts';
import type { StackProfile } from './profiles.ts';

export interface StackScript {
  /** Of clocks, network, disks and clients; the faults below are drawn already. */
  readonly seed: number;
  readonly profile: string;
  readonly chaosMs: number;
  readonly producers: number;
  readonly consumers: number;
  /** Of the log so much stays, once it is consumed; null, or in older scripts nothing: everything. */
  readonly retentionSizeBytes?: number | null;
  readonly faults: readonly StackFault[];
}

export function scriptOf(seed: number, profile: StackProfile): StackScript {
  const { name, chaosMs, consumers, producersMax, retentionSizeBytes } = profile;
  const producers = 1 + (seed % producersMax);
  const faults = faultScriptOf(seed, profile);
  return { seed, profile: name, chaosMs, producers, consumers, retentionSizeBytes, faults };
}
