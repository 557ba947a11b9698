/**
 * What goes into the core and what comes out, as data. The durability rule is in the type: a reply
 * that promises something about this disk travels inside the `persist` it depends on.
 *
 * The driver has exactly one rule: perform persists in order; when one completes, send its `after`
 * messages and feed its token back. Everything else may be done at once.
 */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { EntryDesc, SnapshotDesc } from './entry.ts';
import type { ChangeProblem, LoggedMembership, MembershipStep } from './membership.ts';
import type { Envelope, Message } from './messages.ts';

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** Must be durable before any reply that depends on it (Raft 5.2, hazard H7). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | null;
}

export type Input =
  /** One unit of Raft time (tickMs). The driver credits at most one per loop turn (H26). */
  | { readonly kind: 'tick' }
  | { readonly kind: 'receive'; readonly from: NodeId; readonly message: Message }
  | { readonly kind: 'propose'; readonly proposals: readonly Proposal[] }
  /** Tokens complete in the order in which their effects were emitted. */
  | { readonly kind: 'persisted'; readonly token: number }
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** The way to the peer broke: stop pipelining and probe. */
  | { readonly kind: 'peerUnreachable'; readonly peer: NodeId }
  /**
   * The process did not run for longer than half an election timeout. What happened meanwhile still
   * waits in the sockets: the election timer starts again (H26).
   */
  | { readonly kind: 'resumed' }
  /** Said at every change: the oldest unfinished write is older than `DISK_STALLED_MS` (H11). */
  | { readonly kind: 'diskHealth'; readonly isStalled: boolean }
  /** Wants an index: what is applied up to there includes everything acknowledged before (6.4). */
  | { readonly kind: 'read'; readonly tag: number }
  | { readonly kind: 'transfer'; readonly tag: number; readonly to: NodeId }
  /** Compare and set: holds only for the membership of `ifMembershipIndex`. */
  | {
      readonly kind: 'changeMembership';
      readonly tag: number;
      readonly steps: readonly MembershipStep[];
      readonly ifMembershipIndex: LogIndex;
    }
  /** A durable snapshot covers everything up to `through`: it may be forgotten. */
  | { readonly kind: 'compacted'; readonly through: LogIndex }
  /** The peer has all files of the snapshot at `index` and was sent the message to install it. */
  | { readonly kind: 'snapshotSent'; readonly peer: NodeId; readonly index: LogIndex }
  | { readonly kind: 'snapshotFailed'; readonly peer: NodeId };

export interface Proposal {
  /** Names the proposal in `proposeResult`; chosen by the driver, unique while the process lives. */
  readonly tag: number;
  readonly type: 'data';
  readonly payloadSizeBytes: number;
  readonly payloadCrc: number;
}

export type Effect =
  | PersistEffect
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: Message }
  /** Entries [from, to] are committed and durable here: apply them in order, then say `applied`. */
  | { readonly kind: 'apply'; readonly from: LogIndex; readonly to: LogIndex }
  | ProposeResult
  | ReadResult
  | TransferResult
  | ChangeResult
  /**
   * The peer's log ends before ours begins: bring it a snapshot, then say how it went, in bounded
   * time: until then the peer counts as making progress (L8).
   */
  | { readonly kind: 'sendSnapshot'; readonly to: NodeId }
  /** The membership in force changed: by an append, a cut or a snapshot. */
  | { readonly kind: 'membership'; readonly current: LoggedMembership }
  /** Emitted at every change of role, term or known leader. */
  | {
      readonly kind: 'role';
      readonly role: Role;
      readonly term: Term;
      readonly leader: NodeId | null;
    }
  /** Something an operator must see; safety is not in danger, or we would have crashed. */
  | { readonly kind: 'alarm'; readonly id: AlarmId; readonly details: object };

export interface PersistEffect {
  readonly kind: 'persist';
  readonly token: number;
  /** null: unchanged. */
  readonly hardState: HardState | null;
  /** Not null: the whole log is void, the staged snapshot takes its place, `entries` follow it. */
  readonly snapshot: SnapshotDesc | null;
  /** null: no cut. Else entries from here on are void, and `entries` start here. */
  readonly truncateFrom: LogIndex | null;
  /** Contiguous. Fillers among them have no payload. */
  readonly entries: readonly EntryDesc[];
  /** What the config entries among `entries` say: their payload is the encoded membership. */
  readonly memberships: readonly LoggedMembership[];
  /** May be sent only when this persist and all before it are durable. */
  readonly after: readonly Envelope[];
}

/**
 * `accepted`: appended at this place, outcome open. `rejected`: surely never in the log.
 * `overwritten`: a committed entry of another term occupies the place, or a later term begins before
 * it (H29): surely never applied.
 */
export type ProposeResult =
  | {
      readonly kind: 'proposeResult';
      readonly tag: number;
      readonly result: 'accepted';
      readonly index: LogIndex;
      readonly term: Term;
    }
  | {
      readonly kind: 'proposeResult';
      readonly tag: number;
      readonly result: 'rejected';
      readonly why: 'notLeader' | 'uncommittedBytesFull' | 'transferring';
    }
  | { readonly kind: 'proposeResult'; readonly tag: number; readonly result: 'overwritten' };

/**
 * `confirmed`: a majority still followed us after the read arrived; answer from what is applied up to
 * `index`. `refused`: ask whoever leads now.
 */
export type ReadResult =
  | {
      readonly kind: 'readResult';
      readonly tag: number;
      readonly result: 'confirmed';
      readonly index: LogIndex;
    }
  | {
      readonly kind: 'readResult';
      readonly tag: number;
      readonly result: 'refused';
      readonly why: 'notLeader' | 'tooMany';
    };

/** `handedOver`: our term is over. `aborted`: the target did not take over in time; we lead on. */
export type TransferResult =
  | {
      readonly kind: 'transferResult';
      readonly tag: number;
      readonly result: 'handedOver' | 'aborted';
    }
  | {
      readonly kind: 'transferResult';
      readonly tag: number;
      readonly result: 'refused';
      readonly why: TransferRefusal;
    };

export type TransferRefusal =
  | 'notLeader'
  | 'isSelf'
  | 'notVoter'
  | 'inProgress'
  | 'silent'
  | 'behind'
  | 'diskStalled';

/** `accepted`: in the log and in force; committed when the membership at `index` is. */
export type ChangeResult =
  | {
      readonly kind: 'changeResult';
      readonly tag: number;
      readonly result: 'accepted';
      readonly index: LogIndex;
      readonly term: Term;
    }
  | {
      readonly kind: 'changeResult';
      readonly tag: number;
      readonly result: 'refused';
      readonly problems: readonly ChangeProblem[];
    };

export type AlarmId =
  /** A follower reports less durable log than it once acknowledged (H23). */
  | 'followerLostLog'
  /** A message came from a node that is not in the membership; it may be ahead of us, or removed. */
  | 'strangerMessage'
  /** A change of membership that was in force was cut: another leader never had it (Raft 6). */
  | 'membershipRolledBack';
