/** One replica on the bench: its core, and the simple disk that survives it. */
import { equal, ok } from 'node:assert/strict';
import { advance, LogIndex, type NodeId } from '../../src/base/units.ts';
import type { Effect, HardState, PersistEffect } from '../../src/raft/effects.ts';
import type {
  EntryDesc,
  EntryId,
  LoggedMembership,
  RaftCore,
  SnapshotDesc,
} from '../../src/raft/index.ts';

/** What a power cut leaves. */
export interface BenchDisk {
  hardState: HardState;
  /** The newest snapshot: what the entries stand on. */
  base: SnapshotDesc;
  /** The entries after the base. */
  disk: EntryDesc[];
  /** What the config entries among them say. */
  memberships: LoggedMembership[];
  /** What derived state has finished. */
  appliedIndex: LogIndex;
}

export interface BenchNode extends BenchDisk {
  core: RaftCore;
  up: boolean;
  readonly queue: PersistEffect[];
  /** Index of the last `apply` whose end has not been reported back. */
  applyingIndex: LogIndex;
  /** Peers that the core wants to be brought a snapshot. */
  readonly transfers: Set<NodeId>;
  readonly effects: Effect[];
}

/** Null for what is in the snapshot, and for what is not there. */
export function entryOn({ base, disk }: BenchDisk, index: LogIndex): EntryDesc | null {
  return disk[index - base.last.index - 1] ?? null;
}

/** As an entry or summed up in a snapshot. */
export function isDurableOn(node: BenchDisk, { index, term }: EntryId): boolean {
  return index <= node.base.last.index || entryOn(node, index)?.term === term;
}

export function write(node: BenchNode, effect: PersistEffect): void {
  const { hardState, snapshot, truncateFrom, entries, memberships } = effect;
  if (hardState !== null) node.hardState = hardState;
  if (snapshot !== null) {
    equal(truncateFrom, null, 'a snapshot leaves nothing to cut');
    node.base = snapshot;
    node.disk = [];
    node.memberships = [];
    node.appliedIndex = snapshot.last.index;
    node.applyingIndex = snapshot.last.index;
  }
  if (truncateFrom !== null) {
    node.disk = node.disk.filter(({ index }) => index < truncateFrom);
    node.memberships = node.memberships.filter(({ index }) => index < truncateFrom);
  }
  const lastIndex = node.disk.at(-1)?.index ?? node.base.last.index;
  if (entries[0] !== undefined) equal(entries[0].index, lastIndex + 1, 'a disk has no holes');
  node.disk = node.disk.concat(entries);
  node.memberships = node.memberships.concat(memberships);
}

/** Of everything that is applied. */
export function snapshotOf(node: BenchDisk): SnapshotDesc {
  const { base, appliedIndex, memberships } = node;
  if (appliedIndex === base.last.index) return base;
  const last = entryOn(node, appliedIndex);
  ok(last !== null, 'what is applied is durable');
  return {
    last: { term: last.term, index: last.index },
    endOffset: advance(last.physicalOffset, last.sizeBytes),
    membership: memberships.findLast(({ index }) => index <= appliedIndex) ?? base.membership,
  };
}

/** @returns the index through which the log is forgotten now. */
export function compact(node: BenchDisk): LogIndex {
  const base = snapshotOf(node);
  const { index } = base.last;
  node.disk = node.disk.filter((entry) => entry.index > index);
  node.memberships = node.memberships.filter((logged) => logged.index > index);
  node.base = base;
  return LogIndex(index);
}
