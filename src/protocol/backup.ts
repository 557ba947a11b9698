/**
 * What a backup asks of a serving node, and what it is given: the words of both sides (backup-codec.ts has the
 * wire). Entries and snapshots are the same bytes on every replica, so whoever has begun with one node may go
 * on with another one.
 */
import type { LogIndex } from '../base/units.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { OfferedSnapshot } from './snapshot-codec.ts';

/** A node says what it leads, and how far everything acknowledged before the question reaches. */
export interface BackupMark {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  /** null: this node does not lead, or could not confirm that it does. */
  readonly committedIndex: LogIndex | null;
}

export interface BackupBegin {
  /** Names this backup: what it needs is kept for it, for a bounded time. */
  readonly holder: string;
  /** The first entry that is still wanted; 0: where the node's newest snapshot has its log begin. */
  readonly firstIndex: number;
  /** The snapshot that is still being read; null: whichever the node has. */
  readonly snapshot: OfferedSnapshot | null;
}

export interface BackupOffer {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly segmentSizeBytes: number;
  readonly version: string;
  /** What a log stands on that goes with the snapshot, and begins with a segment. */
  readonly base: BackupBase;
  readonly snapshot: OfferedSnapshot;
  readonly committedIndex: LogIndex;
  /** In force where the log begins: at the base, or as the group was founded. */
  readonly foundation: LoggedMembership;
}

export interface BackupBase {
  readonly desc: SnapshotDesc | null;
  readonly headerCrc: number;
}

export interface SnapshotPull {
  readonly holder: string;
  readonly snapshot: OfferedSnapshot;
  /** The first chunk that is wanted. */
  readonly number: number;
  readonly bytesPerSecond: number;
}

export interface EntriesPull {
  readonly holder: string;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Header CRC of the entry before: a log that differs anywhere before is refused. */
  readonly prevHeaderCrc: number;
  readonly bytesPerSecond: number;
}

/** A node cannot go on with this backup; another one, or the same later, may. */
export class BackupNodeFailure extends Error {
  override readonly name = 'BackupNodeFailure';
  /** `gone`: what is wanted has been removed there. `refused`: it says why. `lost`: the connection, or the node. */
  readonly reason: 'gone' | 'refused' | 'lost';
  constructor(reason: BackupNodeFailure['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** One serving node, as a backup sees it. All reject with {@link BackupNodeFailure}. */
export interface BackupNode {
  readonly name: string;
  mark(signal: AbortSignal): Promise<BackupMark>;
  begin(begin: BackupBegin, signal: AbortSignal): Promise<BackupOffer>;
  /** One chunk of the snapshot file per item. */
  snapshotChunks(pull: SnapshotPull, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Whole stored entries, one behind the other, per item. */
  entries(pull: EntriesPull, signal: AbortSignal): AsyncGenerator<Uint8Array>;
}
