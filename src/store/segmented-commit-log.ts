/**
 * The commit log over segments: places entries in files, makes them durable in order, cuts conflicts,
 * reads back what the tail cache no longer has. The contract is commit-log.ts.
 *
 * A cut (Raft 5.3: a follower drops entries that conflict with the leader's) is three steps, each durable
 * before the next: a note in the durable ring that lowers the watermark to the new end; zeros over
 * everything cut, segment headers included; the new entries. After a crash in between, recovery finds
 * either the old entries, whole or with a hole above the watermark, or zeros, or the new entries; never
 * old entries behind new ones: those are zeroed and synced before, and even if they were not they would
 * not chain, as the chain CRC of an old successor covers the header of its old predecessor.
 *
 * Not here: start-up (open-commit-log.ts), what a crash leaves (recovery.ts), what happens in front
 * (log-front.ts).
 */
import { assert } from '../base/assert.ts';
import { FatalError } from '../base/errors.ts';
import type { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import type {
  DirectoryLock,
  Disk,
  DiskError,
  DiskWrite,
  LogWriter,
  WriterFile,
} from '../io/disk.ts';
import { chainCrcOf, decodeEntryHeader, payloadProblem } from '../protocol/entry-codec.ts';
import type { HardState } from '../raft/effects.ts';
import {
  type EntryId,
  SEGMENT_HEADER_SIZE_BYTES,
  type SnapshotDesc,
  skipSegmentHeader,
} from '../raft/entry.ts';
import {
  type CommitLog,
  type DiskStats,
  type DurableClaim,
  EntriesGone,
  type LogBase,
  type LogWrite,
  type SegmentStart,
  type StoredEntry,
  type StoreIdentity,
} from './commit-log.ts';
import { type DiskTimes, diskStatsOf } from './disk-times.ts';
import { type DurableNote, encodeNote, noteOf, notePosition } from './durable-ring.ts';
import { EntryReader } from './entry-reader.ts';
import type { EntryTable } from './entry-table.ts';
import { type BaseRecord, tipOfBase } from './log-base.ts';
import { rangesOfCut } from './log-cut.ts';
import { LogFront } from './log-front.ts';
import type { LogLane } from './log-lane.ts';
import { type LogPaths, segmentStartOf } from './log-paths.ts';
import { PeerLedger } from './peer-ledger.ts';
import type { RecoveredOnce } from './recovered-log.ts';
import type { RememberedPeer } from './remembered-peer.ts';
import { type LogOnDisk, SegmentedLogOnDisk } from './scrub/log-on-disk.ts';
import { encodeSegmentHeader } from './segment.ts';
import type { SegmentSet } from './segment-set.ts';
import type { StoreRules } from './store-rules.ts';
import type { SuperblockWriter } from './superblock-writer.ts';
import { TailCache } from './tail-cache.ts';
import { planBatches } from './write-plan.ts';

export interface SegmentedLogParts {
  readonly identity: StoreIdentity;
  readonly recovered: RecoveredOnce;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly paths: LogPaths;
  readonly lock: DirectoryLock;
  readonly writer: LogWriter;
  readonly lane: LogLane;
  readonly base: BaseRecord;
  readonly segments: SegmentSet;
  readonly newSegments: (paths: LogPaths, start: PhysicalOffset) => SegmentSet;
  readonly superblocks: SuperblockWriter;
  readonly table: EntryTable;
  readonly ringFile: WriterFile;
  /** The one that is durable. */
  readonly note: DurableNote;
  readonly tailCacheSizeBytes: number;
  readonly rules: StoreRules;
  readonly times: DiskTimes;
  readonly onFatal: (error: FatalError) => void;
}

interface PendingWrite {
  /** Monotonic; when it was handed over. */
  readonly sinceMs: number;
  /** Last entry of the log that will be durable with it; lower after a cut. */
  lastIndex: LogIndex;
  /** The same, as it was handed over. */
  last: EntryId;
}

export class SegmentedCommitLog implements CommitLog {
  readonly identity: StoreIdentity;
  readonly recovered: RecoveredOnce;
  readonly diskStats: DiskStats;
  readonly onDisk: LogOnDisk;
  readonly #parts: SegmentedLogParts;
  readonly #table: EntryTable;
  readonly #cache: TailCache;
  readonly #front: LogFront;
  readonly #ledger: PeerLedger;
  #reader: EntryReader;
  readonly #pending: PendingWrite[] = [];
  #noteSequence: number;
  #commitIndex: LogIndex;
  #durableIndex: LogIndex;
  #durableTerm: Term;
  /** As the disk has it while a cut is under way: what is told does not run ahead of the disk. */
  #durableLast: EntryId;
  #writtenBytes = 0;
  #failure: FatalError | null = null;
  #closing: Promise<void> | null = null;
  #onIdle: () => void = () => {};

  constructor(parts: SegmentedLogParts) {
    this.#parts = parts;
    this.identity = parts.identity;
    this.recovered = parts.recovered;
    this.#table = parts.table;
    this.#cache = new TailCache(parts.tailCacheSizeBytes, (parts.table.lastIndex + 1) as LogIndex);
    this.#reader = new EntryReader(parts);
    const { segmentSizeBytes } = parts.identity;
    const [cache, onFail] = [this.#cache, (error: DiskError) => this.fail(error)];
    this.#front = new LogFront({ ...parts, cache, segmentSizeBytes, onFail });
    this.#ledger = new PeerLedger(parts.superblocks, () => this.#commitHint());
    const durableIndex = () => this.#durableIndex;
    const paths = () => this.#front.segments.paths;
    this.onDisk = new SegmentedLogOnDisk({ ...parts, paths, durableIndex });
    this.#durableTerm = parts.recovered.hardState.term;
    this.#durableLast = this.#lastEntry();
    this.#noteSequence = parts.note.sequence;
    this.#commitIndex = parts.recovered.provenCommitIndex;
    this.#durableIndex = parts.table.lastIndex;
    this.diskStats = diskStatsOf(parts.times, {
      writtenBytes: () => this.#writtenBytes,
      oldestPendingMs: () => {
        const oldest = this.#pending[0];
        if (oldest === undefined) return 0;
        return parts.clock.monotonicMs() - parts.segments.waitingSinceMs(oldest.sinceMs);
      },
      waitsForRoom: () => this.#front.isOutOfSpace && parts.lane.isHolding,
    });
  }

  releaseRecovered(): void {
    this.recovered.release();
  }

  persist(write: LogWrite): void {
    assert(this.#closing === null, 'the commit log is open');
    if (this.#failure !== null) return;
    const sinceMs = this.#parts.clock.monotonicMs();
    if (write.hardState !== null) this.#writeHardState(write.hardState);
    if (write.base !== null) this.#install(write.base);
    else if (write.truncateFrom !== null) this.#cut(write.truncateFrom);
    for (const entry of write.entries) this.#accept(entry);
    const last = this.#lastEntry();
    this.#pending.push({ sinceMs, lastIndex: last.index, last });
    this.#write(write.entries, () => this.#complete(write.onDurable));
  }

  get pendingWrites(): number {
    return this.#pending.length;
  }

  get base(): LogBase {
    return this.#front.base;
  }

  segmentStarts(): readonly SegmentStart[] {
    return this.#front.segmentStarts();
  }

  compact(desc: SnapshotDesc): Promise<void> {
    const { last } = desc;
    assert(last.index <= this.#commitIndex, 'only what is committed is forgotten', () => ({
      last,
      commitIndex: this.#commitIndex,
    }));
    return this.#front.compact(desc);
  }

  get lastHeaderCrc(): number {
    return this.#table.headerCrcOf(this.#table.lastIndex);
  }

  headerCrcAt(index: LogIndex): number | null {
    return this.#table.knows(index) ? this.#table.headerCrcOf(index) : null;
  }

  cachedEntries(from: LogIndex, to: LogIndex): readonly StoredEntry[] | null {
    return this.#cache.range(from, to);
  }

  async readEntries(
    from: LogIndex,
    to: LogIndex,
    sizeBytesMax: number,
  ): Promise<readonly StoredEntry[]> {
    assert(from <= to, 'a range has a first and a last entry', () => ({ from, to }));
    const { firstIndex } = this.#table;
    if (from < firstIndex) throw new EntriesGone(`Entry ${from}`, firstIndex);
    assert(this.#table.has(from), 'the first entry is in the log', () => ({ from }));
    assert(this.#table.has(to), 'the last entry is in the log', () => ({ to }));
    const last = this.#reader.lastWithin(from, to, sizeBytesMax);
    const cached = this.#cache.range(from, last);
    if (cached !== null) return cached;
    // What is not durable may not even be written yet, but it is in the cache for the next call.
    const lastOnDisk = Math.min(last, this.#durableIndex) as LogIndex;
    return this.#reader.readEntries(from, lastOnDisk);
  }

  async readRecord(physicalOffset: PhysicalOffset, sizeBytes: number): Promise<Uint8Array> {
    const { base, firstIndex } = this.#table;
    if (physicalOffset < base.end)
      throw new EntriesGone(`The record at ${physicalOffset}`, firstIndex);
    const index = this.#table.indexAt(physicalOffset);
    assert(index !== null, 'a record lies in an entry', () => ({ physicalOffset }));
    const at = physicalOffset - this.#table.offsetOf(index);
    assert(at + sizeBytes <= this.#table.sizeOf(index), 'a record ends in its entry', () => ({
      physicalOffset,
      sizeBytes,
    }));
    const cached = this.#cache.at(index);
    if (cached !== null) return cached.bytes.subarray(at, at + sizeBytes);
    return this.#reader.readPart(index, physicalOffset, sizeBytes);
  }

  get durable(): DurableClaim {
    return { term: this.#durableTerm, last: this.#durableLast };
  }

  get peers(): ReadonlyMap<NodeId, RememberedPeer> {
    return this.#ledger.peers;
  }

  rememberPeer(nodeId: NodeId, peer: RememberedPeer): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    // A handshake that began before the end: nobody waits for its outcome any more.
    if (this.#closing !== null) return new Promise(() => {});
    return this.#ledger.remember(nodeId, peer);
  }

  notePeer(nodeId: NodeId, peer: RememberedPeer): void {
    this.#ledger.note(nodeId, peer);
  }

  forgetPeer(nodeId: NodeId): void {
    this.#ledger.forget(nodeId);
  }

  noteCommitIndex(index: LogIndex): void {
    if (index > this.#commitIndex) this.#commitIndex = index;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Whoever owns the log writer reports its failure here. */
  fail(error: DiskError): void {
    if (this.#failure !== null) return;
    const sentence = `${error.message}; what was written last may not be on the disk`;
    this.#failure = new FatalError('diskFailed', sentence, { cause: error });
    this.#parts.lane.stop();
    this.#ledger.fail(this.#failure);
    this.#front.fail(this.#failure);
    this.#onIdle();
    this.#parts.onFatal(this.#failure);
  }

  async #close(): Promise<void> {
    const { writer, lane, lock } = this.#parts;
    // Without space for the next segment the end of it cannot be waited for.
    if (this.#failure === null && this.pendingWrites > 0 && !this.#front.isOutOfSpace) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#front.stop();
    if (this.pendingWrites > 0) lane.stop();
    if (this.#failure === null && this.pendingWrites === 0) {
      const cleanEnd = { index: this.#table.lastIndex, physicalOffset: this.#table.end };
      this.#ledger.updateSuperblock({ cleanEnd });
    }
    await writer.close();
    await lock.release();
  }

  #writeHardState(hardState: HardState): void {
    this.#ledger.updateSuperblock({ hardState }, () => {
      this.#durableTerm = hardState.term;
    });
  }

  #lastEntry(): EntryId {
    const index = this.#table.lastIndex;
    return { term: this.#table.termOf(index), index };
  }

  /**
   * An entry that was handed over before the superblock is durable before it, so the hint never
   * speaks of an entry that a crash may take.
   */
  #commitHint(): LogIndex {
    return Math.min(this.#commitIndex, this.#table.lastIndex) as LogIndex;
  }

  #write(entries: readonly StoredEntry[], onDone: () => void): void {
    const { lane } = this.#parts;
    const { segments } = this.#front;
    const note = entries.length === 0 ? null : this.#nextNote();
    const batches = planBatches(entries, this.identity.segmentSizeBytes, (start, first) =>
      this.#segmentHeader(start, first),
    );
    if (entries.length > 0) segments.prepareFor(this.#table.end);
    if (batches.length === 0) {
      lane.submit({ writes: [], sync: 'group', note: null, onDone });
      return;
    }
    for (const [place, batch] of batches.entries()) {
      const isLast = place === batches.length - 1;
      lane.submitTo(segments, batch.segment, (file) => ({
        writes: batch.writes.map((write) => ({ file, ...write })),
        sync: 'group',
        note: isLast && note !== null ? this.#noteWrite(note) : null,
        onDone: isLast ? onDone : () => {},
      }));
    }
  }

  /** The last look at an entry before it is written: it is what it says, and it belongs here. */
  #accept(entry: StoredEntry): void {
    const { desc, bytes } = entry;
    const decoded = decodeEntryHeader(bytes);
    assert(decoded.kind === 'header', 'an entry has a good header', () => ({ kind: decoded.kind }));
    const { header } = decoded;
    const place = skipSegmentHeader(this.#table.end, this.identity.segmentSizeBytes);
    assert(header.desc.physicalOffset === place, 'an entry follows the log', () => ({
      desc,
      place,
    }));
    assert(header.desc.index === desc.index, 'header and descriptor agree on the index');
    assert(header.desc.term === desc.term, 'header and descriptor agree on the term');
    assert(header.desc.sizeBytes === desc.sizeBytes, 'header and descriptor agree on the size');
    // Memory rots too (H9): a bit that flipped since the checksum was made must not be promised.
    assert(
      payloadProblem(bytes, header.desc) === null,
      'an entry is written as it was made',
      () => ({
        index: desc.index,
      }),
    );
    assert(
      header.chainCrc === chainCrcOf(bytes, this.lastHeaderCrc),
      'an entry chains to the one before it',
      () => ({ index: desc.index }),
    );
    this.#table.append(desc, header.headerCrc);
    this.#cache.append(entry);
    this.#writtenBytes += bytes.length;
  }

  #complete(onDurable: () => void): void {
    const done = this.#pending.shift();
    assert(done !== undefined, 'a write completes once');
    this.#durableIndex = done.lastIndex;
    this.#durableLast = done.last;
    this.#cache.shrink(this.#durableIndex);
    if (this.#pending.length === 0) this.#onIdle();
    onDurable();
  }

  /** Another log takes the place of this one; from now on reads go by it. */
  #install(base: LogBase): void {
    const last = tipOfBase(base);
    assert(last.index > this.#commitIndex, 'a snapshot is newer than what is committed', () => ({
      last,
      commitIndex: this.#commitIndex,
    }));
    this.#noteSequence += 1;
    this.#front.install(base, this.#noteSequence);
    this.#commitIndex = last.index;
    this.#durableIndex = last.index;
    for (const pending of this.#pending) pending.lastIndex = last.index;
    const { paths } = this.#front.segments;
    this.#reader = new EntryReader({ ...this.#parts, paths });
  }

  #cut(from: LogIndex): void {
    assert(from > this.#commitIndex, 'nothing committed is cut', () => ({
      from,
      commitIndex: this.#commitIndex,
    }));
    if (!this.#table.has(from)) return;
    const ranges = rangesOfCut(this.#table, from, this.identity.segmentSizeBytes);
    this.#table.truncateFrom(from);
    this.#cache.truncateFrom(from);
    const last = this.#table.lastIndex;
    if (this.#durableIndex > last) this.#durableIndex = last;
    for (const pending of this.#pending) if (pending.lastIndex > last) pending.lastIndex = last;
    const { lane, rules } = this.#parts;
    const { segments } = this.#front;
    const alone = { sync: 'alone', note: null, onDone: () => {} } as const;
    const lowered = this.#noteWrite(this.#nextNote());
    const lowersWatermark = () => lane.submit({ writes: [lowered], ...alone });
    const zeros = ranges.map(({ segment, position, zeroSizeBytes }) => {
      const writes = (file: WriterFile) => [{ file, position, zeroSizeBytes }];
      return () => lane.submitTo(segments, segment, (file) => ({ writes: writes(file), ...alone }));
    });
    for (const step of rules.orderOfCut<() => void>(lowersWatermark, zeros)) step();
  }

  #nextNote(): DurableNote {
    this.#noteSequence += 1;
    return noteOf(this.#noteSequence, this.#table);
  }

  #noteWrite(note: DurableNote): DiskWrite {
    const file = this.#parts.ringFile;
    return { file, position: notePosition(note), bytes: encodeNote(note) };
  }

  #segmentHeader(startOffset: PhysicalOffset, startIndex: LogIndex): Uint8Array {
    const { clusterId, groupId, segmentSizeBytes } = this.identity;
    assert(startOffset === segmentStartOf(startOffset, segmentSizeBytes), 'a segment starts here');
    assert(
      this.#table.offsetOf(startIndex) === startOffset + SEGMENT_HEADER_SIZE_BYTES,
      'the entry is the first of its segment',
    );
    const prev = (startIndex - 1) as LogIndex;
    return encodeSegmentHeader({
      clusterId,
      groupId,
      startOffset,
      segmentSizeBytes,
      startIndex,
      prevTerm: this.#table.termOf(prev),
      prevHeaderCrc: this.#table.headerCrcOf(prev),
    });
  }
}
