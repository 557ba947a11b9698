/**
 * A commit log in memory whose test decides when a write is durable, what a crash leaves, and how
 * much is cached. Keeps the contract of store/commit-log.ts, checks the chain on every write.
 */
import { assert } from '../../src/base/assert.ts';
import {
  advance,
  LogIndex as Index,
  type LogIndex,
  type NodeId,
  type PhysicalOffset,
  Term,
} from '../../src/base/units.ts';
import { chainCrcOf, headerCrcOf, verifyEntry } from '../../src/protocol/entry-codec.ts';
import { membershipsIn } from '../../src/protocol/membership-codec.ts';
import type { HardState } from '../../src/raft/effects.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type SnapshotDesc,
  skipSegmentHeader,
} from '../../src/raft/entry.ts';
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
} from '../../src/store/commit-log.ts';
import { BOOT_IDS_KEPT_MAX } from '../../src/store/limits.ts';
import { ORIGIN, tipOfBase } from '../../src/store/log-base.ts';
import { RecoveredOnce } from '../../src/store/recovered-log.ts';
import type { RememberedPeer } from '../../src/store/remembered-peer.ts';
import type {
  CheckOutcome,
  LogDamage,
  LogOnDisk,
  SegmentExtent,
} from '../../src/store/scrub/log-on-disk.ts';

/** What outlives the process. */
export class MemoryStore {
  readonly identity: StoreIdentity;
  hardState: HardState = { term: Term(0), votedFor: null };
  base: LogBase = ORIGIN;
  /** Behind the base. */
  entries: StoredEntry[] = [];
  commitIndex = Index(0);
  bootCount = 0;
  /** Says that recovery cut bytes of unknown fate. */
  hasTornTail = false;
  bootIds: readonly string[] = [];
  peers: ReadonlyMap<NodeId, RememberedPeer> = new Map();

  constructor(identity: StoreIdentity) {
    this.identity = identity;
  }

  /** An image of the directory as it is now. */
  copy(): MemoryStore {
    const image = new MemoryStore(this.identity);
    const { hardState, base, commitIndex, bootCount, bootIds, peers, hasTornTail } = this;
    const entries = [...this.entries];
    return Object.assign(image, {
      ...{ hardState, base, entries, commitIndex, bootCount, bootIds, peers, hasTornTail },
    });
  }

  write({ hardState, base, truncateFrom, entries }: LogWrite): void {
    if (hardState !== null) this.hardState = hardState;
    if (base !== null) {
      this.base = base;
      this.entries = [];
    } else if (truncateFrom !== null) {
      this.entries.length = truncateFrom - 1 - tipOfBase(this.base).index;
    }
    this.entries.push(...entries);
  }

  get last(): DurableClaim['last'] {
    const { index, term } = this.entries.at(-1)?.desc ?? tipOfBase(this.base);
    return { index, term };
  }
}

export class MemoryCommitLog implements CommitLog {
  readonly identity: StoreIdentity;
  readonly recovered: RecoveredOnce;
  readonly peers: Map<NodeId, RememberedPeer>;
  durable: DurableClaim;
  readonly diskStats: DiskStats;
  /** Of what is durable: a test damages the bytes there. */
  readonly onDisk: LogOnDisk = {
    segments: () => this.#extents(),
    check: async (from, to) => this.#check(from, to),
  };
  readonly #store: MemoryStore;
  /** As written; the store has what is durable. */
  base: LogBase;
  #entries: StoredEntry[];
  #pending: LogWrite[] = [];
  #flushing = false;
  #dead = false;
  /** Writes stay pending while true. */
  holding = false;
  pendingMs = 0;
  /** Only so many entries from the end are cached. */
  cachedCount = 1_000_000;
  writeCount = 0;
  readCount = 0;
  closeCount = 0;

