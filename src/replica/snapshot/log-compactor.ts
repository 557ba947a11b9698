/**
 * Removes from the log what the group has given up: when the applied start of the log has moved, and a
 * durable snapshot of our own covers what goes. First the core forgets, then the disk.
 *
 * A log that stands on L - 1 can make derived state anew from a snapshot that needs entries from L on;
 * one that needs earlier ones is no help. So the newest snapshot decides.
 */
import { LogIndex } from '../../base/units.ts';
import type { Input } from '../../raft/effects.ts';
import type { SnapshotDesc } from '../../raft/entry.ts';
import type { RaftCore } from '../../raft/raft-core.ts';
import type { CommitLog } from '../../store/commit-log.ts';
import type { DerivedState } from '../../store/derived/derived-state.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';

export interface LogCompactorOptions {
  readonly log: Pick<CommitLog, 'base' | 'segmentStarts' | 'compact'>;
  readonly core: Pick<RaftCore, 'status' | 'termAt' | 'membershipAt'>;
  readonly state: Pick<DerivedState, 'logStart'>;
  readonly files: Pick<SnapshotFiles, 'newest'>;
  /** Entries from here on are being read by others; null: none are. */
  readonly pinnedFrom: () => LogIndex | null;
  readonly feed: (input: Input) => void;
  /** A snapshot would let more of the log go. */
  readonly wantSnapshot: () => void;
  readonly onCompacted: (base: SnapshotDesc) => void;
  readonly onFatal: (error: unknown) => void;
}

export class LogCompactor {
  readonly #options: LogCompactorOptions;
  #compacting: Promise<void> | null = null;
  #closed = false;

  constructor(options: LogCompactorOptions) {
    this.#options = options;
  }

  /** Call it when entries were applied, or a snapshot was taken. */
  check(): void {
    if (this.#compacting !== null || this.#closed) return;
    const { log, core, files, feed, wantSnapshot, onFatal } = this.#options;
    const base = this.#wantedBase();
    if (base === null) return;
    if ((files.newest?.logStart.index ?? 0) <= base.last.index) {
      wantSnapshot();
      return;
    }
    // The core has yet to hear of what was applied just now.
    if (core.status().appliedIndex < base.last.index) return;
    feed({ kind: 'compacted', through: base.last.index });
    this.#compacting = log
      .compact(base)
      .then(() => this.#options.onCompacted(base))
      .catch(onFatal)
      .finally(() => {
        this.#compacting = null;
      });
  }

  /** Nothing more is removed; the log finishes, or gives up, what it was told. */
  close(): void {
    this.#closed = true;
  }

  #wantedBase(): SnapshotDesc | null {
    const { log, core, state } = this.#options;
    const startIndex = Math.min(state.logStart.index, this.#options.pinnedFrom() ?? Infinity);
    const cut = log.segmentStarts().findLast(({ firstIndex }) => firstIndex <= startIndex);
    if (cut === undefined || cut.firstIndex <= 1) return null;
    const index = LogIndex(cut.firstIndex - 1);
    const term = core.termAt(index);
    if (index <= (log.base.desc?.last.index ?? 0) || typeof term !== 'number') return null;
    return {
      last: { term, index },
      endOffset: cut.physicalOffset,
      membership: core.membershipAt(index),
    };
  }
}
