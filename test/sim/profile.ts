/**
 * What a profile says: a kind of weather, as data. The profiles themselves are in profiles.ts; the
 * seed chooses the concrete faults (fault-script.ts) and commands (client-script.ts).
 */
import { Prng } from '../../src/base/prng.ts';
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
  /** A partition that comes and goes. */
  readonly flap: number;
  readonly isolateLeader: number;
  readonly storm: number;
  readonly clog: number;
  /** Paths that hold only a few messages. */
  readonly narrow: number;
  /** Old frames arrive again, across restarts. */
  readonly replay: number;
  readonly stall: number;
  readonly pause: number;
  readonly wipe: number;
  /** An older copy of a node's directory takes the place of it. */
  readonly restore: number;
  /** An older copy of a node's directory is started beside the node. */
  readonly clone: number;
}

/** Mean number of operator commands of each kind per simulated minute, right and wrong ones. */
export interface OperatorRates {
  readonly transfer: number;
  readonly addLearner: number;
  readonly promote: number;
  readonly remove: number;
  readonly replace: number;
  readonly describe: number;
  readonly pin: number;
  /** Commands that no operator in his right mind would give. */
  readonly wrong: number;
}

export interface Profile {
  readonly name: string;
  /** Founding voters. */
  readonly nodeCount: number;
  /** Nodes with empty disks that are no members at first. */
  readonly spareCount: number;
  readonly chaosMs: number;
  readonly network: NetworkProfile;
  readonly rates: FaultRates;
  readonly operators: OperatorRates;
  /** Each seed leaves out some kinds of faults and commands altogether. */
  readonly isSwarm: boolean;
  readonly downMsMax: number;
  readonly partitionMsMax: number;
  readonly pauseMsMax: number;
  readonly diskMsMax: number;
  readonly stallMsMax: number;
  readonly applyMsMax: number;
  readonly proposalsPerSecond: number;
  readonly readsPerSecond: number;
  readonly payloadSizeBytesMax: number;
  readonly segmentSizeBytes: number;
  readonly appendSizeBytesMax: number;
  readonly inflightCountMax: number;
  readonly uncommittedSizeBytesMax: number;
  /** Entries between two snapshots of a node; 0: it takes none. */
  readonly snapshotEveryCount: number;
  readonly snapshotMsMax: number;
}

export const NO_FAULTS: FaultRates = {
  crash: 0,
  crashLeader: 0,
  trap: 0,
  partition: 0,
  flap: 0,
  isolateLeader: 0,
  storm: 0,
  clog: 0,
  narrow: 0,
  replay: 0,
  stall: 0,
  pause: 0,
  wipe: 0,
  restore: 0,
  clone: 0,
};

export const NO_OPERATORS: OperatorRates = {
  transfer: 0,
  addLearner: 0,
  promote: 0,
  remove: 0,
  replace: 0,
  describe: 0,
  pin: 0,
  wrong: 0,
};

const QUIET_NETWORK: NetworkProfile = {
  delayMsMax: 5,
  lossPermille: 0,
  duplicatePermille: 0,
  slowPermille: 0,
  slowDelayMsMax: 0,
};

/** Nothing goes wrong. */
export const CALM: Profile = {
  name: 'calm',
  nodeCount: 3,
  spareCount: 0,
  chaosMs: 60_000,
  network: QUIET_NETWORK,
  rates: NO_FAULTS,
  operators: NO_OPERATORS,
  isSwarm: false,
  downMsMax: 5_000,
  partitionMsMax: 10_000,
  pauseMsMax: 5_000,
  diskMsMax: 2,
  stallMsMax: 4_000,
  applyMsMax: 5,
  proposalsPerSecond: 5,
  readsPerSecond: 0,
  payloadSizeBytesMax: KIB,
  // Small enough that fillers and segment starts are everyday events.
  segmentSizeBytes: 16 * KIB,
  appendSizeBytesMax: 4 * KIB,
  inflightCountMax: 8,
  // A deposed leader fills this and must refuse.
  uncommittedSizeBytesMax: 32 * KIB,
  snapshotEveryCount: 0,
  snapshotMsMax: 500,
};

/** Profiles of older files know less than there is today; what they do not name does not happen. */
export function completeProfile(profile: Partial<Profile>): Profile {
  return {
    ...CALM,
    ...profile,
    rates: { ...NO_FAULTS, ...profile.rates },
    operators: { ...NO_OPERATORS, ...profile.operators },
  };
}

/**
 * What a seed leaves of a swarm profile. Trouble of one kind hides trouble of another: a node that
 * crashes every few seconds never gets as far as a bug that needs a quiet minute.
 */
export function weatherOf(seed: number, profile: Profile): Profile {
  if (!profile.isSwarm) return profile;
  const random = new Prng(seed, 'swarm');
  const some = <T extends object>(rates: T): T => {
    const kept = Object.entries(rates).map(([kind, rate]) => [
      kind,
      random.chance(1, 2) ? rate : 0,
    ]);
    return Object.fromEntries(kept) as T;
  };
  const { network } = profile;
  const isRough = random.chance(1, 2);
  return {
    ...profile,
    rates: some(profile.rates),
    operators: random.chance(2, 3) ? some(profile.operators) : NO_OPERATORS,
    network: isRough ? network : { ...QUIET_NETWORK, delayMsMax: network.delayMsMax },
    readsPerSecond: random.chance(1, 2) ? profile.readsPerSecond : 0,
    snapshotEveryCount: random.chance(1, 2) ? profile.snapshotEveryCount : 0,
  };
}
