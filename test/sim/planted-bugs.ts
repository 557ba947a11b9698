/**
 * Classic mistakes, planted in the driver, in the disk, in the handshake or in the core's rules, to
 * prove that the simulator would find them. Test code only: production has no switch for any of this.
 */
import { LogIndex, Term } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { SafetyRules } from '../../src/raft/rules.ts';
import type { SimNode } from './node.ts';

export type DriverBug =
  /** Sends what a persist holds back without waiting for it. */
  | 'repliesBeforeDurable'
  /** Tells clients of success when the entry is appended. */
  | 'acknowledgesUnapplied'
  /** Heartbeats carry the leader's commit, not what the receiver is known to hold (hazard H12). */
  | 'heartbeatsCommitPastMatch'
  /** Says yes to every candidate of the current term. */
  | 'grantsEveryVote';

export type DiskBug =
  /** After a restart the vote is gone. */
  | 'votesForgotten'
  /** After a restart the term is that of the last entry. */
  | 'termsForgotten'
  /** A cut removes entries from its first index on, and a crash in between leaves a hole (H13). */
  | 'cutsFrontToBack'
  /** Installing a snapshot leaves the old log: a restart finds its entries above the snapshot (H8). */
  | 'keepsLogOverSnapshot';

/** What the handshake between nodes does not look at (H21 to H23). */
export type IdentityBug =
  /** A voter that comes back with an empty directory, and a new store id, is a voter still. */
  | 'wipedVoterVotes'
  /** The store id is never compared: a directory that belongs to another node is as good. */
  | 'storeNotChecked'
  /** A directory that is older than what peers have seen of it is taken back. */
  | 'oldImageAccepted';

export interface PlantedBugs {
  readonly rules: SafetyRules | null;
  readonly driver: DriverBug | null;
  readonly disk: DiskBug | null;
  readonly identity: IdentityBug | null;
}

export const NO_BUGS: PlantedBugs = { rules: null, driver: null, disk: null, identity: null };

/** @returns a vote that the core never gave. */
export function forgeVote(bug: DriverBug | null, node: SimNode, message: Message): Message | null {
  if (bug !== 'grantsEveryVote' || message.kind !== 'voteRequest') return null;
  const isBehind = message.last.index < node.status.lastIndex;
  if (isBehind || message.term < node.status.term) return null;
  return { kind: 'voteReply', term: Term(message.term), granted: true };
}

/** Heartbeats that carry the leader's commit, not what the receiver is known to hold (H12). */
export function falsifySent(bug: DriverBug | null, node: SimNode, message: Message): Message {
  if (bug !== 'heartbeatsCommitPastMatch' || message.kind !== 'heartbeat') return message;
  return { ...message, commitIndex: node.status.commitIndex };
}

export function falsifyReceived(bug: DriverBug | null, node: SimNode, message: Message): Message {
  if (bug !== 'heartbeatsCommitPastMatch' || message.kind !== 'heartbeat') return message;
  const commitIndex = LogIndex(Math.min(message.commitIndex, node.status.durableIndex));
  return { ...message, commitIndex };
}
