/**
 * Bugs that are planted to see whether the suite finds them, and by what. Each replaces one module of the
 * broker, or one call of the system, in a program that exists for tests only (canary-broker.ts).
 */
import type { AnomalyKind } from '../checkers/verdict.ts';
import type { ScheduledStep, Step, Target } from '../nemesis/step.ts';
import type { RunOptions, WorkloadName } from '../plan.ts';

export const CANARY_IDS = [
  'ack-before-fsync',
  'vote-not-synced',
  'checksum-ignored',
  'rot-as-torn',
  'sync-error-ignored',
  'wiped-voter-votes',
  'old-image-votes',
  'expired-unread',
  'uncommitted-read',
  'stale-read',
  'offsets-outside-log',
  'timeout-as-failure',
  'resend-is-new',
] as const;
export type CanaryId = (typeof CANARY_IDS)[number];

export interface CanaryCase {
  readonly id: CanaryId;
  readonly bug: string;
  /** One of these must be found; others may be. */
  readonly finds: readonly AnomalyKind[];
  readonly workloads: readonly WorkloadName[];
  readonly seconds: number;
  readonly steps: readonly (readonly [atMs: number, step: Step])[];
}

const SALT = 7;
const all = { pick: 'all' } as const;
const follower = { pick: 'follower', nth: 0 } as const;

/** So narrow that what was missed does not arrive within the script. */
const SLOW = { lossPercent: 0, bytesPerSecond: 8_192, delayMs: 0 };

function sameAs(step: number): Target {
  return { pick: 'sameAs', step };
}

/** Everybody loses power at once. */
const blackout: Step = { kind: 'powerCut', target: all, downMs: 300, staggerMs: 0 };

