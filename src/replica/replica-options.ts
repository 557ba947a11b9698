/** What a replica is started from, and what it offers beyond the contract in replica.ts. */
import type { RandomSource } from '../base/prng.ts';
import type { LogIndex, NodeId } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import type { AlarmId } from '../raft/effects.ts';
import type { ChangeProblem, LoggedMembership } from '../raft/membership.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { DerivedState } from '../store/derived/derived-state.ts';
import type { SwitchableState } from '../store/derived/switchable-state.ts';
import type { BackupDesk } from './backup/backup-desk.ts';
import type { BackupServiceEvent } from './backup/backup-event.ts';
import type { PeerCounters, PeerTransport } from './peer-transport.ts';
import type { LogExtent, NodeAddresses, PeerRefusalStatus, Replica } from './replica.ts';
import type { SnapshotParts } from './snapshot/snapshot-desk.ts';
import type { SnapshotEvent } from './snapshot/snapshot-event.ts';
import type { SnapshotKeeper } from './snapshot/snapshot-keeper.ts';
import type { SnapshotAnswers } from './snapshot/snapshot-port.ts';
import type { SnapshotMetrics } from './snapshot/snapshot-status.ts';

export interface ReplicaOptions {
  readonly identity: {
    readonly clusterId: string;
    readonly groupId: string;
    readonly nodeId: NodeId;
  };
  /**
   * The group as it was founded, the same on every node for ever: what the log stands on until a
   * config entry says otherwise. A node that joins later is not among them.
   */
  readonly members: readonly GroupMember[];
  /** Where this node is reached; told to the peers. */
  readonly addresses: NodeAddresses;
  /** Open; the replica closes it. */
  readonly log: CommitLog;
  /** Open; the replica closes it. */
  readonly state: DerivedState;
  /** Not started; the replica starts and closes it. */
  readonly transport: PeerTransport;
  /** Left out: nothing is ever removed from the log. */
  readonly snapshots?: SnapshotParts;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Of this program, told to whoever takes a backup. */
  readonly version?: string;
  readonly tickMs?: number;
  readonly timing?: Partial<RaftTiming>;
  /** The replica stands still from here on; the owner ends the process. At most once. */
  readonly onFatal: (error: Error) => void;
  readonly onEvent: (event: ReplicaEvent) => void;
}

/** The same with derived state that can be replaced. */
export interface ReplicaParts extends ReplicaOptions {
  readonly state: SwitchableState;
}

export interface GroupMember {
  readonly nodeId: NodeId;
  /** `host:port` of its peer service. */
  readonly raftAddress: string;
}

/** In ticks; defaults in raft/limits.ts. */
export interface RaftTiming {
  readonly heartbeatTicks: number;
  readonly electionTimeoutTicksMin: number;
  readonly electionTimeoutTicksMax: number;
  readonly progressTimeoutTicks: number;
  readonly extentPollTicks: number;
  readonly preferenceTicks: number;
}

/** What an operator should read in the log; nothing here needs an answer. */
export type ReplicaEvent =
  | { readonly kind: 'alarm'; readonly id: AlarmId; readonly details: object }
  /** The log does not continue where a leader says it does: a damaged or foreign copy. */
  | { readonly kind: 'chainBroken'; readonly from: NodeId; readonly index: number }
  /** In force here from now on, committed or not. */
  | { readonly kind: 'membershipChanged'; readonly current: LoggedMembership }
  | SnapshotEvent
  | BackupServiceEvent
  /** A peer wants to replace our log by a snapshot that is not here. */
  | { readonly kind: 'snapshotIgnored'; readonly from: NodeId; readonly index: LogIndex }
  /** Most members refuse this node; when it lasts, the replica gives up. */
  | { readonly kind: 'refusedByGroup'; readonly refusedBy: readonly PeerRefusalStatus[] }
  /** This node is not a member any more and ends soon. `by`: who said so; empty: its own log. */
  | { readonly kind: 'removedFromGroup'; readonly by: readonly NodeId[] }
  /** The stores of the members cannot be brought into the membership, for reasons that stay. */
  | { readonly kind: 'storesNotPinned'; readonly problems: readonly ChangeProblem[] }
  /** A log write has been unfinished for too long; as a leader we step down (H11). */
  | { readonly kind: 'diskStalled'; readonly pendingMs: number }
  | { readonly kind: 'diskRecovered' };

/** Cumulative counts and current sizes, for metrics. */
export interface ReplicaMetrics {
  readonly entriesProposed: number;
  readonly recordsProposed: number;
  readonly bytesProposed: number;
  readonly proposalsRefused: number;
  readonly proposalsQueued: number;
  readonly entriesOpen: number;
  readonly readsWaiting: number;
  readonly leadershipsGained: number;
  readonly pausesSeen: number;
  readonly tickDelayMsMax: number;
  readonly diskStalled: boolean;
  readonly peers: PeerCounters;
  /** null for a replica without snapshots. */
  readonly snapshots: SnapshotMetrics | null;
}

export interface RunningReplica extends Replica {
  metrics(): ReplicaMetrics;
  /** null for a replica without snapshots. */
  readonly snapshotAnswers: SnapshotAnswers | null;
  /** The same. */
  readonly snapshotKeeper: SnapshotKeeper | null;
  /** null for a replica without snapshots. */
  readonly backups: BackupDesk | null;
  /**
   * The log as far as retention is concerned, at this moment.
   * @param isDiskNearlyFull members that are behind do not count then (H17)
   */
  logExtent(isDiskNearlyFull: boolean): LogExtent;
}