  constructor(store: MemoryStore) {
    store.bootCount++;
    store.bootIds = [newBootId(), ...store.bootIds].slice(0, BOOT_IDS_KEPT_MAX);
    this.#store = store;
    this.base = store.base;
    this.#entries = [...store.entries];
    this.identity = store.identity;
    this.peers = new Map(store.peers);
    this.durable = { term: store.hardState.term, last: store.last };
    const memberships = membershipsIn(store.entries);
    assert(memberships.kind === 'memberships', 'config entries are memberships');
    this.recovered = new RecoveredOnce({
      hardState: store.hardState,
      base: store.base,
      entries: store.entries.map((entry) => entry.desc),
      memberships: memberships.memberships,
      provenCommitIndex: store.commitIndex,
      bootCount: store.bootCount,
      bootIds: store.bootIds,
      tornBytes: store.hasTornTail ? 100 : 0,
      hasTornTail: store.hasTornTail,
    });
    this.diskStats = {
      syncCount: 0,
      writtenBytes: 0,
      oldestPendingMs: () => this.pendingMs,
      waitsForRoom: () => false,
      syncMsAt: () => null,
      syncSecondsBuckets: () => [],
      syncSecondsSum: 0,
    };
  }

  releaseRecovered(): void {
    this.recovered.release();
  }

