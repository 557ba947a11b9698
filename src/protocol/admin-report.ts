/** What nodes say about the group and themselves when an operator asks (Admin.Call). */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { Check } from './admin-plan.ts';

/** The membership in force at the node that answers. */
export interface MembersReport {
  readonly clusterId: string;
  readonly groupId: string;
  readonly answeredBy: NodeId;
  /** Else it may be outdated: the answer of one node, made without the others. */
  readonly isFromLeader: boolean;
  readonly term: Term;
  readonly leader: NodeId | null;
  /** The config entry in force; 0: the founding. */
  readonly configIndex: LogIndex;
  readonly isCommitted: boolean;
  readonly voters: readonly NodeId[];
  /** The old voters of a joint phase; else empty. */
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Ids that were members once: never used again. */
  readonly removed: readonly NodeId[];
  readonly members: readonly MemberReport[];
  /** The operation that is under way. */
  readonly lock: LockReport | null;
  readonly featureLevel: number;
}

/** `incoming`, `outgoing`: in a joint phase, voters of the new or the old set only. */
export const MEMBER_ROLES = ['voter', 'learner', 'incoming', 'outgoing'] as const;

export interface MemberReport {
  readonly nodeId: NodeId;
  readonly role: (typeof MEMBER_ROLES)[number];
  /** Pinned by the group; null: not yet. */
  readonly storeUuid: string | null;
  readonly raftAddress: string;
  readonly priority: number;
  readonly isDrained: boolean;
  /** A learner whose process has not used its token yet. */
  readonly isJoining: boolean;
  /** A stream to or from the answering node is up. */
  readonly isConnected: boolean;
  /** Leader only: heard within an election timeout. */
  readonly isLive: boolean | null;
  readonly matchIndex: LogIndex | null;
  readonly lagBytes: number | null;
  /** As it told the answering node last; empty: none is set. null: not known. */
  readonly zone: string | null;
}

/** One operator at a time: a row of replicated state. */
export interface LockReport {
  readonly operationId: string;
  /** Who began it: `alice@bastion`. */
  readonly owner: string;
  /** `replace n3 n4`: what goes on with it, or `unlock`, or `--steal`, ends it. */
  readonly action: string;
  readonly takenAtMs: number;
}

/** `starting`: it wins, or waits for, an election. `repairing`: it does not take part before it is whole. */
export const NODE_STATES = ['leading', 'following', 'leaderless', 'starting', 'repairing'] as const;

/**
 * How far the clients of a node are that is drained or stopping. `serving`: it is neither. `leaving`: clients
 * still use it, or may not have renewed their routes yet. `left`: nobody is waited for any more.
 */
export const DEPARTURE_STATES = ['serving', 'leaving', 'left'] as const;

export interface Departure {
  readonly state: (typeof DEPARTURE_STATES)[number];
  /** Clients that used it of late, and may not know where else to go. */
  readonly userCount: number;
}

/** One node in its own words; answered without a leader. */
export interface NodeHealth {
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  readonly version: string;
  /** What fails together with it, as its settings say; empty: nobody has said. */
  readonly zone: string;
  /** The highest feature level that its program supports. */
  readonly featureLevelMax: number;
  readonly state: (typeof NODE_STATES)[number];
  readonly uptimeMs: number;
  readonly wallMs: number;
  readonly term: Term;
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly logSizeBytes: number;
  readonly diskFreeBytes: number | null;
  readonly diskTotalBytes: number | null;
  readonly syncMsP50: number | null;
  readonly syncMsP99: number | null;
  readonly isDiskStalled: boolean;
  readonly loopDelayMsP99: number | null;
  readonly swapUsedBytes: number | null;
  /** What it repairs, in words; empty: nothing. */
  readonly repair: string;
  /** null: never, or not known. */
  readonly scrubFinishedAtMs: number | null;
  /** Who refuses it and why, in words; empty: nobody. */
  readonly refused: string;
  /** How often its process has opened this directory. 0: its program does not tell. */
  readonly bootCount: number;
  /** null: its program does not tell. */
  readonly departure: Departure | null;
}

export interface MemberHealth {
  readonly nodeId: NodeId;
  /** null: no answer, see `silence`. */
  readonly health: NodeHealth | null;
  /** Why there is no answer. */
  readonly silence: string;
  /** Its clock less the leader's, corrected by half of the way there and back. */
  readonly clockSkewMs: number | null;
  readonly roundTripMs: number | null;
}

/** The doctor: red when a check has failed. */
export interface CheckReport {
  readonly checks: readonly Check[];
  readonly members: readonly MemberHealth[];
}

/** One line of the audit trail, kept in the log and in derived state. */
export interface AdminEvent {
  /** 1, 2, ... without gaps. */
  readonly sequence: number;
  /** Of the entry that carries it. */
  readonly logIndex: LogIndex;
  readonly atMs: number;
  readonly actor: string;
  /** `promote n4`. */
  readonly action: string;
  /** `begun`, `done`, `stolen`, `given up`, `token used`, ... */
  readonly phase: string;
  /** Empty when there was no plan. */
  readonly planHash: string;
  /** In force when it was written. */
  readonly configIndex: LogIndex;
  /** Allowances that were used, addresses, the former holder of the lock. */
  readonly details: string;
}

export interface EventsReport {
  /** Ascending by sequence. */
  readonly events: readonly AdminEvent[];
  /** Of the newest event there is: ask again after it to follow. */
  readonly lastSequence: number;
}

/**
 * `joining`: its process was not met yet. `copying`: it gets what it lacks. `caughtUp`: it may be promoted.
 * `silent`: met before, and not heard now. `voting`: it is a voter already.
 */
export const CATCHUP_STATES = ['joining', 'copying', 'caughtUp', 'silent', 'voting'] as const;

export interface CatchupReport {
  readonly nodeId: NodeId;
  readonly state: (typeof CATCHUP_STATES)[number];
  readonly lagBytes: number;
  /** Size of the leader's log. */
  readonly logBytes: number;
  /** Over the last seconds; null before two observations. */
  readonly bytesPerSecond: number | null;
  /** At this rate; null when unknown, or it falls behind. */
  readonly remainingMs: number | null;
}

export interface FeaturesReport {
  /** In force in the group. */
  readonly level: number;
  /** What all members that answer support. */
  readonly levelMax: number;
  readonly nodes: readonly {
    readonly nodeId: NodeId;
    /** null: no answer. */
    readonly levelMax: number | null;
    readonly version: string;
  }[];
}
