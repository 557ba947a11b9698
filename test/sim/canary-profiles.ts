/**
 * Weather for planted bugs that need a rare coincidence. Fair like all the other profiles; they are
 * not among those that every test run goes through, because they look for little else.
 */
import type { Witness } from './canary.ts';
import { type Profile, profileNamed } from './profiles.ts';

const SLOW_DISK = profileNamed('slow-disk-3');
const ELECTIONS = profileNamed('elections-3');
const SNAPSHOTS = profileNamed('snapshots-3');

/** Deposed leaders come back with long tails, and crash while a slow disk cuts them. */
const CUT_AND_CRASH: Profile = {
  ...SLOW_DISK,
  name: 'cut-and-crash-3',
  rates: { ...SLOW_DISK.rates, crash: 40, isolateLeader: 30, stall: 20, pause: 0, trap: 0 },
  partitionMsMax: 4_000,
  stallMsMax: 3_000,
  diskMsMax: 600,
  downMsMax: 500,
  proposalsPerSecond: 30,
};

/** Short runs of elections in which voters crash as soon as they have voted. */
const SPLIT_VOTES: Profile = {
  ...ELECTIONS,
  name: 'split-votes-3',
  chaosMs: 20_000,
  rates: { ...ELECTIONS.rates, trap: 200, crashLeader: 30 },
  diskMsMax: 150,
};

/** Snapshots every few entries, installed all the time, their messages repeated much later. */
const OLD_SNAPSHOTS: Profile = {
  ...SNAPSHOTS,
  name: 'old-snapshots-3',
  network: { ...SNAPSHOTS.network, duplicatePermille: 200, slowPermille: 100 },
  chaosMs: 30_000,
  rates: { ...SNAPSHOTS.rates, crash: 0, crashLeader: 0, trap: 0, partition: 30, replay: 400 },
  partitionMsMax: 2_000,
  proposalsPerSecond: 30,
  snapshotEveryCount: 8,
  snapshotMsMax: 100,
};

/** Nodes that install a snapshot crash while they do. */
const CRASHED_INSTALLS: Profile = {
  ...SNAPSHOTS,
  name: 'crashed-installs-3',
  rates: { ...SNAPSHOTS.rates, crash: 20, trap: 80, partition: 20 },
  partitionMsMax: 3_000,
  diskMsMax: 200,
  proposalsPerSecond: 30,
  snapshotEveryCount: 8,
  snapshotMsMax: 100,
};

export const CANARY_PROFILES: ReadonlyMap<string, Profile> = new Map(
  [CUT_AND_CRASH, SPLIT_VOTES, OLD_SNAPSHOTS, CRASHED_INSTALLS].map((profile) => [
    profile.name,
    profile,
  ]),
);

export function profileOf({ profile }: Pick<Witness, 'profile'>): Profile {
  return CANARY_PROFILES.get(profile) ?? profileNamed(profile);
}
