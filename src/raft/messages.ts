/** What replicas say to each other. The type is the protocol page; the codec is in protocol/. */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { EntryDesc, EntryId } from './entry.ts';

export type Message =
  | PreVoteRequest
  | PreVoteReply
  | VoteRequest
  | VoteReply
  | AppendRequest
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply;

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
}

export interface VoteRequest {
  readonly kind: 'voteRequest';
  readonly term: Term;
  readonly last: EntryId;
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

export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly term: Term;
  /** min(leader's commit, match of the receiver): the receiver surely holds it. */
  readonly commitIndex: LogIndex;
}

export interface HeartbeatReply {
  readonly kind: 'heartbeatReply';
  readonly term: Term;
  /** The sender's last and durable index: lets the leader see loss and lag. */
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
}

/** A message with its receiver. */
export interface Envelope {
  readonly to: NodeId;
  readonly message: Message;
}
