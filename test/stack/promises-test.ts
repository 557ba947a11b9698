/** What is asserted of seeds with operators, or with a majority that is lost. */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { StackProfile } from './profiles.ts';
import { replayLine, runSeed } from './run.ts';

/** Runs of these take longer, and are fewer in `npm test`. */
export function isLong({ operations, loss }: StackProfile): boolean {
  return operations !== null || loss !== null;
}

export function keepsPromises(profile: StackProfile, seeds: readonly number[]): void {
  test(`promises hold in ${seeds.length} runs of profile ${profile.name}`, async () => {
    for (const seed of seeds) {
      const result = await runSeed(seed, profile);
      equal(result.violation?.sentence, undefined, replayLine(seed, profile.name));
      const [deeds, what] =
        profile.loss === null
          ? [result.configs, 'memberships']
          : [result.commands.get('recoveries') ?? 0, 'recoveries'];
      ok(deeds > 0, `no ${what} in seed ${seed}`);
    }
  });
}
