/**
 * What operators type in a run, drawn from the seed before it starts. A line says what kind of thing is asked
 * for, and carries all of its chance; which nodes it is about is found when it is typed, because it depends on
 * who is there.
 */
import { Prng } from '../../src/base/prng.ts';
import type { StackProfile } from './profiles.ts';

export const OPERATION_KINDS = [
  // What makes sense, more or less.
  'add',
  'promote',
  'remove',
  'removeDead',
  'replace',
  'replaceDead',
  'replaceLeader',
  'transfer',
  'drain',
  'undrain',
  'unlock',
  /** What the other operator has typed, or what oneself has. */
  'same',
  'again',
  // What does not.
  'unknown',
  'tombstoned',
  'itself',
  'usedAddress',
  'staleConfig',
  /** With the token of another one, or a store that was here before. */
  'rogueJoin',
] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

export interface StackOperation {
  readonly kind: OperationKind;
  readonly atMs: number;
  readonly operator: 0 | 1;
  readonly salt: number;
  readonly steals: boolean;
  /** Takes every risk that may be allowed. */
  readonly dares: boolean;
}

const STEP_MS = 10;
/** How often each is drawn: what leads somewhere, so that there is something to go wrong. */
const WEIGHTS: Readonly<Record<OperationKind, number>> = {
  ...{ add: 10, promote: 10, remove: 5, removeDead: 3, replace: 8, replaceDead: 5 },
  ...{ replaceLeader: 4, transfer: 4, drain: 2, undrain: 3, unlock: 2, same: 4, again: 5 },
  ...{ unknown: 1, tombstoned: 2, itself: 1, usedAddress: 1, staleConfig: 3, rogueJoin: 5 },
};
const BAG = OPERATION_KINDS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind));

export function operationScriptOf(
  seed: number,
  { name, chaosMs, operations }: StackProfile,
): readonly StackOperation[] {
  if (operations === null) return [];
  const random = new Prng(seed, `operations-${name}`);
  const { gapMsMin, gapMsMax } = operations;
  const gapMs = gapMsMin + random.below(gapMsMax - gapMsMin);
  const count = Math.round(chaosMs / gapMs);
  const drawn = Array.from({ length: count }, (_, number): StackOperation => {
    const own = new Prng(seed, `operation-${name}-${number}`);
    return {
      kind: own.pick(BAG),
      atMs: STEP_MS * (50 + own.below(chaosMs / STEP_MS - 50)),
      operator: own.chance(1, 2) ? 0 : 1,
      salt: own.nextU32(),
      steals: own.chance(1, 4),
      dares: own.chance(3, 4),
    };
  });
  return drawn.sort((a, b) => a.atMs - b.atMs);
}
