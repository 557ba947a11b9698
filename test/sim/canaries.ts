/**
 * Planted bugs and what must find them. A canary with several witnesses is hunted once per witness:
 * the narrow invariant that names the cause, and, with that one muted, the global one that sees the
 * damage. Without the second hunt a global checker that never fires would go unnoticed.
 */
import { LogIndex } from '../../src/base/units.ts';
import { type SafetyRules, standardRules } from '../../src/raft/rules.ts';
import type { InvariantId } from './checkers/violation.ts';
import { NO_BUGS, type PlantedBugs } from './planted-bugs.ts';
import { profileNamed } from './profiles.ts';
import { type FoundViolation, runSeed } from './run.ts';

export interface Witness {
  readonly muted: readonly InvariantId[];
  /** Any of these is a fitting accusation. */
  readonly foundBy: readonly InvariantId[];
  readonly profile: string;
  readonly seedCountMax: number;
}

export interface Canary {
  readonly id: string;
  readonly bug: string;
  readonly bugs: PlantedBugs;
  readonly witnesses: readonly Witness[];
}

function rules(overrides: Partial<SafetyRules>): PlantedBugs {
  return { ...NO_BUGS, rules: { ...standardRules, ...overrides } };
}

export const CANARIES: readonly Canary[] = [
  {
    id: 'reply-before-durable',
    bug: 'The driver sends replies without waiting for the disk',
    bugs: { ...NO_BUGS, driver: 'repliesBeforeDurable' },
    witnesses: [
      { muted: [], foundBy: ['N5'], profile: 'slow-disk-3', seedCountMax: 2 },
      { muted: ['N5', 'N1'], foundBy: ['I7'], profile: 'slow-disk-3', seedCountMax: 10 },
    ],
  },
  {
    id: 'count-undurable',
    bug: 'The core counts entries that are not on disk yet',
    bugs: rules({ countableIndex: (lastIndex) => lastIndex }),
    witnesses: [
      { muted: [], foundBy: ['N5', 'I7'], profile: 'slow-disk-3', seedCountMax: 2 },
      { muted: ['N5', 'N1', 'N2'], foundBy: ['I7'], profile: 'slow-disk-3', seedCountMax: 10 },
    ],
  },
  {
    id: 'vote-before-durable',
    bug: 'A granted vote leaves before it is on disk',
    bugs: rules({ voteWaitsForDisk: () => false }),
    witnesses: [
      { muted: [], foundBy: ['N5'], profile: 'elections-3', seedCountMax: 2 },
      { muted: ['N5'], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 50 },
      { muted: ['N5', 'N1'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'vote-forgotten',
    bug: 'The vote does not survive a restart',
    bugs: { ...NO_BUGS, disk: 'votesForgotten' },
    witnesses: [
      { muted: [], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 50 },
      { muted: ['N1'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'term-forgotten',
    bug: 'The term does not survive a restart',
    bugs: { ...NO_BUGS, disk: 'termsForgotten' },
    witnesses: [
      { muted: [], foundBy: ['N1'], profile: 'elections-3', seedCountMax: 20 },
      { muted: ['N1', 'N5'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'commit-old-term',
    bug: 'A leader commits entries of older terms by counting copies (Raft figure 8)',
    bugs: rules({ mayCommitByCounting: () => true }),
    witnesses: [
      { muted: [], foundBy: ['L2'], profile: 'churn-3', seedCountMax: 10 },
      {
        muted: ['L2'],
        foundBy: ['I4', 'I5', 'I7', 'I9', 'N3'],
        profile: 'figure-8-3',
        seedCountMax: 400,
      },
    ],
  },
  {
    id: 'cut-without-conflict',
    bug: 'Every append cuts the log, whether it conflicts or not',
    bugs: rules({
      cutFrom: (log, incoming) => {
        const first = incoming[0]?.index ?? LogIndex(0);
        return first > 0 && first <= log.lastIndex ? first : null;
      },
    }),
    witnesses: [{ muted: [], foundBy: ['N3', 'core'], profile: 'replay-3', seedCountMax: 2 }],
  },
  {
    id: 'skip-prev-check',
    bug: 'A follower appends without asking whether the entry before matches',
    bugs: { ...NO_BUGS, driver: 'skipsPrevCheck' },
    witnesses: [{ muted: [], foundBy: ['I3', 'core'], profile: 'churn-3', seedCountMax: 20 }],
  },
  {
    id: 'commit-past-match',
    bug: 'Heartbeats let a follower commit what it was never shown to share',
    bugs: { ...NO_BUGS, driver: 'heartbeatsCommitPastMatch' },
    witnesses: [{ muted: [], foundBy: ['I4'], profile: 'churn-3', seedCountMax: 50 }],
  },
  {
    id: 'two-votes',
    bug: 'A voter says yes to every candidate of a term',
    bugs: { ...NO_BUGS, driver: 'grantsEveryVote' },
    witnesses: [
      { muted: [], foundBy: ['N1', 'N5'], profile: 'elections-3', seedCountMax: 2 },
      { muted: ['N1', 'N5'], foundBy: ['I1'], profile: 'elections-3', seedCountMax: 400 },
    ],
  },
  {
    id: 'ack-unapplied',
    bug: 'Clients are told of success when the leader has appended',
    bugs: { ...NO_BUGS, driver: 'acknowledgesUnapplied' },
    witnesses: [{ muted: [], foundBy: ['I8'], profile: 'churn-3', seedCountMax: 10 }],
  },
];

export interface Hunt {
  /** Null: not found within the budget. */
  readonly violation: FoundViolation | null;
  readonly seed: number;
}

/** Runs seeds 1, 2, ... until something is found. */
export function hunt(canary: Canary, witness: Witness): Hunt {
  const profile = profileNamed(witness.profile);
  for (let seed = 1; seed <= witness.seedCountMax; seed++) {
    const { violation } = runSeed(seed, profile, { bugs: canary.bugs, muted: witness.muted });
    if (violation !== null) return { violation, seed };
  }
  return { violation: null, seed: witness.seedCountMax };
}

export function canaryNamed(id: string): Canary {
  const canary = CANARIES.find((candidate) => candidate.id === id);
  if (canary === undefined) {
    throw new Error(`Unknown canary ${id}: known are ${CANARIES.map((c) => c.id).join(', ')}`);
  }
  return canary;
}