  persist(write: LogWrite): void {
    assert(!this.#dead, 'a dead process does not write');
    this.writeCount++;
    if (write.base !== null) {
      this.base = write.base;
      this.#entries = [];
    } else if (write.truncateFrom !== null) {
      assert(write.truncateFrom > this.#baseIndex, 'a cut is behind the base');
      this.#entries.length = write.truncateFrom - 1 - this.#baseIndex;
    }
    for (const entry of write.entries) {
      assert(entry.desc.index === this.#lastIndex + 1, 'entries are contiguous');
      const verified = verifyEntry(entry.bytes);
      assert(verified.kind === 'entry', 'what is written is a good entry', () => verified);
      assert(
        verified.header.chainCrc === chainCrcOf(entry.bytes, this.lastHeaderCrc),
        'the chain holds',
      );
      this.#entries.push(entry);
    }
    this.#pending.push(write);
    this.#flushSoon();
  }

  get pendingWrites(): number {
    return this.#pending.length;
  }

  get lastHeaderCrc(): number {
    return this.headerCrcAt(this.#lastIndex) ?? 0;
  }

  headerCrcAt(index: LogIndex): number | null {
    if (index === this.#baseIndex) return this.base.headerCrc;
    const entry = this.#entryAt(index);
    return entry === undefined ? null : headerCrcOf(entry.bytes);
  }

  segmentStarts(): readonly SegmentStart[] {
    const { segmentSizeBytes } = this.identity;
    return this.#entries
      .map(({ desc }) => desc)
      .filter(({ physicalOffset }) => {
        const start = physicalOffset - (physicalOffset % segmentSizeBytes);
        return physicalOffset === skipSegmentHeader(start as PhysicalOffset, segmentSizeBytes);
      })
      .map(({ index, physicalOffset }) => ({
        firstIndex: index,
        physicalOffset: advance(physicalOffset, -(physicalOffset % segmentSizeBytes)),
      }));
  }

  /** Needs what is durable only: the writes that are pending stay pending. */
  async compact(desc: SnapshotDesc): Promise<void> {
    const { index } = desc.last;
    if (index <= this.#baseIndex) return;
    const last = this.#entryAt(index);
    assert(last?.desc.term === desc.last.term, 'a log is cut behind one of its entries');
    assert(endOf(last) === desc.endOffset, 'the entry ends where the cut is');
    assert(desc.endOffset % this.identity.segmentSizeBytes === 0, 'it is cut between segments');
    const base = { desc, headerCrc: headerCrcOf(last.bytes) };
    const store = this.#store;
    const isSameLog = store.base === this.base;
    await Promise.resolve();
    if (this.#dead || !isSameLog || index <= this.#baseIndex) return;
    this.#entries = this.#entries.slice(index - this.#baseIndex);
    store.entries = store.entries.slice(index - this.#baseIndex);
    this.base = base;
    store.base = base;
  }

  cachedEntries(from: LogIndex, to: LogIndex): readonly StoredEntry[] | null {
    assert(from <= to, 'a range has a direction');
    if (to > this.#lastIndex || from <= this.#baseIndex) return null;
    return from > this.#lastIndex - this.cachedCount ? this.#range(from, to) : null;
  }

  async readEntries(from: LogIndex, to: LogIndex): Promise<readonly StoredEntry[]> {
    this.readCount++;
    this.#assertKept(from);
    assert(to <= this.#lastIndex, 'only what was written is read');
    await Promise.resolve();
    this.#assertKept(from);
    // Two at a time: callers must be able to come back for more.
    return this.#range(from, Index(Math.min(to, from + 1)));
  }

  #extents(): readonly SegmentExtent[] {
    const last = this.#store.entries.at(-1);
    if (last === undefined) return [];
    const startOffset = 0 as PhysicalOffset;
    const lastIndex = last.desc.index;
    return [{ startOffset, firstIndex: Index(1), lastIndex, sizeBytes: endOf(last) }];
  }

  #check(from: LogIndex, to: LogIndex): CheckOutcome {
    const stored = this.#store.entries.slice(from - 1, to);
    const last = stored.at(-1)?.desc;
    if (last === undefined) return { kind: 'gone' };
    const sizeBytes = stored.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const read = { lastIndex: last.index, sizeBytes };
    const damages = stored.flatMap(({ desc, bytes }): LogDamage[] => {
      const { kind } = verifyEntry(bytes);
      if (kind === 'entry') return [];
      const place = { path: 'memory', position: desc.physicalOffset, index: desc.index };
      return [{ extent: 'everywhere', ...place, found: kind }];
    });
    if (damages.length > 0) return { kind: 'damaged', ...read, damages };
    const entries = stored.map(({ bytes }) => bytes);
    return { kind: 'good', ...read, isFromDevice: true, wasFlaky: false, entries };
  }

  async readRecord(physicalOffset: PhysicalOffset, sizeBytes: number): Promise<Uint8Array> {
    const base = tipOfBase(this.base);
    if (physicalOffset < base.end) this.#assertKept(base.index);
    const entry = this.#entries.findLast((e) => e.desc.physicalOffset <= physicalOffset);
    assert(entry !== undefined, 'the offset is in the log');
    const at = physicalOffset - entry.desc.physicalOffset;
    assert(at >= ENTRY_HEADER_SIZE_BYTES, 'a record lies in a payload');
    return entry.bytes.slice(at, at + sizeBytes);
  }

  async rememberPeer(nodeId: NodeId, peer: RememberedPeer): Promise<void> {
    this.peers.set(nodeId, peer);
    await Promise.resolve();
    this.#writeSuperblock();
  }

  notePeer(nodeId: NodeId, peer: RememberedPeer): void {
    this.peers.set(nodeId, peer);
  }

  forgetPeer(nodeId: NodeId): void {
    this.peers.delete(nodeId);
  }

  noteCommitIndex(index: LogIndex): void {
    if (!this.#dead) this.#store.commitIndex = index;
  }

  /** The process is gone; what was not durable never happened. */
  kill(): void {
    this.#dead = true;
  }

  release(): void {
    this.holding = false;
    this.#flushSoon();
  }

  async close(): Promise<void> {
    this.closeCount++;
    this.holding = false;
    this.#flush();
    this.#writeSuperblock();
    this.#dead = true;
  }

  get #baseIndex(): LogIndex {
    return tipOfBase(this.base).index;
  }

  get #lastIndex(): LogIndex {
    return advance(this.#baseIndex, this.#entries.length);
  }

  #entryAt(index: LogIndex): StoredEntry | undefined {
    return this.#entries[index - 1 - this.#baseIndex];
  }

  #range(from: LogIndex, to: LogIndex): readonly StoredEntry[] {
    return this.#entries.slice(from - 1 - this.#baseIndex, to - this.#baseIndex);
  }

  #assertKept(index: LogIndex): void {
    if (index > this.#baseIndex) return;
    throw new EntriesGone(`Entry ${index}`, advance(this.#baseIndex, 1));
  }

  /** What was only noted rides along. */
  #writeSuperblock(): void {
    if (!this.#dead) this.#store.peers = new Map(this.peers);
  }

  #flushSoon(): void {
    if (this.#flushing || this.holding) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (!this.holding) this.#flush();
    });
  }

  #flush(): void {
    while (this.#pending.length > 0 && !this.#dead) {
      const write = this.#pending.shift()!; // not empty
      const store = this.#store;
      store.write(write);
      if (write.hardState !== null) this.#writeSuperblock();
      this.durable = { term: store.hardState.term, last: store.last };
      write.onDurable();
    }
  }
}

let bootIdCount = 0;

function newBootId(): string {
  bootIdCount++;
  return bootIdCount.toString(16).padStart(16, '0');
}

/** Offset of the first byte behind an entry. */
export function endOf({ desc }: StoredEntry): PhysicalOffset {
  return advance(desc.physicalOffset, desc.sizeBytes);
}
