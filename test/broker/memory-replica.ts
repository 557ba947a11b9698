/**
 * A group of one in memory: the Replica port over the real derived state, with the test deciding when
 * proposals commit and who leads. Payloads are placed one after the other; nothing touches a disk.
 */
import { assert } from '../../src/base/assert.ts';
import { advance, LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import { patchPhysicalOffset } from '../../src/protocol/message-record.ts';
import { ENTRY_HEADER_SIZE_BYTES, entrySizeBytes, logOrigin } from '../../src/raft/entry.ts';
import { foundingMembership } from '../../src/raft/membership.ts';
import type {
  ChangeOutcome,
  Leadership,
  NodeAddresses,
  ProposeOutcome,
  ReadOutcome,
  RecordsProposal,
  Replica,
  ReplicaStatus,
  TransferOutcome,
} from '../../src/replica/replica.ts';
import { type CommitLog, EntriesGone } from '../../src/store/commit-log.ts';
import type {
  CommittedEntry,
  DerivedState,
  RecordResult,
} from '../../src/store/derived/derived-state.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';

interface OpenProposal {
  readonly entry: CommittedEntry;
  readonly resolve: (outcome: ProposeOutcome) => void;
}

export class MemoryReplica implements Replica {
  readonly state: DerivedState;
  readonly log: CommitLog;
  readonly nodeId = NodeId('n1');
  /** `auto`: proposals commit at the end of the turn. `held`: when the test says so. */
  commitMode: 'auto' | 'held' = 'auto';
  /** Others lead by now, and this node has not heard of it: nobody confirms its reads. */
  isDeposed = false;
  barrierCount = 0;
  /** What happens between the look into a queue and the read of the log. */
  beforeRead: (() => Promise<void>) | null = null;
  /** Answer of the next proposals instead of an append. */
  refusal: 'busy' | 'notLeader' | null = null;
  readonly addresses = new Map<NodeId, NodeAddresses>();
  readonly connected = new Set<NodeId>();
  readonly #payloads: { at: PhysicalOffset; bytes: Uint8Array }[] = [];
  #open: OpenProposal[] = [];
  #end = PhysicalOffset(4096);
  #nextIndex = LogIndex(1);
  #term = Term(0);
  #leadership: Leadership | null = null;
  #leader: NodeId | null = null;
  #applyScheduled = false;
  #isRemoved = false;
  readonly #onLeadership: ((leadership: Leadership | null) => void)[] = [];
  readonly #onRoleChange: ((status: ReplicaStatus) => void)[] = [];
  readonly #onApplied: ((entry: CommittedEntry, results: readonly RecordResult[]) => void)[] = [];

  static async open(): Promise<MemoryReplica> {
    const state = await openDerivedState({
      kv: new MemoryKvStore(),
      durableIndexMax: LogIndex(0),
      onEvent: () => {},
    });
    return new MemoryReplica(state);
  }

  private constructor(state: DerivedState) {
    this.state = state;
    this.log = this.#memoryLog();
  }

  /** Wins an election: what is open commits first, as a new leader's no-op would make it. */
  lead(): void {
    this.#term = Term(this.#term + 1);
    this.#leader = this.nodeId;
    this.#tellRole();
    this.#apply({ ...this.#place(new Uint8Array()), type: 'noop' });
    this.#leadership = { term: this.#term };
    for (const listener of this.#onLeadership) listener(this.#leadership);
  }

  /**
   * Open proposals end as unknown. `survive`: their entries commit all the same, later;
   * `vanish`: they were never on a majority.
   */
  loseLeadership(leader: NodeId | null, openEntries: 'survive' | 'vanish' = 'vanish'): void {
    const open = this.#open;
    this.#open = [];
    this.#leader = leader;
    if (leader !== null) this.#term = Term(this.#term + 1);
    this.#leadership = null;
    for (const listener of this.#onLeadership) listener(null);
    this.#tellRole();
    for (const { resolve } of open) resolve({ kind: 'unknown' });
    if (openEntries === 'survive') {
      for (const { entry } of open) this.#apply(entry);
    } else if (open[0] !== undefined) {
      this.#nextIndex = open[0].entry.index;
      this.#end = advance(open[0].entry.payloadOffset, -ENTRY_HEADER_SIZE_BYTES);
    }
  }

  setLeader(leader: NodeId | null): void {
    this.#leader = leader;
    this.#term = Term(this.#term + 1);
    this.#tellRole();
  }

  /** It has heard that it is no member any more. */
  beRemoved(): void {
    this.#isRemoved = true;
    this.#tellRole();
  }

  get openCount(): number {
    return this.#open.length;
  }

  commitOpen(): void {
    const open = this.#open;
    this.#open = [];
    for (const { entry, resolve } of open) {
      const results = this.#apply(entry);
      resolve({ kind: 'applied', index: entry.index, term: entry.term, results });
    }
  }

  propose(
    { records, messageRecordAt }: RecordsProposal,
    onQueued?: () => void,
  ): Promise<ProposeOutcome> {
    if (this.#leadership === null) return Promise.resolve({ kind: 'rejected', why: 'notLeader' });
    if (this.refusal !== null) return Promise.resolve({ kind: 'rejected', why: this.refusal });
    const entry = this.#place(records);
    for (const at of messageRecordAt) {
      patchPhysicalOffset(records, at, advance(entry.payloadOffset, at));
    }
    return new Promise((resolve) => {
      this.#open.push({ entry, resolve });
      onQueued?.();
      if (this.commitMode === 'held' || this.#applyScheduled) return;
      this.#applyScheduled = true;
      queueMicrotask(() => {
        this.#applyScheduled = false;
        if (this.commitMode === 'auto') this.commitOpen();
      });
    });
  }

  status(): ReplicaStatus {
    const last = LogIndex(this.#nextIndex - 1);
    return {
      nodeId: this.nodeId,
      clusterId: 'c',
      groupId: 'g',
      storeUuid: 'u',
      role: this.#leader === this.nodeId ? 'leader' : 'follower',
      term: this.#term,
      leader: this.#leader,
      lastIndex: last,
      durableIndex: last,
      commitIndex: this.state.appliedIndex,
      appliedIndex: this.state.appliedIndex,
      membership: logOrigin(foundingMembership([{ nodeId: this.nodeId, raftAddress: 'n1:1' }]))
        .membership,
      isMembershipCommitted: true,
      endOffset: PhysicalOffset(0),
      firstIndex: LogIndex(1),
      logStart: { index: LogIndex(1), offset: PhysicalOffset(0) },
      keptBytes: 0,
      install: null,
      transferTo: null,
      isDiskStalled: false,
      peers: [...this.addresses].map(([nodeId, addresses]) => ({
        nodeId,
        connected: this.connected.has(nodeId),
        addresses,
        matchIndex: null,
        lagBytes: null,
        isActive: null,
        isDiskStalled: false,
      })),
      refusedBy: [],
      isRemoved: this.#isRemoved,
    };
  }

  leadership(): Leadership | null {
    return this.#leadership;
  }

  leader(): NodeId | null {
    return this.#leader;
  }

  addressesOf(nodeId: NodeId): NodeAddresses | null {
    return this.addresses.get(nodeId) ?? null;
  }

  readBarrier(): Promise<ReadOutcome> {
    const index = this.state.appliedIndex;
    this.barrierCount++;
    if (this.#leadership === null || this.isDeposed)
      return Promise.resolve({ kind: 'rejected', why: 'notLeader' });
    return Promise.resolve({ kind: 'ok', index });
  }

  transferLeadership(): Promise<TransferOutcome> {
    return Promise.resolve({ kind: 'refused', why: 'notVoter' });
  }

  changeMembership(): Promise<ChangeOutcome> {
    return Promise.resolve({ kind: 'refused', problems: [{ kind: 'noRoom' }] });
  }

  onLeadership(listener: (leadership: Leadership | null) => void): void {
    this.#onLeadership.push(listener);
  }

  onRoleChange(listener: (status: ReplicaStatus) => void): void {
    this.#onRoleChange.push(listener);
  }

  onApplied(listener: (entry: CommittedEntry, results: readonly RecordResult[]) => void): void {
    this.#onApplied.push(listener);
  }

  async close(): Promise<void> {
    await this.state.close();
  }

  #tellRole(): void {
    const status = this.status();
    for (const listener of this.#onRoleChange) listener(status);
  }

  #place(payload: Uint8Array): CommittedEntry {
    const payloadOffset = advance(this.#end, ENTRY_HEADER_SIZE_BYTES);
    const index = this.#nextIndex;
    this.#end = advance(this.#end, entrySizeBytes(payload.length));
    this.#nextIndex = advance(index, 1);
    return { index, term: this.#term, type: 'data', payloadOffset, payload };
  }

  #apply(entry: CommittedEntry): readonly RecordResult[] {
    this.#payloads.push({ at: entry.payloadOffset, bytes: entry.payload });
    const results = this.state.apply(entry);
    for (const listener of this.#onApplied) listener(entry, results);
    return results;
  }

  /** What the broker uses of a log; the rest belongs to the replica's own driver. */
  #memoryLog(): CommitLog {
    const log: Pick<CommitLog, 'readRecord' | 'diskStats'> = {
      readRecord: async (at, sizeBytes) => {
        await this.beforeRead?.();
        const { logStart } = this.state;
        if (at < logStart.offset) throw new EntriesGone(`The record at ${at}`, logStart.index);
        const found = this.#payloads.find(
          ({ at: start, bytes }) => start <= at && at + sizeBytes <= start + bytes.length,
        );
        assert(found !== undefined, 'the record lies in an applied entry');
        return found.bytes.subarray(at - found.at, at - found.at + sizeBytes);
      },
      diskStats: {
        syncCount: 0,
        writtenBytes: 0,
        oldestPendingMs: () => 0,
        waitsForRoom: () => false,
        syncMsAt: () => null,
        syncSecondsBuckets: () => [],
        syncSecondsSum: 0,
      },
    };
    return log as CommitLog;
  }
}
