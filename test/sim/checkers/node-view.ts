/**
 * What checkers look at in a node beside the events: its own word (`status`) and its disk. An
 * interface and not the node itself, so that a hand-made history can be told to a checker.
 */
import type { LogIndex, NodeId } from '../../../src/base/units.ts';
import type { CoreStatus, TermLookup } from '../../../src/raft/core-types.ts';
import type { HardState } from '../../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../../src/raft/entry.ts';

export interface NodeView {
  readonly id: NodeId;
  readonly isUp: boolean;
  /** Of the last finished step; only while the node is up. */
  readonly status: CoreStatus;
  readonly disk: DiskView;
}

export interface DiskView {
  readonly image: DurableView;
}

/** What a restart would find. */
export interface DurableView {
  /** What derived state has flushed. */
  readonly appliedIndex: LogIndex;
  readonly hardState: HardState;
  /** What the durable log stands on. */
  readonly base: SnapshotDesc;
  /** All durable entries after the base. */
  readonly entries: readonly EntryDesc[];
}

export function durableIndexOf({ disk }: NodeView): number {
  return disk.image.base.last.index + disk.image.entries.length;
}

export function durableTermAt({ disk }: NodeView, index: LogIndex): TermLookup {
  const { base, entries } = disk.image;
  if (index < base.last.index) return 'compacted';
  if (index === base.last.index) return base.last.term;
  return entries[index - base.last.index - 1]?.term ?? 'absent';
}

/** Whether the disk holds this very entry, itself or summed up in a snapshot. */
export function holdsDurably(node: NodeView, { index, term }: EntryDesc): boolean {
  const found = durableTermAt(node, index);
  return found === 'compacted' || found === term;
}
