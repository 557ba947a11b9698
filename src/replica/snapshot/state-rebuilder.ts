/**
 * Brings derived state up to a log that begins behind it: after a snapshot was installed in place of the
 * log, and at a start that finds derived state lost or too old. The rows come from a snapshot at S, the
 * rest from the entries up to S, which must be committed here first (H18). Until then nothing is applied.
 *
 * Nothing is kept about how far this has come: at every moment the base of the log, the snapshots and the
 * applied index say what is to be done. So a crash anywhere, a second snapshot, or another leader change
 * nothing but the time it takes.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { advance, LogIndex } from '../../base/units.ts';
import { type CommitLog, EntriesGone } from '../../store/commit-log.ts';
import type { DerivedHome } from '../../store/derived/derived-home.ts';
import type { CommittedEntry, DerivedState } from '../../store/derived/derived-state.ts';
import type { SwitchableState } from '../../store/derived/switchable-state.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import type { SnapshotInfo } from '../../store/snapshots/snapshot-info.ts';
import { committedEntryOf } from '../committed-entry.ts';
import { APPLY_READ_SIZE_BYTES_MAX } from '../limits.ts';

export interface StateRebuilderOptions {
  readonly log: Pick<CommitLog, 'base' | 'readEntries'>;
  readonly state: SwitchableState;
  readonly home: DerivedHome;
  readonly files: SnapshotFiles;
  /** Nothing reads the present state any more when it resolves, but for what goes through `state`. */
  readonly beforeSwitch: () => Promise<void>;
  readonly onRebuilt: (info: SnapshotInfo) => void;
  readonly onFatal: (error: unknown) => void;
}

export class StateRebuilder {
  readonly #options: StateRebuilderOptions;
  #committedIndex = LogIndex(0);
  #rebuilding: { readonly done: Promise<void>; readonly info: SnapshotInfo } | null = null;
  #closed = false;

  constructor(options: StateRebuilderOptions) {
    this.#options = options;
  }

  /** Nothing can be applied: the next entry that derived state needs is not in the log. */
  get isNeeded(): boolean {
    return isBehindLog(this.#options);
  }

  /** No snapshot here fits the log: one must come from elsewhere. */
  get isHelpless(): boolean {
    return this.isNeeded && this.#usable.length === 0;
  }

  /** The snapshot that is waited for, or worked with. */
  get subject(): SnapshotInfo | null {
    if (this.#rebuilding !== null) return this.#rebuilding.info;
    return this.isNeeded ? (this.#usable[0] ?? null) : null;
  }

  get isRebuilding(): boolean {
    return this.#rebuilding !== null;
  }

  /** Entries up to here are committed and durable. */
  commitTo(index: LogIndex): void {
    this.#committedIndex = LogIndex(Math.max(this.#committedIndex, index));
    this.check();
  }

  /** Call it also when a snapshot has come. */
  check(): void {
    if (this.#closed || this.#rebuilding !== null || !this.isNeeded) return;
    const info = this.#usable.findLast(({ appliedIndex }) => appliedIndex <= this.#committedIndex);
    if (info === undefined) return;
    const done = this.#rebuild(info)
      .catch(this.#options.onFatal)
      .finally(() => {
        this.#rebuilding = null;
        // What came meanwhile; or the next snapshot, when this one was no good.
        this.check();
      });
    this.#rebuilding = { done, info };
  }

  async idle(): Promise<void> {
    while (this.#rebuilding !== null) await this.#rebuilding.done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.idle();
  }

  /** Those whose entries the log has, or will have; ascending. */
  get #usable(): readonly SnapshotInfo[] {
    const { files } = this.#options;
    return files.all.filter(({ logStart }) => logStart.index > baseIndexOf(this.#options.log));
  }

  async #rebuild(info: SnapshotInfo): Promise<void> {
    const { files, home, log, state, beforeSwitch, onRebuilt } = this.#options;
    const base = log.base;
    const release = files.hold(info.appliedIndex);
    try {
      const staged = await home.stage({
        chunks: () => files.chunks(info.appliedIndex),
        entries: (from, to) => this.#entries(from, to),
      });
      await beforeSwitch();
      if (this.#closed || baseIndexOf(log) > info.appliedIndex) return await staged.discard();
      await staged.activate(state);
      // Entries behind it may have been applied while the old database was being closed.
      assert(state.appliedIndex >= info.appliedIndex, 'a snapshot brings the state at its index');
      onRebuilt(info);
    } catch (error) {
      // Another snapshot took the place of the log while we read it: that one comes next.
      if (error instanceof EntriesGone || log.base !== base) return;
      if (!(error instanceof CorruptionError)) throw error;
      await files.setAside(info.appliedIndex, error.message);
    } finally {
      release();
    }
  }

  async *#entries(from: LogIndex, to: LogIndex): AsyncGenerator<CommittedEntry> {
    for (let next = from; next <= to; ) {
      if (this.#closed) throw new EntriesGone('A state that is being closed', next);
      for (const stored of await this.#read(next, to)) {
        yield committedEntryOf(stored);
        next = advance(stored.desc.index, 1);
      }
    }
  }

  async #read(from: LogIndex, to: LogIndex) {
    const { log } = this.#options;
    const base = log.base;
    try {
      return await log.readEntries(from, to, APPLY_READ_SIZE_BYTES_MAX);
    } catch (error) {
      if (!(error instanceof CorruptionError) || log.base !== base) throw error;
      // Not the snapshot is damaged, but the log.
      throw new FatalError('logDamaged', `Cannot go on with a damaged log: ${error.message}`, {
        cause: error,
      });
    }
  }
}

/** Whether the next entry that derived state needs has been removed from the log. */
export function isBehindLog({
  log,
  state,
}: {
  readonly log: Pick<CommitLog, 'base'>;
  readonly state: Pick<DerivedState, 'appliedIndex'>;
}): boolean {
  return state.appliedIndex < baseIndexOf(log);
}

export function baseIndexOf({ base }: Pick<CommitLog, 'base'>): LogIndex {
  return base.desc?.last.index ?? LogIndex(0);
}
