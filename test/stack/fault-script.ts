/**
 * The faults of a run, drawn from the seed before it starts. Every fault carries all of its own
 * chance, so that a shrinker may drop some without changing the others.
 *
 * The budget: whatever takes away what a node has promised (rot, a wiped or older directory, a lost
 * superblock or base) strikes one node of a run, the weak one. All that was acknowledged must then survive.
 */
import { Prng } from '../../src/base/prng.ts';
import type { StackProfile } from './profiles.ts';
import { NODE_COUNT, ROUNDS_PER_STEP, STEP_MS } from './stack-world.ts';

/** A node by its place (0-based), or whoever leads when the fault strikes. */
export type Target = number | 'leader';

interface Struck {
  /** Chance of its own, for what only the moment can decide. */
  readonly salt: number;
  /** After the start, and in which round of that step. */
  readonly atMs: number;
  readonly round: number;
}

interface OnNode extends Struck {
  readonly target: Target;
}

interface OnWeakNode extends Struck {
  readonly target: number;
  readonly downMs: number;
}

export type StackFault =
  // Processes.
  | (OnNode & { readonly kind: 'kill' | 'powerCut' | 'stop'; readonly downMs: number })
  | (OnNode & { readonly kind: 'killThenPowerCut'; readonly downMs: number })
  | (Struck & { readonly kind: 'killAll' | 'powerCutAll'; readonly downMs: readonly number[] })
  /** The machine loses its power so many rounds after its node does what `moment` names. */
  | (OnNode & {
      readonly kind: 'trap';
      readonly moment: Moment;
      readonly afterRounds: number;
      readonly downMs: number;
    })
  // Network.
  | (OnNode & { readonly kind: 'isolate' | 'deaf' | 'mute'; readonly forMs: number })
  | (OnNode & { readonly kind: 'cutPair' | 'cutOneWay' | 'breakStream'; readonly forMs: number })
  | (Struck & { readonly kind: 'slowNetwork'; readonly eagerness: number; readonly forMs: number })
  | (Struck & { readonly kind: 'bitFlips'; readonly per10000: number; readonly forMs: number })
  // Disks.
  | (OnNode & { readonly kind: 'slowDisk' | 'hungDisk' | 'fullDisk'; readonly forMs: number })
  | (OnNode & {
      readonly kind: 'syncError' | 'writeError' | 'readError';
      /** So many operations still succeed. */
      readonly after: number;
    })
  | (OnNode & { readonly kind: 'deleteDerived'; readonly downMs: number })
  | (OnWeakNode & { readonly kind: 'superblock'; readonly slots: readonly number[] })
  /** Of the two copies of the base. */
  | (OnWeakNode & { readonly kind: 'base'; readonly copies: readonly number[] })
  | (OnWeakNode & {
      readonly kind: 'rot';
      /** Of what, and how: damage.ts says what each must lead to. */
      readonly how: RotKind;
    })
  /** Its time passes at another rate, in tenths. */
  | (OnNode & { readonly kind: 'clockRate'; readonly tenths: number; readonly forMs: number })
  /** A machine is off for long, and when the group can spare it, it comes back with an empty disk. */
  | (OnNode & { readonly kind: 'loseDisk' })
  // Identity.
  | (OnWeakNode & {
      readonly kind: 'wipe';
      /** The old directory is there again after this time; null: it is gone for good. */
      readonly remountAfterMs: number | null;
    })
  | (OnWeakNode & {
      readonly kind: 'olderImage';
      readonly restoreAfterMs: number;
      /** It is put off until the directory has booted so often since that all must know. */
      readonly isOutdone: boolean;
    })
  | (OnWeakNode & { readonly kind: 'clone'; readonly forMs: number })
  | (OnWeakNode & { readonly kind: 'swap'; readonly with: number; readonly forMs: number })
  | (OnWeakNode & {
      readonly kind: 'wrongCluster';
      readonly isEmpty: boolean;
      readonly forMs: number;
    });

export type Moment =
  | ('votes' | 'acknowledges' | 'cuts' | 'wins' | 'boots')
  /** A snapshot is taken; the log begins later; one is got; takes the place of the log; of the state. */
  | ('snapshots' | 'compacts' | 'pulls' | 'installs' | 'rebuilds')
  /** A membership goes to its disk; the group has taken it in. */
  | ('decides' | 'joins');

export type StackFaultKind = StackFault['kind'];

export const ROT_KINDS = ['bit', 'staleSector', 'misdirected', 'headerCopy', 'beyondEnd'] as const;
export type RotKind = (typeof ROT_KINDS)[number];

const STALL_MS_MAX = 5_000;
/** Damage comes when the nodes have met: before that there is nothing to damage. */
const DAMAGE_FROM_MS = 1_500;

