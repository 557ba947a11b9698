/**
 * Situations that a good set of seeds must have met. A checker that was never near trouble proves
 * nothing: the test fails when one of these stays at zero. What they are recognised by is in
 * mark-watchers.ts; the world and the phases report some of them themselves.
 */

import { type Checker, Switchboard } from './checkers/observers.ts';
import { addWatchers } from './mark-watchers.ts';
import type { World } from './world.ts';

export const MARKS = [
  // Elections.
  'elected',
  'electedBehindNewerLeader',
  'steppedDownUnheard',
  'steppedDownWithoutProgress',
  'steppedDownDiskStalled',
  'voteRefused',
  'voteRefusedDiskStalled',
  'voteGrantedByLearner',
  'preVoteRefusedBySticky',
  'preVoteGrantedToOwnLeader',
  'preVoteLost',
  'tornTailReported',
  'extentPollWaited',
  'extentPollGaveWay',
  // The log.
  'appendRejected',
  'logCut',
  'durableEntriesCut',
  'severalTermsCut',
  'queuedEntriesCut',
  'sameEntryQueuedAgain',
  'oldTermCommitted',
  'fillerCommitted',
  'compactedPrevAccepted',
  'proposalRefused',
  'proposalRefusedFull',
  'proposalRefusedTransferring',
  'overwrittenReported',
  // Snapshots.
  'compacted',
  'snapshotSent',
  'snapshotFailed',
  'snapshotInstalled',
  'snapshotNotNeeded',
  'snapshotOvertaken',
  'snapshotOutlivedSender',
  'snapshotArrivedUnknown',
  'snapshotRacedAppend',
  'twoSnapshotsToOneNode',
  'snapshotBroughtMembership',
  'installLostInCrash',
  'installTornBeforeSwitch',
  'installTornAfterSwitch',
  // Membership.
  'learnerAdded',
  'learnerPromoted',
  'voterRemoved',
  'voterReplaced',
  'jointEntered',
  'jointLeft',
  'jointLeftByNewLeader',
  'jointRolledBack',
  'membershipRolledBack',
  'membershipSurvivedRestart',
  'leaderRemovedItself',
  'removedLeaderHandedOver',
  'removedVoterCampaigned',
  'strangerMet',
  'storePinned',
  'changeRefusedStale',
  'changeRefusedInFlight',
  'changeRefusedOwnTerm',
  'changeRefusedBehind',
  'changeRefusedNoQuorum',
  'changeRefusedInvalid',
  'changeRefusedNotLeader',
  'removedIdRefused',
  // Transfers.
  'transferDone',
  'transferAborted',
  'transferRefused',
  'transferByPriority',
  'campaignedWithoutAsking',
  // Reads.
  'readConfirmed',
  'readRefused',
  'readRefusedAtStepDown',
  'readWaitedForOwnTerm',
  'readWaitedForNextRound',
  'readWaitedForApply',
  // Processes, disks, network.
  'diskStalled',
  'tickSwallowedAfterPause',
  'resumedAsLeader',
  'pathFull',
  'frameReplayed',
  // Identity.
  'wipedNodeRefused',
  'oldImageRefused',
  'cloneRefused',
  // Phases.
  'coreHealed',
] as const;
export type Mark = (typeof MARKS)[number];

/** Too rare for the few seeds of a test run; the long runs of main.ts meet them. */
export const RARE_MARKS: ReadonlySet<Mark> = new Set<Mark>([
  'electedBehindNewerLeader',
  'voteGrantedByLearner',
  'queuedEntriesCut',
  'sameEntryQueuedAgain',
  'jointRolledBack',
  'jointLeftByNewLeader',
  'snapshotNotNeeded',
  'snapshotOvertaken',
  'snapshotOutlivedSender',
  'snapshotArrivedUnknown',
  'twoSnapshotsToOneNode',
  'installLostInCrash',
  'installTornBeforeSwitch',
  'installTornAfterSwitch',
]);

/** Too contrived for chance: the scenarios in test/sim/scenarios/ bring them about. */
export const SCRIPTED_MARKS: ReadonlySet<Mark> = new Set<Mark>(['sameEntryQueuedAgain']);

export class Marks extends Switchboard implements Checker {
  readonly #world: World;
  readonly #counts = new Map<Mark, number>();

  constructor(world: World) {
    super();
    this.#world = world;
    addWatchers(this, world, (mark) => this.hit(mark));
  }

  get counts(): ReadonlyMap<Mark, number> {
    const { lostToCapacityCount } = this.#world.network;
    if (lostToCapacityCount > 0) this.#counts.set('pathFull', lostToCapacityCount);
    return this.#counts;
  }

  hit(mark: Mark): void {
    this.#counts.set(mark, (this.#counts.get(mark) ?? 0) + 1);
  }
}
