/**
 * Planted bugs of storage, driver and handshake, and what must find them. A canary with several
 * witnesses is hunted once per witness: by the narrow check that names the cause, and, with that one
 * muted, by one that sees the damage. Without the second hunt a check that never fires would go
 * unnoticed. Ids: the list of re-injected bugs in docs/TESTING.md.
 */
import { standardStoreRules } from '../../src/store/store-rules.ts';
import type { CheckId } from './check-id.ts';
import { LOSS_CANARIES } from './loss-canaries.ts';
import { MEMBERSHIP_CANARIES } from './membership-canaries.ts';
import { servesBeforeNoop } from './planted/eager-leader.ts';
import {
  callsTimeoutsFailures,
  remembersWrites,
  showsUncommitted,
} from './planted/hasty-gateway.ts';
import { countsOnlyTheLeader } from './planted/lone-retention.ts';
import {
  acknowledgesAtOnce,
  forgetsBoots,
  forgetsPeers,
  forgetsVotes,
} from './planted/lying-log.ts';
import { stackProfileNamed } from './profiles.ts';
import { type RunResult, runSeed } from './run.ts';
import { NO_BUGS, type StackBugs } from './stack-bugs.ts';

export interface StackWitness {
  readonly profile: string;
  /** Any of these is a fitting accusation. */
  readonly foundBy: readonly CheckId[];
  readonly muted: readonly CheckId[];
  /** Where the hunt begins, and how many seeds it may take. */
  readonly fromSeed: number;
  readonly seedCountMax: number;
}

export interface StackCanary {
  readonly id: string;
  readonly bug: string;
  readonly bugs: StackBugs;
  readonly witnesses: readonly [StackWitness, ...StackWitness[]];
}

export interface StackCatch {
  readonly seed: number;
  readonly eventCount: number;
  readonly check: CheckId;
  readonly sentence: string;
}

/** A seed that finds it and those after it are enough, as long as nothing moves them. */
const SEED_COUNT_MAX = 200;

function witness(
  profile: string,
  foundBy: readonly CheckId[],
  fromSeed: number,
  muted: readonly CheckId[] = [],
): StackWitness {
  return { profile, foundBy, muted, fromSeed, seedCountMax: SEED_COUNT_MAX };
}

function storeRules(rules: Partial<typeof standardStoreRules>): StackBugs {
  return { ...NO_BUGS, storeRules: { ...standardStoreRules, ...rules } };
}

