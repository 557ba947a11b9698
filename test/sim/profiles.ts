/**
 * What kinds of weather a run may have. A profile is data; the seed chooses the concrete faults.
 * Profiles that make a certain bug's schedule likely are still fair: the standard rules must
 * survive each of them.
 */
import { KIB } from '../../src/base/sizes.ts';

export interface NetworkProfile {
  readonly delayMsMax: number;
  readonly lossPermille: number;
  readonly duplicatePermille: number;
  /** Share of messages that take up to `slowDelayMsMax`, which reorders them wildly. */
  readonly slowPermille: number;
  readonly slowDelayMsMax: number;
}

/** Mean number of faults of each kind per simulated minute. */
export interface FaultRates {
  readonly crash: number;
  readonly crashLeader: number;
  /** Crashes right after a node promised or won something. */
  readonly trap: number;
  readonly partition: number;
  readonly isolateLeader: number;
  readonly storm: number;
  readonly stall: number;
  readonly pause: number;
}

export interface Profile {
  readonly name: string;
  readonly nodeCount: number;
  readonly chaosMs: number;
  readonly network: NetworkProfile;
  readonly rates: FaultRates;
  readonly downMsMax: number;
  readonly partitionMsMax: number;
  readonly diskMsMax: number;
  readonly stallMsMax: number;
  readonly applyMsMax: number;
  readonly proposalsPerSecond: number;
  readonly payloadSizeBytesMax: number;
  readonly segmentSizeBytes: number;
  readonly appendSizeBytesMax: number;
  readonly inflightCountMax: number;
  readonly uncommittedSizeBytesMax: number;
}

const NO_FAULTS: FaultRates = {
  crash: 0,
  crashLeader: 0,
  trap: 0,
  partition: 0,
  isolateLeader: 0,
  storm: 0,
  stall: 0,
  pause: 0,
};

const QUIET_NETWORK: NetworkProfile = {
  delayMsMax: 5,
  lossPermille: 0,
  duplicatePermille: 0,
  slowPermille: 0,
  slowDelayMsMax: 0,
};

const CALM: Profile = {
  name: 'calm',
  nodeCount: 3,
  chaosMs: 60_000,
  network: QUIET_NETWORK,
  rates: NO_FAULTS,
  downMsMax: 5_000,
  partitionMsMax: 10_000,
  diskMsMax: 2,
  stallMsMax: 4_000,
  applyMsMax: 5,
  proposalsPerSecond: 5,
  payloadSizeBytesMax: KIB,
  // Small enough that fillers and segment starts are everyday events.
  segmentSizeBytes: 16 * KIB,
  appendSizeBytesMax: 4 * KIB,
  inflightCountMax: 8,
  // A deposed leader fills this and must refuse.
  uncommittedSizeBytesMax: 32 * KIB,
};

const SWARM: Profile = {
  ...CALM,
  name: 'swarm',
  chaosMs: 90_000,
  network: {
    delayMsMax: 30,
    lossPermille: 20,
    duplicatePermille: 20,
    slowPermille: 10,
    slowDelayMsMax: 2_000,
  },
  rates: {
    crash: 4,
    crashLeader: 2,
    trap: 2,
    partition: 4,
    isolateLeader: 2,
    storm: 1,
    stall: 2,
    pause: 2,
  },
  diskMsMax: 20,
  applyMsMax: 20,
};

/** Leaders come and go before their entries are everywhere: the weather of Raft's figure 8. */
const CHURN: Profile = {
  ...SWARM,
  name: 'churn',
  rates: { ...SWARM.rates, crashLeader: 8, trap: 6, isolateLeader: 8, stall: 0, pause: 0 },
  downMsMax: 3_000,
  partitionMsMax: 4_000,
  proposalsPerSecond: 8,
  // One entry per message: old entries are acknowledged apart from the no-op that follows them.
  payloadSizeBytesMax: 64,
  appendSizeBytesMax: 128,
  inflightCountMax: 2,
};

/** As churn, on a slow network, with leaders that crash as soon as they have committed. */
const FIGURE_8: Profile = {
  ...CHURN,
  name: 'figure-8',
  network: { ...CHURN.network, delayMsMax: 150, slowPermille: 50 },
  rates: { ...NO_FAULTS, crash: 4, crashLeader: 15, trap: 40, isolateLeader: 6 },
  downMsMax: 4_000,
  proposalsPerSecond: 15,
};

/** Votes are late and doubled, candidates meet in one term, voters crash right after voting. */
const ELECTIONS: Profile = {
  ...SWARM,
  name: 'elections',
  network: {
    delayMsMax: 60,
    lossPermille: 50,
    duplicatePermille: 100,
    slowPermille: 300,
    slowDelayMsMax: 1_500,
  },
  rates: { ...NO_FAULTS, crash: 4, crashLeader: 20, trap: 60, isolateLeader: 6 },
  downMsMax: 100,
  partitionMsMax: 3_000,
  diskMsMax: 30,
  proposalsPerSecond: 2,
};

/** Slow disks: crashes and new leaders find long queues of unfinished persists (hazard H14). */
const SLOW_DISK: Profile = {
  ...SWARM,
  name: 'slow-disk',
  rates: { ...SWARM.rates, crash: 6, trap: 6, stall: 20, isolateLeader: 10, pause: 6 },
  partitionMsMax: 5_000,
  diskMsMax: 150,
  // Outlasts a partition and an election: entries are cut while they wait for the disk.
  stallMsMax: 12_000,
  downMsMax: 2_000,
  proposalsPerSecond: 20,
};

/** Old and doubled messages everywhere; nobody crashes. */
const REPLAY: Profile = {
  ...SWARM,
  name: 'replay',
  network: {
    delayMsMax: 60,
    lossPermille: 50,
    duplicatePermille: 400,
    slowPermille: 150,
    slowDelayMsMax: 5_000,
  },
  rates: { ...NO_FAULTS, partition: 6, isolateLeader: 6, storm: 3 },
  proposalsPerSecond: 10,
};

function withNodes(profile: Profile, nodeCount: number): Profile {
  return { ...profile, name: `${profile.name}-${nodeCount}`, nodeCount };
}

const BASE_PROFILES = [CALM, SWARM, CHURN, FIGURE_8, ELECTIONS, SLOW_DISK, REPLAY];
const CLUSTER_SIZES = [1, 3, 5];

export const PROFILES: ReadonlyMap<string, Profile> = new Map(
  BASE_PROFILES.flatMap((base) =>
    CLUSTER_SIZES.map((size) => withNodes(base, size)).map((profile) => [profile.name, profile]),
  ),
);

export function profileNamed(name: string): Profile {
  const profile = PROFILES.get(name);
  if (profile === undefined) {
    throw new Error(`Unknown profile ${name}: known are ${[...PROFILES.keys()].join(', ')}`);
  }
  return profile;
}
