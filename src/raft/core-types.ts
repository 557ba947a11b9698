/** What the core is made from and what it tells about itself. Behaviour is in raft-core.ts. */
import type { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { HardState, Role } from './effects.ts';
import type { EntryDesc } from './entry.ts';

export interface CoreConfig {
  readonly self: NodeId;
  /** The whole group, `self` included. Static. */
  readonly voters: readonly NodeId[];
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
}

/** What recovery found. Everything in it is durable. */
export interface CoreStart {
  readonly hardState: HardState;
  /** All entries, from index 1. */
  readonly entries: readonly EntryDesc[];
  /** Proven committed; the true commit index may be higher. */
  readonly commitIndex: LogIndex;
  /** What derived state has finished; implies that it was committed. */
  readonly appliedIndex: LogIndex;
}

/**
 * The term at an index. `compacted`: was in the log, committed, and its prefix is gone: counts as a
 * match. `absent`: never was, or was cut: counts as a mismatch. Mixing them up has deleted committed
 * logs elsewhere (hazard H16), so they are two words and not one zero.
 */
export type TermLookup = Term | 'compacted' | 'absent';

export type ProgressState = 'probing' | 'replicating';

export interface PeerProgress {
  readonly nodeId: NodeId;
  /** What the peer is known to hold durably. */
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  readonly state: ProgressState;
  /** Log bytes above `matchIndex`. */
  readonly lagBytes: number;
}

export interface CoreStatus {
  readonly self: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly leader: NodeId | null;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** One past the last byte of the last entry; 0 for an empty log. */
  readonly endOffset: PhysicalOffset;
  /** All other voters on a leader, empty elsewhere. */
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
