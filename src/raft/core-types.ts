/** What the core is made from and what it tells about itself. Behaviour is in raft-core.ts. */
import type { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { HardState, Role } from './effects.ts';
import type { EntryDesc, SnapshotDesc } from './entry.ts';
import type { LoggedMembership, Membership } from './membership.ts';

export interface CoreConfig {
  readonly self: NodeId;
  readonly segmentSizeBytes: number;
  readonly heartbeatTicks: number;
  /** A drawn election timeout is in [min, max). */
  readonly electionTimeoutTicksMin: number;
  readonly electionTimeoutTicksMax: number;
  /** Entries of one append message, headers included; one larger entry travels alone. */
  readonly appendSizeBytesMax: number;
  readonly inflightSizeBytesMax: number;
  readonly inflightCountMax: number;
  readonly uncommittedSizeBytesMax: number;
  /** Size and CRC of the payload of a config entry: its encoding is not the business of consensus. */
  readonly describeMembership: (membership: Membership) => MembershipPayload;
  /** A leader steps down when no majority took over what it appended for so long (L8). */
  readonly progressTimeoutTicks: number;
  /** So long after a start, a torn tail anywhere makes a candidate wait for everybody's answer. */
  readonly extentPollTicks: number;
  /** A node further behind is neither made leader nor promoted to a voter. */
  readonly handoverLagBytesMax: number;
  /** A preferred node is made leader when all has been well for so long. */
  readonly preferenceTicks: number;
}

export interface MembershipPayload {
  readonly payloadSizeBytes: number;
  readonly payloadCrc: number;
}

/** What recovery found. Everything in it is durable. */
export interface CoreStart {
  readonly hardState: HardState;
  /** What the log stands on: a snapshot, or the founding of the group. */
  readonly base: SnapshotDesc;
  /** All entries after the base. */
  readonly entries: readonly EntryDesc[];
  /** What the config entries among `entries` say. */
  readonly memberships: readonly LoggedMembership[];
  /** Proven committed; the true commit index may be higher. */
  readonly commitIndex: LogIndex;
  /** What derived state has finished; implies that it was committed. */
  readonly appliedIndex: LogIndex;
  /** Recovery cut bytes whose fate nobody here can prove (log-extent poll). */
  readonly hasTornTail: boolean;
}

/**
 * The term at an index. `compacted`: was in the log, committed, and its prefix is gone: counts as a
 * match. `absent`: never was, or was cut: counts as a mismatch. Mixing them up has deleted committed
 * logs elsewhere (hazard H16), so they are two words and not one zero.
 */
export type TermLookup = Term | 'compacted' | 'absent';

/** `snapshot`: the peer's log ends before ours begins; it is sent no entries meanwhile. */
export type ProgressState = 'probing' | 'replicating' | 'snapshot';

export interface PeerProgress {
  readonly nodeId: NodeId;
  /** What the peer is known to hold durably. */
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  readonly state: ProgressState;
  /** Log bytes above `matchIndex`. */
  readonly lagBytes: number;
  readonly isLearner: boolean;
  /** Answered within the last election timeout. */
  readonly isActive: boolean;
  readonly isDiskStalled: boolean;
}

export interface CoreStatus {
  readonly self: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly leader: NodeId | null;
  /** The log begins after this index: earlier entries are in a snapshot. */
  readonly baseIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** One past the last byte of the last entry; 0 for an empty log. */
  readonly endOffset: PhysicalOffset;
  /** In force, committed or not. */
  readonly membership: LoggedMembership;
  /** Leader only: whom it is handing over to. */
  readonly transferTo: NodeId | null;
  readonly isDiskStalled: boolean;
  /** All other members on a leader, empty elsewhere. */
  readonly peers: readonly PeerProgress[];
}

export interface ProposalPlacement {
  readonly index: LogIndex;
  readonly term: Term;
  /** Size of the filler entry that the core will put before it, 0 when none. */
  readonly fillerSizeBytes: number;
  /** Where the header of the proposed entry will start. */
  readonly physicalOffset: PhysicalOffset;
}