export const CANARIES: readonly CanaryCase[] = [
  {
    id: 'ack-before-fsync',
    bug: 'The disk thread writes and never syncs (C1)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets', 'too-few-copies'],
    workloads: ['queue'],
    seconds: 7,
    steps: [[2_500, blackout]],
  },
  {
    id: 'vote-not-synced',
    bug: 'Term and vote are written and not synced (C2, C3)',
    finds: ['term-regressed', 'two-leaders'],
    workloads: ['queue'],
    seconds: 21,
    // It knows a term of which it has no entry yet, and forgets it with its power. When entries of that term are
    // on its disk the start refuses such a superblock (exit code 76), and what is found is the end of the node.
    steps: [
      // Freezing syncs the file system, as the kernel does after half a minute.
      [1_000, { kind: 'stall', target: follower, lastsMs: 200 }],
      [2_500, { kind: 'kill', target: sameAs(0), downMs: 6_000 }],
      [7_500, { kind: 'transferStorm', lastsMs: 900 }],
      [8_000, { kind: 'slowLinks', target: sameAs(0), ...SLOW, lastsMs: 30_000 }],
      [14_000, { kind: 'powerCut', target: sameAs(0), downMs: 2_500, staggerMs: 0 }],
      // Alone when it starts: nobody tells it the term again.
      [14_500, { kind: 'pause', target: { pick: 'otherThan', step: 0 }, lastsMs: 6_000 }],
    ],
  },
  {
    id: 'sync-error-ignored',
    bug: 'A sync that fails is taken for one that did not (C11)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets', 'too-few-copies', 'term-regressed'],
    workloads: ['queue'],
    seconds: 16,
    steps: [[1_500, { kind: 'syncError', target: all, nth: 1, always: true, ofLog: true }]],
  },
  {
    id: 'checksum-ignored',
    bug: 'A wrong CRC of a payload is ignored (C9)',
    finds: ['damaged-log', 'damaged-body', 'place-changed'],
    workloads: ['queue'],
    seconds: 9,
    steps: [damage(3_000, false)],
  },
  {
    id: 'rot-as-torn',
    bug: 'Rot is taken for a torn tail, and the log is cut there (C10)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets', 'not-recovered', 'node-ended'],
    workloads: ['queue'],
    seconds: 12,
    steps: [damage(6_000, true)],
  },
  {
    id: 'wiped-voter-votes',
    bug: 'A wiped voter comes back as the store that it was, and is believed (C21, C22)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets', 'term-regressed'],
    workloads: ['queue'],
    seconds: 16,
    steps: [[2_000, forgotten('wipe')]],
  },
  {
    id: 'old-image-votes',
    bug: 'A voter comes back with an older image of its directory, and is believed (C23)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets'],
    workloads: ['queue'],
    seconds: 20,
    steps: [[2_000, forgotten('oldImage')]],
  },
  {
    id: 'expired-unread',
    bug: 'Retention by size removes what a group has left to consume',
    finds: ['expired-unread'],
    workloads: ['laggard'],
    seconds: 26,
    // With such a step in its script a run keeps a megabyte of log (harness/storage.ts).
    steps: [[1_500, { kind: 'compactPast', target: follower, lastsMs: 16_000 }]],
  },
  {
    id: 'uncommitted-read',
    bug: 'Entries are applied, answered and given away when they are in the own log, before they are committed (C36)',
    finds: ['lost-write', 'unseen', 'inconsistent-offsets', 'too-few-copies', 'phantom'],
    workloads: ['queue'],
    seconds: 11,
    // What is not committed goes when the one that leads alone hears of its successor.
    steps: [[2_000, isolated(5_000)]],
  },
  {
    id: 'stale-read',
    bug: 'A leader answers from its state until it hears of another leader, and asks nobody (C28, C29)',
    finds: ['offset-not-linearizable', 'offset-regressed'],
    workloads: ['offsets'],
    seconds: 18,
    steps: [
      [1_500, isolated(5_000)],
      [10_000, isolated(5_000)],
    ],
  },
  {
    id: 'offsets-outside-log',
    bug: 'Acknowledgements are answered at once and carried out later, by whoever still lives',
    finds: ['acked-redelivered', 'offset-not-linearizable', 'offset-regressed'],
    workloads: ['offsets'],
    seconds: 10,
    steps: [[3_000, { kind: 'kill', target: { pick: 'leader' }, downMs: 500 }]],
  },
  {
    id: 'timeout-as-failure',
    bug: 'What was not answered within a second is said not to have happened (C35, H29)',
    finds: ['aborted-read'],
    workloads: ['ordered'],
    seconds: 12,
    steps: [[2_000, { kind: 'pause', target: { pick: 'followers' }, lastsMs: 6_500 }]],
  },
  {
    id: 'resend-is-new',
    bug: 'A message that is sent again is stored again',
    finds: ['duplicate'],
    workloads: ['idempotent'],
    seconds: 4,
    steps: [],
  },
];

/** Clients still reach the leader, the other nodes do not. */
function isolated(lastsMs: number): Step {
  return { kind: 'partition', shape: 'isolate', target: { pick: 'leader' }, lastsMs };
}

/** What the leader and one follower have acknowledged is missed by the other one, which then meets a forgetful one. */
function forgotten(by: 'wipe' | 'oldImage'): Step {
  return { kind: 'forgottenByAll', by, aloneMs: 2_500, lastsMs: 7_000 };
}

function damage(atMs: number, isHelix: boolean): readonly [number, Step] {
  const target = isHelix ? all : follower;
  return [atMs, { kind: 'damageLog', target, damage: 'bitFlip', isHelix, salt: SALT, downMs: 300 }];
}

export function canaryNamed(id: string): CanaryCase {
  const found = CANARIES.find((each) => each.id === id);
  if (found === undefined) throw new Error(`There are the canaries ${CANARY_IDS.join(', ')}`);
  return found;
}

export function runOf(
  { id, workloads, seconds, steps }: CanaryCase,
  isPlanted: boolean,
): RunOptions {
  const script = steps.map(([atMs, step]): ScheduledStep => ({ atMs, row: 'canary', step }));
  return {
    ...{ rows: [], workloads, nodeCount: 3, seconds, seed: 1, network: 'auto', script },
    ...{ canary: isPlanted ? id : null, upgradeFrom: null },
  };
}
