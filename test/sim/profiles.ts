/**
 * What kinds of weather a run may have. A profile is data; the seed chooses the concrete faults.
 * Profiles that make a certain bug's schedule likely are still fair: the standard rules must
 * survive each of them.
 */
import { CALM, type NetworkProfile, NO_FAULTS, NO_OPERATORS, type Profile } from './profile.ts';

export type { FaultRates, NetworkProfile, OperatorRates, Profile } from './profile.ts';

const ROUGH_NETWORK: NetworkProfile = {
  delayMsMax: 30,
  lossPermille: 20,
  duplicatePermille: 20,
  slowPermille: 10,
  slowDelayMsMax: 2_000,
};

/** Crashes and a bad network, nothing else: most of the trouble that real clusters have. */
const CRASH_AND_NETWORK: Profile = {
  ...CALM,
  name: 'crash-and-network',
  chaosMs: 90_000,
  network: ROUGH_NETWORK,
  rates: {
    ...NO_FAULTS,
    crash: 4,
    crashLeader: 2,
    trap: 2,
    partition: 4,
    flap: 1,
    isolateLeader: 2,
    storm: 1,
    clog: 2,
    narrow: 1,
  },
  readsPerSecond: 2,
  diskMsMax: 20,
  applyMsMax: 20,
};

/** Everything that can go wrong, a different choice of it in every seed. */
const SWARM: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'swarm',
  spareCount: 2,
  rates: {
    crash: 4,
    crashLeader: 2,
    trap: 3,
    partition: 4,
    flap: 1,
    isolateLeader: 2,
    storm: 1,
    clog: 2,
    narrow: 1,
    replay: 3,
    stall: 2,
    pause: 2,
    wipe: 1,
    restore: 1,
    clone: 1,
  },
  operators: {
    transfer: 3,
    addLearner: 4,
    promote: 6,
    remove: 1,
    replace: 2,
    describe: 1,
    pin: 2,
    wrong: 2,
  },
  isSwarm: true,
  pauseMsMax: 60_000,
  stallMsMax: 12_000,
  snapshotEveryCount: 80,
};

/** Crash, network and disk trouble with a group that never changes: the base of the older profiles. */
const ROUGH: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'rough',
  rates: {
    ...NO_FAULTS,
    crash: 4,
    crashLeader: 2,
    trap: 2,
    partition: 4,
    isolateLeader: 2,
    storm: 1,
    stall: 2,
    pause: 2,
  },
  readsPerSecond: 0,
};

/** Leaders come and go before their entries are everywhere: the weather of Raft's figure 8. */
const CHURN: Profile = {
  ...ROUGH,
  name: 'churn',
  rates: { ...ROUGH.rates, crashLeader: 8, trap: 6, isolateLeader: 8, stall: 0, pause: 0 },
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
  ...ROUGH,
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
  ...ROUGH,
  name: 'slow-disk',
  rates: { ...ROUGH.rates, crash: 6, trap: 6, stall: 20, isolateLeader: 10, pause: 6 },
  partitionMsMax: 5_000,
  diskMsMax: 150,
  // Outlasts a partition and an election: entries are cut while they wait for the disk.
  stallMsMax: 12_000,
  downMsMax: 2_000,
  proposalsPerSecond: 20,
};

/** Old and doubled messages everywhere; nobody crashes. */
const REPLAY: Profile = {
  ...ROUGH,
  name: 'replay',
  network: {
    delayMsMax: 60,
    lossPermille: 50,
    duplicatePermille: 400,
    slowPermille: 150,
    slowDelayMsMax: 5_000,
  },
  rates: { ...NO_FAULTS, partition: 6, isolateLeader: 6, storm: 3, clog: 4, replay: 20 },
  proposalsPerSecond: 10,
};

/** The group changes while leaders come and go. */
const MEMBERSHIP: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'membership',
  spareCount: 4,
  rates: { ...CRASH_AND_NETWORK.rates, crashLeader: 4, trap: 8, isolateLeader: 5, pause: 1 },
  operators: {
    ...NO_OPERATORS,
    transfer: 2,
    addLearner: 8,
    promote: 10,
    remove: 3,
    replace: 6,
    describe: 2,
    pin: 1,
    wrong: 6,
  },
  partitionMsMax: 5_000,
  downMsMax: 4_000,
};

/** Nodes fall behind what the leader still has, and are brought up by snapshots. */
const SNAPSHOTS: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'snapshots',
  spareCount: 1,
  rates: {
    ...CRASH_AND_NETWORK.rates,
    crash: 8,
    crashLeader: 4,
    trap: 14,
    partition: 8,
    isolateLeader: 4,
    stall: 5,
    replay: 4,
  },
  operators: { ...NO_OPERATORS, addLearner: 3, promote: 4, transfer: 1 },
  partitionMsMax: 6_000,
  applyMsMax: 100,
  proposalsPerSecond: 15,
  snapshotEveryCount: 30,
  // Longer than an election: the leader that began to send is not always the one that ends.
  snapshotMsMax: 3_000,
};

/** Reads by the dozen while leadership is in doubt. */
const READS: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'reads',
  rates: { ...CRASH_AND_NETWORK.rates, isolateLeader: 8, pause: 8, clog: 6, replay: 6 },
  operators: { ...NO_OPERATORS, transfer: 4 },
  partitionMsMax: 5_000,
  readsPerSecond: 20,
};

/** Directories are lost, restored from old copies and started twice. */
const IDENTITY: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'identity',
  spareCount: 2,
  // A copy is old only when all others have met the node in a later life: it must die often.
  rates: { ...CRASH_AND_NETWORK.rates, crash: 14, wipe: 2, restore: 12, clone: 12, replay: 3 },
  operators: { ...NO_OPERATORS, addLearner: 4, promote: 6, replace: 10, pin: 3 },
  downMsMax: 2_000,
  snapshotEveryCount: 100,
};

/** Leadership is handed over all the time, by operators and by priority. */
const TRANSFERS: Profile = {
  ...CRASH_AND_NETWORK,
  name: 'transfers',
  rates: { ...CRASH_AND_NETWORK.rates, trap: 4, stall: 3 },
  operators: { ...NO_OPERATORS, transfer: 30, describe: 4 },
  partitionMsMax: 4_000,
  proposalsPerSecond: 10,
};

function withNodes(profile: Profile, nodeCount: number): Profile {
  return { ...profile, name: `${profile.name}-${nodeCount}`, nodeCount };
}

const ANY_SIZE = [
  CALM,
  SWARM,
  CHURN,
  FIGURE_8,
  ELECTIONS,
  SLOW_DISK,
  REPLAY,
  MEMBERSHIP,
  SNAPSHOTS,
  READS,
];
/** Alone there is nobody to hand over to, to be cut off from, or to be known by. */
const NOT_ALONE = [CRASH_AND_NETWORK, IDENTITY, TRANSFERS];

export const PROFILES: ReadonlyMap<string, Profile> = new Map(
  [
    ...ANY_SIZE.flatMap((base) => [1, 3, 5].map((size) => withNodes(base, size))),
    ...NOT_ALONE.flatMap((base) => [3, 5].map((size) => withNodes(base, size))),
  ].map((profile) => [profile.name, profile]),
);

export function profileNamed(name: string): Profile {
  const profile = PROFILES.get(name);
  if (profile === undefined) {
    throw new Error(`Unknown profile ${name}: known are ${[...PROFILES.keys()].join(', ')}`);
  }
  return profile;
}
