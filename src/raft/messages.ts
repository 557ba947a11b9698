/** What replicas say to each other. The type is the protocol page; the codec is in protocol/. */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from './entry.ts';
import type { LoggedMembership } from './membership.ts';

export type Message =
  | PreVoteRequest
  | PreVoteReply
  | VoteRequest
  | VoteReply
  | AppendRequest
  | AppendAccepted
  | AppendRejected
  | InstallSnapshot
  | Heartbeat
  | HeartbeatReply
  | CampaignNow;

/** Would you vote for me in `term`? Changes nothing durable at the receiver (Raft thesis 9.6). */
export interface PreVoteRequest {
  readonly kind: 'preVoteRequest';
  /** The term the sender would campaign in: its own plus one. */
  readonly term: Term;
  readonly last: EntryId;
}

export interface PreVoteReply {
  readonly kind: 'preVoteReply';
  /** Granted: the requested term, echoed. Refused: the receiver's own term. */
  readonly term: Term;
  readonly granted: boolean;
  /** End of the receiver's log: what a candidate compares itself with after a restart of all. */
  readonly last: EntryId;
  /** The receiver cut bytes of unknown fate from its log when it started (log-extent poll). */
  readonly hasTornTail: boolean;
}

export interface VoteRequest {
  readonly kind: 'voteRequest';
  readonly term: Term;
  readonly last: EntryId;
  /** The leader itself asked for this campaign: that it is alive is no reason to refuse. */
  readonly isTransfer: boolean;
}

/** Leaves a node only after (term, vote) is durable there. */
export interface VoteReply {
  readonly kind: 'voteReply';
  readonly term: Term;
  readonly granted: boolean;
}

/** Entries that follow `prev`; without entries it is a probe. */
export interface AppendRequest {
  readonly kind: 'appendRequest';
  readonly term: Term;
  readonly prev: EntryId;
  readonly entries: readonly EntryDesc[];
  /** What the config entries among `entries` say. On the wire this is their payload. */
  readonly memberships: readonly LoggedMembership[];
  readonly commitIndex: LogIndex;
}

/** Everything up to `matchIndex` equals the leader's log and is durable at the sender. */
export interface AppendAccepted {
  readonly kind: 'appendAccepted';
  readonly term: Term;
  readonly matchIndex: LogIndex;
}

/** The sender has no entry `rejected`. The hint lets the leader skip a whole term (Raft 5.3). */
export interface AppendRejected {
  readonly kind: 'appendRejected';
  readonly term: Term;
  readonly rejected: EntryId;
  /** Largest index at the sender that may match: its entry there has `hint.term`. */
  readonly hint: EntryId;
}

/**
 * Replaces a log that ends before the leader's begins. Reaches the core when the files of the
 * snapshot are verified and staged; until the persist is done nothing of them counts (H18).
 */
export interface InstallSnapshot {
  readonly kind: 'installSnapshot';
  readonly term: Term;
  readonly snapshot: SnapshotDesc;
}

export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly term: Term;
  /** Number of a question to all, unique in the term: an answer to it is younger than it (H24). */
  readonly round: number;
  /** min(leader's commit, match of the receiver): the receiver surely holds it. */
  readonly commitIndex: LogIndex;
}

export interface HeartbeatReply {
  readonly kind: 'heartbeatReply';
  readonly term: Term;
  /** Of the heartbeat that is answered; 0 in an answer to anything else. */
  readonly round: number;
  /** The sender's last and durable index: lets the leader see loss and lag. */
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
  /** The sender's disk does not finish its writes: it must not be made leader. */
  readonly isDiskStalled: boolean;
}

/** The leader hands over: campaign at once, without asking first (Raft thesis 3.10). */
export interface CampaignNow {
  readonly kind: 'campaignNow';
  readonly term: Term;
}

/** A message with its receiver. */
export interface Envelope {
  readonly to: NodeId;
  readonly message: Message;
}
