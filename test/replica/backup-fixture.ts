/** Takes backups of a group in memory, and restores them. */
import assert from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, type NodeId } from '../../src/base/units.ts';
import type { Disk } from '../../src/io/disk.ts';
import type { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { type BackupNode, BackupNodeFailure } from '../../src/protocol/backup.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { committedEntryOf } from '../../src/replica/committed-entry.ts';
import type { Manifest } from '../../src/store/backup/manifest.ts';
import { restoreBackup } from '../../src/store/backup/restore.ts';
import { planRestore, type RestorePlan } from '../../src/store/backup/restore-plan.ts';
import { type BackupEvent, takeBackup } from '../../src/store/backup/take-backup.ts';
import { readManifest, verifyBackup } from '../../src/store/backup/verify-backup.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { liveDumpOf } from '../../src/store/derived/test-rows.ts';
import { nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup, type RunningNode } from './replica-group.ts';
import { RestoredGroup, type RestoredNode } from './restored-group.ts';

export const BACKUP = '/backup';
const SEGMENT_SIZE_BYTES = 16 * 1024;
const LIMITS = { entriesMax: 1_000_000, periodMs: 3_600_000, pauseMsMin: 0 };
export const NEVER = new AbortController().signal;

export class BackedUpGroup {
  readonly group: ReplicaGroup;
  /** What was applied, on whichever node first. */
  readonly applied = new Map<number, CommittedEntry>();
  readonly events: BackupEvent[] = [];

  private constructor(group: ReplicaGroup) {
    this.group = group;
  }

  static async started(seed = 1): Promise<BackedUpGroup> {
    const segmentSizeBytes = SEGMENT_SIZE_BYTES;
    const group = new ReplicaGroup({ segmentSizeBytes, snapshotLimits: LIMITS, seed });
    const it = new BackedUpGroup(group);
    for (const nodeId of group.nodeIds) await it.start(nodeId);
    await group.createTopic();
    await group.pinned();
    return it;
  }

  async start(nodeId: NodeId): Promise<RunningNode> {
    const node = await this.group.start(nodeId);
    node.replica.onApplied((entry) => {
      if (!this.applied.has(entry.index)) {
        this.applied.set(entry.index, { ...entry, payload: entry.payload.slice() });
      }
    });
    return node;
  }

  async send(count: number, bodySizeBytes = 1_000): Promise<void> {
    for (let i = 0; i < count; i++) {
      const leader = await this.group.leader();
      const proposal = messageProposal(nextOffset(leader), { bodySizeBytes });
      storedOf(await this.group.outcomeOf(leader.replica.propose(proposal)));
    }
  }

  /** Work that a killed node had in hand never ends: its timers are nobody's. */
  async stop(): Promise<void> {
    for (const { nodeId, failures } of [...this.group.running.values()]) {
      assert.deepEqual(failures, [], `${nodeId} failed`);
      await this.group.stop(nodeId);
    }
  }

  async putGroup(group: string, atMs: number): Promise<void> {
    const leader = await this.group.leader();
    const records = encodeCommandRecord({
      kind: 'groupPut',
      ...{ group, maxAttempts: 16, fifo: false, atMs },
    });
    await this.group.outcomeOf(leader.replica.propose({ records, messageRecordAt: [] }));
  }

  /** The group gives up all but the last segment. @returns whether there was one to give up */
  async expire(): Promise<boolean> {
    const leader = await this.group.leader();
    const { segments } = leader.replica.logExtent(false);
    const start = segments.at(-1);
    if (start === undefined || start.firstIndex <= leader.replica.state.logStart.index)
      return false;
    const records = encodeCommandRecord({
      kind: 'advanceLogStart',
      firstIndex: start.firstIndex,
      physicalOffset: start.physicalOffset,
      ...{ reason: 'size', storeTimestampMs: 0, atMs: 1 },
    });
    const outcome = await this.group.outcomeOf(
      leader.replica.propose({ records, messageRecordAt: [] }),
    );
    assert.equal(outcome.kind, 'applied');
    return true;
  }

  async compacted(): Promise<void> {
    const { group } = this;
    await group.until('all logs begin where the group says', () =>
      [...group.running.values()].every(({ replica }) => {
        const { firstIndex, logStart } = replica.status();
        return firstIndex === logStart.index;
      }),
    );
  }

  /** Followers first; a node that is gone fails as a connection would. */
  nodes(fate: (node: BackupNode) => BackupNode = (node) => node): readonly BackupNode[] {
    const leader = this.group.serving;
    const running = [...this.group.running.values()];
    const followers = running.filter((node) => node !== leader);
    return [...followers, ...(leader === null ? [] : [leader])].map((node) => {
      const { backups } = node.replica;
      assert.ok(backups, 'a replica with snapshots gives backups');
      return fate(breakable(node, backups));
    });
  }

  async mark(): Promise<LogIndex> {
    const leader = await this.group.leader();
    const { committedIndex } = await this.group.outcomeOf(leader.replica.backups!.mark());
    assert.ok(committedIndex !== null);
    return committedIndex;
  }

  /** Begins to take one; time has to pass for it. */
  take(
    disk: Disk,
    markedIndex: LogIndex,
    nodes: () => readonly BackupNode[] = () => this.nodes(),
  ): Promise<Manifest> {
    return takeBackup({
      ...{ disk, directory: BACKUP, markedIndex, holder: 'test', bytesPerSecond: 0 },
      ...{ version: '0', clock: this.group.clock, signal: NEVER, standstillMsMax: 30_000 },
      nodes: async () => nodes(),
      onEvent: (event) => this.events.push(event),
    });
  }

  /** @returns what it came to, in either way */
  async settled(taking: Promise<Manifest>): Promise<Manifest | Error> {
    const outcome = taking.catch((error: unknown) => {
      assert.ok(error instanceof Error);
      return error;
    });
    return this.group.outcomeOf<Manifest | Error>(outcome);
  }

  async taken(disk: MemoryDisk, markedIndex: LogIndex): Promise<Manifest> {
    return manifestOf(await this.settled(this.take(disk, markedIndex)));
  }

  /** Derived state as it was: all entries applied to nothing, and then those of the restored log. */
  async rowsAfter(restored: RestoredNode, lastIndex: LogIndex) {
    const { replica } = restored;
    const kv = new MemoryKvStore();
    const state = await openDerivedState({
      ...{ kv, durableIndexMax: LogIndex(0) },
      onEvent: (event) => assert.fail(JSON.stringify(event)),
    });
    for (let index = 1; index <= lastIndex; index++) {
      const entry = this.applied.get(index);
      assert.ok(entry, `entry ${index} was applied somewhere`);
      state.apply(entry);
    }
    const { appliedIndex } = replica.state;
    const rest = await replica.log.readEntries(LogIndex(lastIndex + 1), appliedIndex, 1e6);
    for (const stored of rest) state.apply(committedEntryOf(stored));
    const digest = state.digest();
    await state.close();
    return { digest, rows: liveDumpOf(kv) };
  }
}

/** A node that is gone answers nothing any more, as a connection that broke. */
function breakable(node: RunningNode, desk: BackupNode): BackupNode {
  const orGone = async <T>(answer: Promise<T>): Promise<T> => {
    let isAnswered = false;
    const settle = (): void => {
      isAnswered = true;
    };
    answer.then(settle, settle);
    const gone = async (): Promise<never> => {
      while (!node.gone && !isAnswered) await turn();
      // What came meanwhile has won the race already.
      throw new BackupNodeFailure('lost', 'the connection broke');
    };
    return Promise.race([answer, gone()]);
  };
  const whole = async function* (chunks: AsyncGenerator<Uint8Array>) {
    // Ends with the stream, or with the node.
    for (;;) {
      const next = await orGone(chunks.next());
      if (next.done === true) return;
      yield next.value;
      await turn();
    }
  };
  return {
    name: node.nodeId,
    mark: (signal) => orGone(desk.mark(signal)),
    begin: (begin, signal) => orGone(desk.begin(begin, signal)),
    snapshotChunks: (pull, signal) => whole(desk.snapshotChunks(pull, signal)),
    entries: (pull, signal) => whole(desk.entries(pull, signal)),
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function manifestOf(outcome: Manifest | Error): Manifest {
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

export async function verified(disk: MemoryDisk): Promise<Manifest> {
  const found = await readManifest(disk, BACKUP);
  assert.equal(found.kind, 'manifest');
  if (found.kind !== 'manifest') throw new Error('no manifest');
  const { manifest } = found;
  await verifyBackup({ disk, directory: BACKUP, manifest, signal: NEVER, onBytes: () => {} });
  return manifest;
}

export function planOf(
  manifest: Manifest,
  ids: readonly string[],
  clusterId = 'c-new',
): RestorePlan {
  const members = ids.map((nodeId) => ({ nodeId, raftAddress: `${nodeId}:10912` }));
  const verdict = planRestore(manifest, { clusterId, members, only: null, directory: '/new' });
  assert.equal(verdict.kind, 'plan', JSON.stringify(verdict));
  if (verdict.kind !== 'plan') throw new Error('no plan');
  return verdict.plan;
}

export async function restored(disk: MemoryDisk, plan: RestorePlan): Promise<RestoredGroup> {
  await restoreBackup({ disk, directory: BACKUP, plan, signal: NEVER, onBytes: () => {} });
  return new RestoredGroup(disk, plan);
}

/** A disk that loses power at one of its steps: the call of that step never returns. */
export function cutAt(disk: MemoryDisk, step: number, seed: number) {
  let left = step;
  let cut: (next: MemoryDisk) => void = () => {};
  const next = new Promise<MemoryDisk>((resolve) => {
    cut = resolve;
  });
  const stepped =
    <Args extends readonly unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
    (...args: Args): Promise<Result> => {
      if (left-- > 0) return work(...args);
      if (left === -1) cut(disk.powerCut(new Prng(seed, 'cut')));
      return new Promise(() => {});
    };
  const proxy: Disk = {
    list: (path) => disk.list(path),
    sizeOf: (path) => disk.sizeOf(path),
    read: (path, position, sizeBytes) => disk.read(path, position, sizeBytes),
    readPastCache: (path, position, sizeBytes) => disk.readPastCache(path, position, sizeBytes),
    room: () => disk.room(),
    syncDirectory: (path) => disk.syncDirectory(path),
    lock: (path) => disk.lock(path),
    openLogWriter: (events) => disk.openLogWriter(events),
    makeDirectory: stepped(() => disk.makeDirectory()),
    writeFile: stepped((path: string, bytes: Uint8Array) => disk.writeFile(path, bytes)),
    preallocate: stepped((path: string, sizeBytes: number, signal: AbortSignal) =>
      disk.preallocate(path, sizeBytes, signal),
    ),
    writeAt: stepped((path: string, position: number, bytes: Uint8Array) =>
      disk.writeAt(path, position, bytes),
    ),
    publish: stepped((from: string, to: string) => disk.publish(from, to)),
    remove: stepped((path: string) => disk.remove(path)),
    removeDirectory: stepped((path: string) => disk.removeDirectory(path)),
  };
  return { disk: proxy, next, isCut: () => left < 0 };
}
