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
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import type {
  CommitLog,
  DiskStats,
  DurableClaim,
  LogWrite,
  RecoveredLog,
  StoredEntry,
  StoreIdentity,
} from '../../src/store/commit-log.ts';
import { BOOT_IDS_KEPT_MAX } from '../../src/store/limits.ts';
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
    const { hardState, commitIndex, bootCount, bootIds, peers, hasTornTail } = this;
    const entries = [...this.entries];
    return Object.assign(image, {
      ...{ hardState, entries, commitIndex, bootCount, bootIds, peers, hasTornTail },
    });
  }
}

export class MemoryCommitLog implements CommitLog {
  readonly identity: StoreIdentity;
  readonly recovered: RecoveredLog;
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
    this.#entries = [...store.entries];
    this.identity = store.identity;
    this.peers = new Map(store.peers);
    this.durable = { term: store.hardState.term, last: lastOf(store.entries) };
    const memberships = membershipsIn(store.entries);
    assert(memberships.kind === 'memberships', 'config entries are memberships');
    this.recovered = {
      hardState: store.hardState,
      entries: store.entries.map((entry) => entry.desc),
      memberships: memberships.memberships,
      provenCommitIndex: store.commitIndex,
      bootCount: store.bootCount,
      bootIds: store.bootIds,
      tornBytes: store.hasTornTail ? 100 : 0,
      hasTornTail: store.hasTornTail,
    };
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

  persist(write: LogWrite): void {
    assert(!this.#dead, 'a dead process does not write');
    this.writeCount++;
    if (write.truncateFrom !== null) this.#entries.length = write.truncateFrom - 1;
    for (const entry of write.entries) {
      assert(entry.desc.index === this.#entries.length + 1, 'entries are contiguous');
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
    return this.headerCrcAt(Index(this.#entries.length)) ?? 0;
  }

  headerCrcAt(index: LogIndex): number | null {
    if (index === 0) return 0;
    const entry = this.#entries[index - 1];
    return entry === undefined ? null : headerCrcOf(entry.bytes);
  }

  cachedEntries(from: LogIndex, to: LogIndex): readonly StoredEntry[] | null {
    assert(from <= to, 'a range has a direction');
    if (to > this.#entries.length) return null;
    return from > this.#entries.length - this.cachedCount
      ? this.#entries.slice(from - 1, to)
      : null;
  }

  async readEntries(from: LogIndex, to: LogIndex): Promise<readonly StoredEntry[]> {
    this.readCount++;
    assert(to <= this.#entries.length, 'only what was written is read');
    await Promise.resolve();
    // Two at a time: callers must be able to come back for more.
    return this.#entries.slice(from - 1, Math.min(to, from + 1));
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
      if (write.hardState !== null) {
        store.hardState = write.hardState;
        this.#writeSuperblock();
      }
      if (write.truncateFrom !== null) store.entries.length = write.truncateFrom - 1;
      store.entries.push(...write.entries);
      this.durable = { term: store.hardState.term, last: lastOf(store.entries) };
      write.onDurable();
    }
  }
}

function lastOf(entries: readonly StoredEntry[]): DurableClaim['last'] {
  const last = entries.at(-1)?.desc;
  return { term: last?.term ?? Term(0), index: last?.index ?? Index(0) };
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
