/**
 * The contract of the commit log: the entries of the group behind a base, in one sequence of equal
 * segments, plus the superblock with this replica's identity, term and vote. docs/format/ has the bytes.
 *
 * Invariants:
 * - An entry never straddles two segments (placement: raft/entry.ts).
 * - Writes are performed in the order of `persist` calls; `onDurable` of one runs only after an
 *   fdatasync that covers it and everything before it, and after the superblock when it carries a
 *   hard state.
 * - The hard state of a write is durable before its entries touch the disk.
 * - A failed write or sync is reported once through `onFatal` and nothing is durable after it (H2).
 * - The log begins where a segment begins. What is removed in front of it is named by the base first.
 *
 * Not here: which entries to write (raft/), what they mean (derived/).
 */
import type { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { HardState } from '../raft/effects.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { RememberedPeer } from './remembered-peer.ts';
import type { LogOnDisk } from './scrub/log-on-disk.ts';

/** Who owns a directory; minted once, checked in every handshake (H21, H22). */
export interface StoreIdentity {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: NodeId;
  /** Names this directory, not the node: a wiped node comes back with another one. */
  readonly storeUuid: string;
  readonly segmentSizeBytes: number;
}

/** An entry with its bytes as they are on every disk and on the wire: header, payload, padding. */
export interface StoredEntry {
  readonly desc: EntryDesc;
  /** Length `desc.sizeBytes`, except for a filler: then the header only, the rest being zeros. */
  readonly bytes: Uint8Array;
}

/** What a log stands on: entries up to `desc.last` are not here any more, or never were. */
export interface LogBase {
  /**
   * null: the origin, nothing was ever removed (membership = the founding, which the replica knows).
   * Else `endOffset` is the start of a segment.
   */
  readonly desc: SnapshotDesc | null;
  /** Of the entry `last`: seed of the chain. CHAIN_SEED at the origin. */
  readonly headerCrc: number;
}

/** Where the log may be cut in front. */
export interface SegmentStart {
  readonly firstIndex: LogIndex;
  /** Of the segment, whose header lies there. */
  readonly physicalOffset: PhysicalOffset;
}

/**
 * What was asked for lies below the base: it has been removed, or never was here. An expected outcome
 * for whoever reads beside a compaction, and no damage.
 */
export class EntriesGone extends Error {
  override readonly name = 'EntriesGone';
  /** The first entry that could be read when this was answered. */
  readonly firstIndex: LogIndex;
  constructor(what: string, firstIndex: LogIndex) {
    super(`${what} is gone: the log begins at entry ${firstIndex}`);
    this.firstIndex = firstIndex;
  }
}

export interface LogWrite {
  readonly hardState: HardState | null;
  /**
   * Not null: the whole log is void and this takes its place, `entries` follow it (H18). What
   * `truncateFrom` says is moot then. Requires that nothing above `last` is known as committed.
   */
  readonly base: LogBase | null;
  /** Entries from here on are void. Never at or below a committed index: the core asserts it. */
  readonly truncateFrom: LogIndex | null;
  readonly entries: readonly StoredEntry[];
  /** Runs once, in order of the writes. An empty write completes after all before it. */
  readonly onDurable: () => void;
}

/** What start-up found; the core starts from it. `entries` and `memberships` can be released. */
export interface RecoveredLog {
  readonly hardState: HardState;
  readonly base: LogBase;
  /** All entries behind the base, in order. */
  readonly entries: readonly EntryDesc[];
  /** What the config entries among them say. */
  readonly memberships: readonly LoggedMembership[];
  /** Highest index that some valid header, the base or the superblock proves committed. */
  readonly provenCommitIndex: LogIndex;
  /** How many times this directory has been opened, this time included. */
  readonly bootCount: number;
  /** What each start was called, this one first; the oldest are forgotten. */
  readonly bootIds: readonly string[];
  /** Bytes of torn tail that were cut and copied to quarantine/; 0 when none. */
  readonly tornBytes: number;
  /** Such bytes were cut: entries of unknown fate (log-extent poll). */
  readonly hasTornTail: boolean;
}

/** Never lower than what was promised to others: it may be told to them. */
export interface DurableClaim {
  readonly term: Term;
  readonly last: EntryId;
}

export interface CommitLog {
  readonly identity: StoreIdentity;
  readonly recovered: RecoveredLog;
  /** The lists in `recovered`, as long as the log, have served: nobody asks for them again. Idempotent. */
  releaseRecovered(): void;

  persist(write: LogWrite): void;
  /** Number of writes handed over whose `onDurable` has not run yet. */
  readonly pendingWrites: number;

  /** As handed over last: what reads go by. */
  readonly base: LogBase;
  /** Every segment that holds entries, ascending; those of the last write included. */
  segmentStarts(): readonly SegmentStart[];
  /**
   * Forgets everything up to `desc.last`, which must be the last entry of a segment, applied here, and
   * covered by a durable snapshot of derived state (the caller's duty). The base is durable before the
   * first file goes; when it resolves, the files are gone. Idempotent; a crash at any step is harmless.
   * Rejects only when the disk has failed. Without room for the base it waits.
   */
  compact(desc: SnapshotDesc): Promise<void>;

  /** CRC of the header of the last entry handed to `persist`: seed of the next chain CRC. */
  readonly lastHeaderCrc: number;
  /** Header CRC of the entry at `index` (that of the base included), null if unknown. */
  headerCrcAt(index: LogIndex): number | null;

  /**
   * Entries [from, to] when all are in the tail cache, without I/O; null otherwise.
   * The bytes must not be modified, and are valid until the next `persist` that truncates.
   */
  cachedEntries(from: LogIndex, to: LogIndex): readonly StoredEntry[] | null;
  /**
   * Entries from `from` on, at least one, at most to `to` and about `sizeBytesMax` bytes. Reads the
   * disk where the cache does not reach; verifies header and payload CRC.
   * @throws CorruptionError when bytes on disk do not match; EntriesGone.
   */
  readEntries(from: LogIndex, to: LogIndex, sizeBytesMax: number): Promise<readonly StoredEntry[]>;
  /** Raw bytes of a record inside a payload; from the cache where possible. @throws EntriesGone */
  readRecord(physicalOffset: PhysicalOffset, sizeBytes: number): Promise<Uint8Array>;

  /** The same, as it lies on the device: for scrubbing and verifying. */
  readonly onDisk: LogOnDisk;

  /** What no crash takes any more: a term of the hard state, and the last entry under it. */
  readonly durable: DurableClaim;

  /** What is remembered of the members (H21 to H23), as handed over below. */
  readonly peers: ReadonlyMap<NodeId, RememberedPeer>;
  /** Durable when it resolves; rejects only when the disk has failed. */
  rememberPeer(nodeId: NodeId, peer: RememberedPeer): Promise<void>;
  /** Rides on the next write of the superblock, at the latest on that of an orderly close. */
  notePeer(nodeId: NodeId, peer: RememberedPeer): void;
  /** Rides likewise. For a node that was removed for good: there is not room for everybody. */
  forgetPeer(nodeId: NodeId): void;

  /** Worth remembering, not worth an fsync of its own: rides on the next superblock write. */
  noteCommitIndex(index: LogIndex): void;
  /** Observed disk times, for metrics and the banner. */
  readonly diskStats: DiskStats;
  /** Finishes what was handed over, marks the superblock clean, releases the lock. Idempotent. */
  close(): Promise<void>;
}

export interface DiskStats {
  readonly syncCount: number;
  readonly writtenBytes: number;
  /** Age of the oldest unfinished write, 0 when idle (H11). */
  oldestPendingMs(): number;
  /** It is unfinished for lack of room, not of a disk that answers: it ends when room returns (H10). */
  waitsForRoom(): boolean;
  /** Sync durations in ms at a quantile in [0, 1]; null before the first sync. */
  syncMsAt(quantile: number): number | null;
  /** Cumulative counts for a Prometheus histogram: [upper bound in seconds, count at or below]. */
  syncSecondsBuckets(): readonly (readonly [number, number])[];
  readonly syncSecondsSum: number;
}