export function faultScriptOf(seed: number, profile: StackProfile): readonly StackFault[] {
  const random = new Prng(seed, 'faults');
  const weak = random.below(NODE_COUNT);
  const kinds = profile.kinds.filter(() => random.chance(profile.enabledPer10, 10));
  if (kinds.length === 0) kinds.push(random.pick(profile.kinds));
  const { gapMsMin, gapMsMax } = profile;
  const gapMs = gapMsMin + random.below(gapMsMax - gapMsMin);
  const faults: StackFault[] = [];
  for (const kind of kinds) {
    // A stream per kind: a change of one leaves the others as they were.
    const own = new Prng(seed, `faults-${kind}`);
    const mean = profile.chaosMs / gapMs / kinds.length;
    const count = own.below(Math.max(1, Math.round(2 * mean)) + 1);
    for (let i = 0; i < count; i++) faults.push(drawFault(kind, own, { ...profile, weak }));
  }
  const timeOf = ({ atMs, round }: StackFault) => atMs * ROUNDS_PER_STEP + round;
  return faults.sort((a, b) => timeOf(a) - timeOf(b));
}

function drawFault(
  kind: StackFaultKind,
  random: Prng,
  { chaosMs, weak, leaderPer10, moments, downMsMax }: StackProfile & { readonly weak: number },
): StackFault {
  const anyTime = STEP_MS * random.below(chaosMs / STEP_MS);
  const lateMs = DAMAGE_FROM_MS + STEP_MS * random.below((chaosMs - DAMAGE_FROM_MS) / STEP_MS);
  const struck = { salt: random.nextU32(), round: random.below(ROUNDS_PER_STEP) };
  const target: Target = random.chance(leaderPer10, 10) ? 'leader' : random.below(NODE_COUNT);
  const anyone = { ...struck, atMs: anyTime, target };
  const downMs = 20 + random.below(downMsMax);
  const forMs = 20 + random.below(downMsMax);
  const onWeak = { ...struck, atMs: lateMs, target: weak, downMs };
  switch (kind) {
    case 'kill':
    case 'powerCut':
    case 'stop':
    case 'killThenPowerCut':
      return { kind, ...anyone, downMs };
    case 'trap': {
      const moment = random.pick(moments);
      // A cut is over in a few steps of the disk.
      const afterRounds = random.below(moment === 'cuts' ? 3 : 8);
      return { kind, ...anyone, moment, afterRounds, downMs };
    }
    case 'killAll':
    case 'powerCutAll': {
      const downTimes = Array.from({ length: NODE_COUNT }, () => 20 + random.below(downMsMax));
      return { kind, ...struck, atMs: anyTime, downMs: downTimes };
    }
    case 'isolate':
    case 'deaf':
    case 'mute':
    case 'cutPair':
    case 'cutOneWay':
    case 'breakStream':
    case 'slowDisk':
      return { kind, ...anyone, forMs };
    case 'hungDisk':
    case 'fullDisk':
      return { kind, ...anyone, forMs: 20 + random.below(STALL_MS_MAX) };
    case 'slowNetwork':
      return { kind, ...struck, atMs: anyTime, eagerness: 1 + random.below(3), forMs };
    case 'bitFlips':
      return { kind, ...struck, atMs: anyTime, per10000: 10 + random.below(500), forMs };
    case 'syncError':
    case 'writeError':
    case 'readError':
      return { kind, ...anyone, after: random.below(6) };
    case 'clockRate':
      return { kind, ...anyone, tenths: 5 + random.below(11), forMs };
    case 'loseDisk':
      return { kind, ...anyone };
    case 'deleteDerived':
      return { kind, ...anyone, downMs };
    case 'superblock':
      return { kind, ...onWeak, slots: random.pick([[0], [1], [0], [1], [0, 1]]) };
    case 'base':
      return { kind, ...onWeak, copies: random.pick([[0], [1], [0, 1]]) };
    case 'rot':
      return { kind, ...onWeak, how: random.pick(ROT_KINDS) };
    case 'wipe': {
      const remountAfterMs = random.chance(1, 2) ? 100 + random.below(2_000) : null;
      return { kind, ...onWeak, remountAfterMs };
    }
    case 'olderImage':
      return {
        ...{ kind, ...onWeak, atMs: anyTime, restoreAfterMs: 100 + random.below(3_000) },
        isOutdone: random.chance(3, 4),
      };
    case 'clone':
      return { kind, ...onWeak, forMs: 100 + random.below(2_000) };
    case 'swap':
      return { kind, ...onWeak, with: (weak + 1 + random.below(NODE_COUNT - 1)) % 3, forMs };
    case 'wrongCluster':
      return { kind, ...onWeak, isEmpty: random.chance(1, 2), forMs: 100 + random.below(2_000) };
  }
}
