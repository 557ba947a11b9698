/** What kinds of weather a run may have. A profile is data; the seed chooses the concrete faults. */
import { KIB } from '../../src/base/sizes.ts';
import type { Moment, StackFaultKind } from './fault-script.ts';

/** The end of a run is not that all heal: most are gone for good, and the rest is recovered. */
export interface LossProfile {
  readonly awayMsMax: number;
}

export interface StackProfile {
  readonly name: string;
  readonly chaosMs: number;
  readonly kinds: readonly StackFaultKind[];
  /** Of 10 kinds so many are enabled in a run. */
  readonly enabledPer10: number;
  /** Of 10 faults that strike any node so many strike the leader. */
  readonly leaderPer10: number;
  /** What traps lie in wait for. */
  readonly moments: readonly Moment[];
  /** Mean time between two faults, drawn per run from this range. */
  readonly gapMsMin: number;
  readonly gapMsMax: number;
  /** How long a node is down, or a way is blocked, at most. */
  readonly downMsMax: number;
  readonly producersMax: number;
  readonly consumers: number;
  /** Of the log so much stays, once it is consumed; null: everything. */
  readonly retentionSizeBytes: number | null;
  readonly founderCount: number;
  /** Mean time between two commands of operators; null: there are none. */
  readonly loss: LossProfile | null;
  readonly operations: { readonly gapMsMin: number; readonly gapMsMax: number } | null;
}

const CRASH_KINDS: readonly StackFaultKind[] = [
  'kill',
  'powerCut',
  'stop',
  'killThenPowerCut',
  'trap',
  'killAll',
  'powerCutAll',
  'isolate',
  'deaf',
  'mute',
  'cutPair',
  'cutOneWay',
  'breakStream',
  'slowNetwork',
  'bitFlips',
];

const DISK_KINDS: readonly StackFaultKind[] = [
  'slowDisk',
  'hungDisk',
  'fullDisk',
  'syncError',
  'writeError',
  'deleteDerived',
  'superblock',
  'rot',
];

const IDENTITY_KINDS: readonly StackFaultKind[] = [
  'wipe',
  'olderImage',
  'clone',
  'swap',
  'wrongCluster',
];

/** Leaders are cut off with what they have appended, and lose it again when they come back. */
const CHURN_KINDS: readonly StackFaultKind[] = ['isolate', 'mute', 'trap', 'slowDisk', 'powerCut'];

/** Directories are lost while others are away: whoever comes back with less decides. */
const AMNESIA_KINDS: readonly StackFaultKind[] = [
  'wipe',
  'olderImage',
  'isolate',
  'cutPair',
  'kill',
  'trap',
];

const BASE = {
  chaosMs: 6_000,
  leaderPer10: 3,
  moments: ['votes', 'acknowledges', 'cuts', 'wins', 'boots'],
  gapMsMin: 150,
  gapMsMax: 800,
  downMsMax: 1_200,
  enabledPer10: 5,
  // One after the other is another world than a crowd.
  producersMax: 12,
  consumers: 2,
  retentionSizeBytes: null,
  founderCount: 3,
  operations: null,
  loss: null,
} as const;

/** The log loses its beginning again and again, and whoever was away needs a snapshot. */
const RETENTION = {
  ...BASE,
  chaosMs: 12_000,
  downMsMax: 4_000,
  moments: [...BASE.moments, 'snapshots', 'compacts', 'pulls', 'installs', 'rebuilds'],
  producersMax: 16,
  consumers: 4,
  retentionSizeBytes: 16 * KIB,
} as const;

/** Members come and go, by commands right and wrong, while everything else goes wrong. */
const MEMBERSHIP = {
  ...BASE,
  chaosMs: 14_000,
  producersMax: 3,
  consumers: 1,
  moments: [...BASE.moments, 'decides', 'decides', 'joins'],
  operations: { gapMsMin: 150, gapMsMax: 1_000 },
  gapMsMin: 400,
  gapMsMax: 2_000,
} as const;

