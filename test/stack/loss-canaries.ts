/** Planted mistakes of recovering a group that lost its majority, and what must find them (canaries.ts). */
import { LogIndex } from '../../src/base/units.ts';
import type { StackCanary, StackWitness } from './canaries.ts';
import type { CheckId } from './check-id.ts';
import { membershipAsWas } from './planted/careless-recovery.ts';
import { NO_BUGS } from './stack-bugs.ts';

const SEED_COUNT_MAX = 60;

function witness(
  profile: string,
  foundBy: readonly CheckId[],
  fromSeed: number,
  muted: readonly CheckId[] = [],
): StackWitness {
  return { profile, foundBy, muted, fromSeed, seedCountMax: SEED_COUNT_MAX };
}

export const LOSS_CANARIES: readonly StackCanary[] = [
  {
    id: 'proves-all',
    bug: 'A survivor says that all it holds is proven committed',
    bugs: {
      ...NO_BUGS,
      wrapSurvivor: (survivor) => ({ ...survivor, provenCommitIndex: survivor.lastIndex }),
    },
    witnesses: [witness('quorum-loss', ['Q1', 'Q2'], 4), witness('quorum-loss', ['Q2'], 4, ['Q1'])],
  },
  {
    id: 'bound-of-half',
    bug: 'The time in which something may have been lost is told too short',
    bugs: {
      ...NO_BUGS,
      wrapSurvivor: ({ traffic, ...survivor }) => {
        const { provenAtMs } = traffic;
        const later = provenAtMs === null ? null : provenAtMs + 1_000;
        return { ...survivor, traffic: { ...traffic, provenAtMs: later } };
      },
    },
    witnesses: [witness('quorum-loss', ['Q3'], 5)],
  },
  {
    id: 'old-members-stay',
    bug: 'Who was lost is a member of the recovered group',
    bugs: {
      ...NO_BUGS,
      wrapTask: (task, plan) => ({ ...task, membership: membershipAsWas(plan) }),
    },
    witnesses: [witness('quorum-loss', ['Q4'], 1)],
  },
  {
    id: 'same-cluster',
    bug: 'The recovered group keeps its cluster id',
    bugs: {
      ...NO_BUGS,
      wrapTask: (task, { winner }) => ({ ...task, newClusterId: winner.clusterId }),
    },
    witnesses: [witness('quorum-loss', ['Q4', 'Q5', 'F1'], 1)],
  },
  {
    id: 'log-cut',
    bug: 'A recovery counts as proven, and so as kept, only what it can prove, and says nothing of the rest',
    bugs: {
      ...NO_BUGS,
      wrapSurvivor: (survivor) => ({
        ...survivor,
        lastIndex: LogIndex(Math.max(1, survivor.provenCommitIndex)),
      }),
    },
    witnesses: [witness('quorum-loss', ['Q2'], 1)],
  },
];
