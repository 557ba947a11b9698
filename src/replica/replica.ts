/**
 * The contract of a replica: raft, store and peers made into one replicated log with derived state.
 * The broker proposes records and reads derived state; it never sees the core.
 */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { Role } from '../raft/effects.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { CommittedEntry, DerivedState, RecordResult } from '../store/derived/derived-state.ts';

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
}

export interface ReplicaStatus {
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
  readonly peers: readonly PeerStatus[];
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

  /** Runs in the turn in which leadership is gained (after the no-op is applied) or lost. */
  onLeadership(listener: (leadership: Leadership | null) => void): void;
  /** Runs at every change of role, term or leader. */
  onRoleChange(listener: (status: ReplicaStatus) => void): void;
  /** Runs after each applied entry, in log order, before proposers are told. */
  onApplied(listener: (entry: CommittedEntry, results: readonly RecordResult[]) => void): void;

  close(): Promise<void>;
}