export const STACK_CANARIES: readonly StackCanary[] = [
  {
    id: 'C1',
    bug: 'A write is reported durable before it is synced',
    bugs: { ...NO_BUGS, wrapLog: acknowledgesAtOnce },
    witnesses: [
      witness('crash', ['N1', 'N6'], 1),
      witness('disk', ['A1', 'I9', 'A2'], 15, ['N1', 'N6', 'F1', 'F3', 'H21', 'L1', 'L2']),
    ],
  },
  {
    id: 'C2',
    bug: 'The vote is not written',
    bugs: { ...NO_BUGS, wrapLog: forgetsVotes },
    witnesses: [witness('crash', ['N1'], 1)],
  },
  {
    id: 'C3',
    bug: 'The superblock with the term is not synced',
    bugs: {
      ...NO_BUGS,
      syncFate: (path) => (path.endsWith('/superblock') ? 'skipped' : 'durable'),
    },
    witnesses: [witness('crash', ['N1', 'F1'], 1)],
  },
  {
    id: 'C9',
    bug: 'A wrong CRC of a payload is ignored',
    bugs: storeRules({ forgives: (problem) => problem === 'badPayloadCrc' }),
    witnesses: [
      witness('disk', ['F2'], 11),
      // Damage that is not seen where it lies is seen by the peer that it is sent to.
      witness('disk', ['H28', 'I9', 'I3', 'A3', 'D2', 'F1'], 86, ['F2']),
    ],
  },
  {
    id: 'C10',
    bug: 'Rot is taken for a torn tail and cut',
    bugs: storeRules({
      decideRecovery: ({ stop, remains }) =>
        stop === null
          ? { kind: 'intact' }
          : { kind: 'cut', ranges: remains?.ranges ?? [], tornBytes: 1 },
    }),
    witnesses: [witness('disk', ['N6', 'F3'], 1), witness('disk', ['F1', 'F2'], 11, ['N6', 'F3'])],
  },
  {
    id: 'C11',
    bug: 'A failed sync is taken for a good one',
    bugs: { ...NO_BUGS, ignoresSyncErrors: true },
    witnesses: [witness('disk', ['N1', 'N6', 'F1'], 1)],
  },
  {
    id: 'C12',
    bug: 'After a failed sync the restart trusts the page cache',
    bugs: storeRules({ rewriteStart: () => null }),
    witnesses: [witness('disk', ['N6', 'F1'], 1)],
  },
  {
    id: 'C13',
    bug: 'Directories are not synced',
    bugs: { ...NO_BUGS, syncsDirectories: false },
    witnesses: [witness('crash', ['N1', 'N6', 'F1', 'H21'], 1)],
  },
  {
    id: 'C14',
    bug: 'A cut runs front to back, and the watermark is lowered last',
    bugs: storeRules({ orderOfCut: (lowers, zeros) => [...[...zeros].reverse(), lowers] }),
    witnesses: [witness('churn', ['F1'], 28)],
  },
  {
    id: 'C21',
    bug: 'A wiped voter comes back with the uuid it had, because it is made from its name',
    bugs: { ...NO_BUGS, mintsUuidFromName: true },
    // Even then the ids of its starts betray it; C22 shows what would come of it.
    witnesses: [witness('amnesia', ['H21'], 1)],
  },
  {
    id: 'C22',
    bug: 'The store uuid of a peer is not compared with the one it had',
    bugs: { ...NO_BUGS, wrapPins: forgetsPeers },
    witnesses: [
      witness('amnesia', ['H21'], 13),
      witness('amnesia', ['A1', 'I9', 'I1'], 85, ['H21', 'F1', 'F3', 'L1', 'L2']),
    ],
  },
  {
    id: 'C23',
    bug: 'An older image of a directory is let in',
    bugs: { ...NO_BUGS, wrapPins: forgetsBoots },
    witnesses: [
      witness('rollback', ['H21'], 1),
      witness('rollback', ['A1', 'I9', 'I1'], 48, ['H21', 'F1', 'F3']),
    ],
  },
  {
    id: 'C33',
    bug: 'A leader gives queue offsets before its no-op is applied',
    bugs: { ...NO_BUGS, wrapReplica: servesBeforeNoop },
    witnesses: [witness('crash', ['F1', 'A2'], 1)],
  },
  {
    id: 'C35',
    bug: 'An unknown outcome is reported as a sure failure',
    bugs: { ...NO_BUGS, wrapGateway: callsTimeoutsFailures },
    witnesses: [witness('crash', ['A4'], 17)],
  },
  {
    id: 'C36',
    bug: 'Clients see what is written and not committed',
    bugs: { ...NO_BUGS, wrapLog: remembersWrites, wrapGateway: showsUncommitted },
    witnesses: [witness('crash', ['A5'], 1)],
  },
  {
    id: 'C37',
    bug: 'Retention ignores what followers still need',
    bugs: { ...NO_BUGS, wrapExtent: countsOnlyTheLeader },
    witnesses: [witness('retention', ['R1'], 7)],
  },
  {
    id: 'takes-unconsumed',
    bug: 'Retention takes by size what nobody has consumed',
    bugs: { ...NO_BUGS, wrapLimits: () => ({ ageMsMax: 0, sizeBytesMax: null }) },
    // The consumers wait for what is gone before the log is looked at.
    witnesses: [witness('retention', ['L1'], 1), witness('retention', ['A1'], 1, ['L1'])],
  },
  {
    id: 'unlinks-first',
    bug: 'Files go before the base is durable that says so (H8)',
    bugs: storeRules({ orderOfCompaction: (swapsBase, unlinks) => [...unlinks, swapsBase] }),
    witnesses: [witness('retention', ['F1', 'I3'], 7)],
  },
];

/** With those of administration and of recovery: most of these are hunted in `npm run test:long` only. */
export const ALL_STACK_CANARIES: readonly StackCanary[] = [
  ...STACK_CANARIES,
  ...MEMBERSHIP_CANARIES,
  ...LOSS_CANARIES,
];

export function stackCanaryNamed(id: string): StackCanary {
  const canary = ALL_STACK_CANARIES.find((candidate) => candidate.id === id);
  if (canary !== undefined) return canary;
  const known = ALL_STACK_CANARIES.map((candidate) => candidate.id).join(', ');
  throw new Error(`Unknown canary ${id}: known are ${known}`);
}

/** @returns the first run that finds the bug; null when none does within the witness's budget */
export async function hunt(canary: StackCanary, by: StackWitness): Promise<RunResult | null> {
  const profile = stackProfileNamed(by.profile);
  const { bugs } = canary;
  for (let seed = by.fromSeed; seed < by.fromSeed + by.seedCountMax; seed++) {
    const result = await runSeed(seed, profile, { bugs, muted: by.muted });
    if (result.violation !== null) return result;
  }
  return null;
}

/** By its first witness. @throws Error when the simulator does not find it */
export async function huntStackCanary(
  id: string,
  by: StackWitness = stackCanaryNamed(id).witnesses[0],
): Promise<StackCatch> {
  const canary = stackCanaryNamed(id);
  const found = await hunt(canary, by);
  if (found === null || found.violation === null) {
    throw new Error(`${id} is not found within ${by.seedCountMax} seeds: ${canary.bug}`);
  }
  const { check, eventCount, sentence } = found.violation;
  return { seed: found.seed, eventCount, check, sentence };
}
