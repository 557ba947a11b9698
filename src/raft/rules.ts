/**
 * The decisions on which safety hangs, each as one small function, so that the simulator can replace
 * one by a classic bug and prove that it finds it. Production never passes anything but
 * `standardRules`; there is no flag and no environment variable.
 */
import { LogIndex, type NodeId, type Term } from '../base/units.ts';
import type { TermLookup } from './core-types.ts';
import type { EntryDesc } from './entry.ts';
import type { Membership } from './membership.ts';

export interface SafetyRules {
  // Replication.

  /** May a leader of `currentTerm` commit an entry of `entryTerm` by counting copies (Raft 5.4.2)? */
  mayCommitByCounting(entryTerm: Term, currentTerm: Term): boolean;
  /** Does what we have at the place before a message's entries equal what the leader has (5.3)? */
  matchesPrev(ours: TermLookup, theirs: Term): boolean;
  /**
   * The first index to cut before `incoming` is appended, null for no cut. `incoming` follows an
   * entry that is known to match. A cut needs a proven conflict (Raft 5.3, hazard H13).
   */
  cutFrom(log: LogTerms, incoming: readonly EntryDesc[]): LogIndex | null;
  /** What a follower may take for committed after a message that verified up to `verifiedIndex` (H12). */
  followerCommit(leaderCommit: LogIndex, verifiedIndex: LogIndex, lastIndex: LogIndex): LogIndex;
  /** May a snapshot that ends here replace the log (H18)? */
  snapshotReplacesLog(snapshotIndex: LogIndex, commitIndex: LogIndex): boolean;

  // Durability.

  /** Highest own index that may be acknowledged to a leader or counted for commit. */
  countableIndex(lastIndex: LogIndex, durableIndex: LogIndex): LogIndex;
  /** What is durable after a write up to `lastIndex`, given the cuts that still wait behind it (H14). */
  durableAfter(lastIndex: LogIndex, queuedCuts: readonly LogIndex[]): LogIndex;
  /** Must a granted vote be durable before the reply leaves (Raft 5.2, hazard H7)? */
  voteWaitsForDisk(): boolean;

  // Elections.

  /** Does a node ask whether it could win before it enters a new term (thesis 9.6)? */
  asksBeforeCampaign(): boolean;
  /** Is a newer term taken over from a candidate whose log is too old to be elected (dledger #325)? */
  adoptsTermOfStaleCandidate(): boolean;
  /** Does a leader whose disk stalls step down (H11)? */
  stalledLeaderStepsDown(): boolean;
  /** May leadership go to a node in this condition (H11, thesis 3.10)? */
  mayHandOverTo(target: HandoverTarget): boolean;

  // Membership.

  /** Each of these sets decides by its own majority (thesis 4.3). */
  decidingSets(membership: Membership): readonly (readonly NodeId[])[];
  /** May the leader append another membership now (H20)? */
  mayChangeMembership(situation: ChangeSituation): boolean;
  /** Is the membership before a change in force again when the change is cut from the log? */
  rollsBackMembership(): boolean;
  /** Does a leader forget the acknowledgements of a node that it has removed? */
  forgetsRemovedPeers(): boolean;

  // Reads.

  /** Does an answer to round `answered` confirm the reads of round `asked` (H24)? */
  roundConfirms(answered: number, asked: number): boolean;
  /** Must the leader have committed in its own term before it reads (thesis 6.4)? */
  readWaitsForOwnTermCommit(): boolean;
  /** Must a majority confirm the leader after the read arrived? Without it a read is a clock lease. */
  readWaitsForRound(): boolean;
}

export interface LogTerms {
  readonly lastIndex: LogIndex;
  termAt(index: LogIndex): TermLookup;
}

export interface HandoverTarget {
  readonly isActive: boolean;
  readonly isDiskStalled: boolean;
  readonly lagBytes: number;
  readonly lagBytesMax: number;
}

export interface ChangeSituation {
  readonly hasCommittedInOwnTerm: boolean;
  /** The newest config entry is not committed, or the change is still joint. */
  readonly hasChangeInFlight: boolean;
}

export const standardRules: SafetyRules = {
  mayCommitByCounting: (entryTerm, currentTerm) => entryTerm === currentTerm,

  // A compacted entry was committed, and so is equal everywhere (H16).
  matchesPrev: (ours, theirs) => ours === 'compacted' || ours === theirs,

  cutFrom(log, incoming) {
    for (const entry of incoming) {
      const ours = log.termAt(entry.index);
      // A message that is shorter than the log, or that only repeats it, proves nothing.
      if (ours === 'absent') return null;
      if (ours !== 'compacted' && ours !== entry.term) return entry.index;
    }
    return null;
  },

  followerCommit: (leaderCommit, verifiedIndex) => LogIndex(Math.min(leaderCommit, verifiedIndex)),

  snapshotReplacesLog: (snapshotIndex, commitIndex) => snapshotIndex > commitIndex,

  countableIndex: (_lastIndex, durableIndex) => durableIndex,

  durableAfter: (lastIndex, queuedCuts) =>
    queuedCuts.reduce((index, cut) => LogIndex(Math.min(index, cut - 1)), lastIndex),

  voteWaitsForDisk: () => true,
  asksBeforeCampaign: () => true,
  adoptsTermOfStaleCandidate: () => true,
  stalledLeaderStepsDown: () => true,

  mayHandOverTo: ({ isActive, isDiskStalled, lagBytes, lagBytesMax }) =>
    isActive && !isDiskStalled && lagBytes <= lagBytesMax,

  decidingSets: ({ voters, outgoing }) => (outgoing.length === 0 ? [voters] : [voters, outgoing]),

  mayChangeMembership: ({ hasCommittedInOwnTerm, hasChangeInFlight }) =>
    hasCommittedInOwnTerm && !hasChangeInFlight,

  rollsBackMembership: () => true,
  forgetsRemovedPeers: () => true,
  roundConfirms: (answered, asked) => answered >= asked,
  readWaitsForOwnTermCommit: () => true,
  readWaitsForRound: () => true,
};
