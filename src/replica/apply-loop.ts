/**
 * Applies committed entries in log order, in slices that let the event loop breathe, and commits
 * derived state to its database now and then. The broker sees an entry only after its turn here
 * (promise 4).
 *
 * Stands still while the log begins behind the next entry that derived state needs: a snapshot will take
 * it there (snapshot/state-rebuilder.ts).
 */
import { assert } from '../base/assert.ts';
import { advance, type LogIndex } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import { type CommitLog, EntriesGone, type StoredEntry } from '../store/commit-log.ts';
import type { CommittedEntry, DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import { committedEntryOf } from './committed-entry.ts';
import {
  APPLY_READ_SIZE_BYTES_MAX,
  APPLY_TURN_MS_MAX,
  APPLY_TURN_SIZE_BYTES_MAX,
  UNFLUSHED_ENTRIES_MAX,
  UNFLUSHED_MS_MAX,
  UNFLUSHED_SIZE_BYTES_MAX,
} from './limits.ts';
import { isBehindLog } from './snapshot/state-rebuilder.ts';

export interface ApplyLoopOptions {
  readonly log: CommitLog;
  readonly state: DerivedState;
  readonly clock: Clock;
  /** Runs after each entry, in order. */
  readonly onEntry: (entry: CommittedEntry, results: readonly RecordResult[]) => void;
  /** There may be work: call `runSlice` in a turn of the driver. */
  readonly onReady: () => void;
  readonly onFatal: (error: unknown) => void;
}

export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  /** Committed up to here. */
  #target: LogIndex;
  /** Read from disk, not applied yet. */
  #fetched: readonly StoredEntry[] = [];
  #reading: Promise<void> | null = null;
  #yield: Timer | null = null;
  #flushTimer: Timer | null = null;
  /** The database is taking entries. */
  #flushing: Promise<void> | null = null;
  /** It has not taken the last batch, and the next one is full. */
  #waitsForFlush = false;
  /** Applied since the last flush began. */
  readonly #batch = { entries: 0, sizeBytes: 0 };
  #closed = false;

  constructor(options: ApplyLoopOptions) {
    this.#options = options;
    this.#target = options.state.appliedIndex;
  }

  get hasWork(): boolean {
    return (
      !this.#closed &&
      this.#reading === null &&
      this.#yield === null &&
      !this.#waitsForFlush &&
      this.#options.state.appliedIndex < this.#target &&
      !isBehindLog(this.#options)
    );
  }

  extendTo(target: LogIndex): void {
    assert(target >= this.#target, 'what is committed does not shrink');
    this.#target = target;
  }

  /** @returns whether anything was applied */
  runSlice(): boolean {
    const { clock, state } = this.#options;
    const startedMs = clock.monotonicMs();
    const before = state.appliedIndex;
    let sizeBytes = 0;
    while (this.hasWork) {
      const stored = this.#next();
      if (stored === null) {
        this.#startReading();
        break;
      }
      this.#apply(stored);
      sizeBytes += stored.bytes.length;
      const tired = clock.monotonicMs() - startedMs >= APPLY_TURN_MS_MAX;
      if (tired || sizeBytes >= APPLY_TURN_SIZE_BYTES_MAX) this.#scheduleNextSlice();
    }
    this.#flushLater();
    return state.appliedIndex > before;
  }

  /** Stops for good, with everything applied so far in the database. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#yield?.cancel();
    this.#flushTimer?.cancel();
    await this.#reading;
    if (this.#options.state.unflushedEntries > 0) this.#options.state.flush();
    await this.#options.state.flushed();
  }

  #next(): StoredEntry | null {
    const { log, state } = this.#options;
    const index = advance(state.appliedIndex, 1);
    const fetched = this.#fetched[0];
    if (fetched !== undefined) {
      const found = this.#fetched[index - fetched.desc.index];
      if (found !== undefined) return found;
      this.#fetched = [];
    }
    return log.cachedEntries(index, index)?.[0] ?? null;
  }

  #apply(stored: StoredEntry): void {
    const { state, onEntry } = this.#options;
    const entry = committedEntryOf(stored);
    assert(entry.index === state.appliedIndex + 1, 'entries are applied in order');
    const results = state.apply(entry);
    assert(state.appliedIndex === entry.index, 'apply advances the applied index');
    onEntry(entry, results);
    this.#batch.entries++;
    this.#batch.sizeBytes += stored.bytes.length;
    const { entries, sizeBytes } = this.#batch;
    if (entries < UNFLUSHED_ENTRIES_MAX && sizeBytes < UNFLUSHED_SIZE_BYTES_MAX) return;
    if (this.#flushing === null) this.#flush();
    else this.#waitsForFlush = true;
  }

  #startReading(): void {
    const { log, state, onReady, onFatal } = this.#options;
    const from = advance(state.appliedIndex, 1);
    // Committed entries are never cut, so what is read stays true.
    this.#reading = log
      .readEntries(from, this.#target, APPLY_READ_SIZE_BYTES_MAX)
      .catch((error: unknown): readonly StoredEntry[] => {
        // But a snapshot may take the place of all of them, and then they are not needed.
        if (error instanceof EntriesGone || isBehindLog(this.#options)) return [];
        throw error;
      })
      .then((entries) => {
        const isRead = entries[0]?.desc.index === from;
        assert(isRead || isBehindLog(this.#options), 'a read starts where it was asked to');
        this.#fetched = isRead ? entries : [];
        this.#reading = null;
        if (!this.#closed) onReady();
      })
      .catch(onFatal);
  }

  #scheduleNextSlice(): void {
    this.#yield = this.#options.clock.setTimer(0, () => {
      this.#yield = null;
      this.#options.onReady();
    });
  }

  #flushLater(): void {
    if (this.#batch.entries === 0 || this.#flushTimer !== null) return;
    this.#flushTimer = this.#options.clock.setTimer(UNFLUSHED_MS_MAX, () => {
      try {
        this.#flush();
      } catch (error) {
        // The database refused before: this replica cannot go on.
        this.#options.onFatal(error);
      }
    });
  }

  /** Beside the event loop: applying goes on meanwhile, by one batch at most. */
  #flush(): void {
    const { state, onFatal } = this.#options;
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    this.#batch.entries = 0;
    this.#batch.sizeBytes = 0;
    state.flush();
    const flushing: Promise<void> = state
      .flushed()
      .then(() => this.#onFlushed(flushing))
      .catch(onFatal);
    this.#flushing = flushing;
  }

  #onFlushed(flushing: Promise<void>): void {
    if (this.#flushing !== flushing) return;
    this.#flushing = null;
    if (!this.#waitsForFlush || this.#closed) return;
    this.#waitsForFlush = false;
    this.#flush();
    this.#options.onReady();
  }
}
