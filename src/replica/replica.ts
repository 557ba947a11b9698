/**
 * The contract of a replica: raft, store and peers made into one replicated log with derived state.
 * The broker proposes records and reads derived state; it never sees the core.
 */
import type { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { Role, TransferRefusal } from '../raft/effects.ts';
import type { ChangeProblem, LoggedMembership, MembershipStep } from '../raft/membership.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { CommittedEntry, DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import type { LogStart } from '../store/derived/log-start.ts';
import type { InstallStatus } from './snapshot/snapshot-status.ts';

/** Records that must be applied together: they travel in one entry. */
export interface RecordsProposal {
  /** One encoded record after the other. */
  readonly records: Uint8Array;
  /**
   * Where message records start in `records`. The replica writes each one's physical offset (the
   * field at byte 28 of the record) when it places the entry: only then is it known.
   */
  readonly messageRecordAt: readonly number[];
}

/**
 * `applied`: committed, durable on a majority and applied here. `rejected`: surely never in the log.
 * `unknown`: appended, but leadership was lost before we learned the outcome; asking again with the
 * same message id is safe (promise 2 of the design).
 */
export type ProposeOutcome =
  | {
      readonly kind: 'applied';
      readonly index: LogIndex;
      readonly term: Term;
      readonly results: readonly RecordResult[];
    }
  | { readonly kind: 'rejected'; readonly why: 'notLeader' | 'busy' | 'tooLarge' }
  | { readonly kind: 'unknown' };

/**
 * `ok`: this node led after the call, and what is applied here includes everything that was
 * acknowledged before it. `rejected`: ask whoever leads now, or later.
 */
export type ReadOutcome =
  | { readonly kind: 'ok'; readonly index: LogIndex }
  | { readonly kind: 'rejected'; readonly why: 'notLeader' | 'busy' };

/**
 * `handedOver`: our term is over. `aborted`: the target did not take over in time, and this node
 * leads on. `unknown`: this node stops and will not learn it.
 */
export type TransferOutcome =
  | { readonly kind: 'handedOver' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'refused'; readonly why: TransferRefusal }
  | { readonly kind: 'unknown' };

/** `accepted`: in the log of the leader and in force there; it holds when it is committed. */
export type ChangeOutcome =
  | { readonly kind: 'accepted'; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: 'refused'; readonly problems: readonly ChangeProblem[] };

/** Addresses a node tells its peers in the handshake. */
export interface NodeAddresses {
  /** Peers, forwarding and administration. */
  readonly raft: string;
  /** RocketMQ 5 clients. */
  readonly grpc: string;
  readonly http: string;
}

export interface PeerStatus {
  readonly nodeId: NodeId;
  /** Some stream to or from the peer is up. */
  readonly connected: boolean;
  /** null before the first handshake. */
  readonly addresses: NodeAddresses | null;
  /** Leader only: what the peer is known to have on disk. */
  readonly matchIndex: LogIndex | null;
  readonly lagBytes: number | null;
  /** Leader only: it answered within an election timeout. */
  readonly isActive: boolean | null;
  readonly isDiskStalled: boolean;
}

/** A member's last word to us, when it was no. */
export interface PeerRefusalStatus {
  readonly nodeId: NodeId;
  readonly code: string;
  readonly sentence: string;
}

export interface ReplicaStatus {
  /** In force here, and whether it is known to be committed. */
  readonly membership: LoggedMembership;
  readonly isMembershipCommitted: boolean;
  /** Leader only: whom it is handing over to. */
  readonly transferTo: NodeId | null;
  /** A log write has been unfinished for too long (H11). */
  readonly isDiskStalled: boolean;
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly groupId: string;
  readonly storeUuid: string;
  readonly role: Role;
  readonly term: Term;
  readonly leader: NodeId | null;
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** One past the last byte of the last entry. */
  readonly endOffset: PhysicalOffset;
  /** Of the log on this node's disk; the group's decision, once applied, is `logStart`. */
  readonly firstIndex: LogIndex;
  readonly logStart: LogStart;
  /** From there to the end of the log. */
  readonly keptBytes: number;
  /** A snapshot is on its way into this node, which is not of use until then. */
  readonly install: InstallStatus | null;
  readonly peers: readonly PeerStatus[];
  /** Members that refuse this node; when they are most of them, it ends (group-standing.ts). */
  readonly refusedBy: readonly PeerRefusalStatus[];
  /** It knows that it was removed from its group, and ends in a moment (removal.ts). */
  readonly isRemoved: boolean;
}

/** Where the entries of a segment begin. */
export interface SegmentExtent {
  readonly firstIndex: LogIndex;
  /** Of the header of that entry. */
  readonly physicalOffset: PhysicalOffset;
}

/** The log as far as retention is concerned. */
export interface LogExtent {
  /** Of the segments that are there, oldest first. */
  readonly segments: readonly SegmentExtent[];
  readonly endOffset: PhysicalOffset;
  /** Entries before this one are applied here, and waited for by no member that counts. 0: nothing may go. */
  readonly removableBefore: LogIndex;
}

/** Leadership that may serve: a no-op of this term is committed and applied here. */
export interface Leadership {
  readonly term: Term;
}

export interface Replica {
  readonly log: CommitLog;
  readonly state: DerivedState;
  status(): ReplicaStatus;

  /** null unless this node leads and may serve. */
  leadership(): Leadership | null;
  /** The leader this node believes in, itself included. */
  leader(): NodeId | null;
  addressesOf(nodeId: NodeId): NodeAddresses | null;

  /**
   * Resolves when the outcome is known; never rejects. In one leadership, proposals are placed in
   * the order of the calls. Bounded: refuses with `busy` before anything is appended.
   *
   * @param onQueued runs before `propose` returns, unless the proposal is refused. From then on it is
   *   in the log before all later ones, or, with the end of the leadership, so are none of them.
   */
  propose(proposal: RecordsProposal, onQueued?: () => void): Promise<ProposeOutcome>;

  /**
   * Resolves when a majority has confirmed, after the call, that this node still leads, and all that
   * was acknowledged before the call is applied here; never rejects.
   */
  readBarrier(): Promise<ReadOutcome>;

  /** Leader only. While it is under way proposals wait. Never rejects. */
  transferLeadership(to: NodeId): Promise<TransferOutcome>;

  /**
   * Leader only. Compare and set: refused unless the membership in force is the one at
   * `ifMembershipIndex`. Never rejects.
   */
  changeMembership(
    steps: readonly MembershipStep[],
    ifMembershipIndex: LogIndex,
  ): Promise<ChangeOutcome>;

  /** Runs in the turn in which leadership is gained (after the no-op is applied) or lost. */
  onLeadership(listener: (leadership: Leadership | null) => void): void;
  /** Runs at every change of role, term or leader. */
  onRoleChange(listener: (status: ReplicaStatus) => void): void;
  /** Runs after each applied entry, in log order, before proposers are told. */
  onApplied(listener: (entry: CommittedEntry, results: readonly RecordResult[]) => void): void;

  close(): Promise<void>;
}