export const STACK_PROFILES: readonly StackProfile[] = [
  { ...BASE, name: 'crash', kinds: CRASH_KINDS },
  {
    ...BASE,
    name: 'disk',
    kinds: [...DISK_KINDS, 'kill', 'powerCut', 'powerCutAll', 'trap', 'isolate'],
  },
  {
    ...BASE,
    name: 'identity',
    kinds: [...IDENTITY_KINDS, 'kill', 'powerCut', 'trap', 'isolate', 'stop'],
  },
  {
    ...BASE,
    name: 'churn',
    kinds: CHURN_KINDS,
    enabledPer10: 9,
    leaderPer10: 7,
    moments: ['cuts', 'cuts', 'acknowledges', 'votes'],
    gapMsMin: 100,
    gapMsMax: 300,
  },
  {
    ...BASE,
    name: 'amnesia',
    kinds: AMNESIA_KINDS,
    enabledPer10: 9,
    gapMsMin: 100,
    gapMsMax: 300,
  },
  {
    ...BASE,
    name: 'rollback',
    kinds: ['olderImage', 'kill', 'stop', 'isolate'],
    enabledPer10: 10,
    gapMsMin: 100,
    gapMsMax: 300,
  },
  {
    ...RETENTION,
    name: 'retention',
    kinds: [...CRASH_KINDS, 'deleteDerived', 'slowDisk', 'hungDisk', 'syncError', 'writeError'],
    gapMsMin: 300,
    gapMsMax: 1_500,
  },
  {
    ...RETENTION,
    name: 'base',
    kinds: [...DISK_KINDS, 'base', 'kill', 'powerCut', 'powerCutAll', 'killThenPowerCut', 'trap'],
    enabledPer10: 7,
  },
  {
    ...MEMBERSHIP,
    name: 'membership-calm',
    kinds: ['kill', 'breakStream', 'trap'],
    enabledPer10: 10,
    gapMsMin: 3_000,
    gapMsMax: 6_000,
  },
  {
    ...MEMBERSHIP,
    name: 'membership-crash',
    kinds: [...CRASH_KINDS, 'clockRate', 'loseDisk'],
  },
  {
    ...MEMBERSHIP,
    name: 'membership-disk',
    kinds: [
      ...([
        'slowDisk',
        'hungDisk',
        'fullDisk',
        'syncError',
        'writeError',
        'deleteDerived',
      ] as const),
      ...(['loseDisk', 'clockRate', 'kill', 'powerCut', 'trap', 'isolate'] as const),
    ],
  },
  {
    ...MEMBERSHIP,
    name: 'membership-churn',
    kinds: [...CHURN_KINDS, 'cutPair', 'cutOneWay', 'deaf', 'kill'],
    enabledPer10: 8,
    leaderPer10: 7,
    founderCount: 5,
    gapMsMin: 150,
    gapMsMax: 600,
  },
  {
    ...MEMBERSHIP,
    name: 'membership-retention',
    kinds: [...CRASH_KINDS, 'slowDisk', 'hungDisk', 'syncError', 'loseDisk'],
    moments: [...RETENTION.moments, 'decides', 'decides', 'joins'],
    producersMax: 6,
    retentionSizeBytes: 16 * KIB,
  },
  {
    ...BASE,
    ...{ name: 'quorum-loss', loss: { awayMsMax: 3_000 } },
    kinds: ['kill', 'powerCut', 'isolate', 'mute', 'slowDisk', 'stop', 'cutPair', 'slowNetwork'],
    enabledPer10: 4,
    gapMsMin: 500,
    gapMsMax: 2_000,
  },
  {
    ...RETENTION,
    ...{ name: 'quorum-loss-five', loss: { awayMsMax: 3_000 }, founderCount: 5 },
    kinds: ['kill', 'powerCut', 'isolate', 'mute', 'slowDisk', 'cutPair', 'deleteDerived'],
    ...{ enabledPer10: 4, gapMsMin: 500, gapMsMax: 2_000, producersMax: 6, chaosMs: 6_000 },
  },
  { ...BASE, name: 'swarm', kinds: [...CRASH_KINDS, ...DISK_KINDS, ...IDENTITY_KINDS] },
];

export function stackProfileNamed(name: string): StackProfile {
  const profile = STACK_PROFILES.find((candidate) => candidate.name === name);
  if (profile !== undefined) return profile;
  const known = STACK_PROFILES.map((candidate) => candidate.name).join(', ');
  throw new Error(`Unknown profile ${name}: known are ${known}`);
}
