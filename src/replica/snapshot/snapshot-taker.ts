/**
 * Takes snapshots of the own derived state: before the log is compacted, and at the latest every so
 * often. One at a time, beside everything else.
 */
import { CorruptionError, FatalError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import { DiskError, isOutOfSpace } from '../../io/disk.ts';
import type { DerivedState } from '../../store/derived/derived-state.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import type { SnapshotInfo } from '../../store/snapshots/snapshot-info.ts';
import { Pauses } from '../pauses.ts';
import { type SnapshotLimits, TAKE_RETRY_MS } from './limits.ts';

export interface SnapshotTakerOptions {
  readonly clock: Clock;
  readonly state: DerivedState;
  readonly files: SnapshotFiles;
  readonly limits: SnapshotLimits;
  readonly onTaken: (info: SnapshotInfo, durationMs: number) => void;
  /** Tried again later. */
  readonly onFailed: (problem: string) => void;
  readonly onFatal: (error: unknown) => void;
}

const STOPPING = 'this node stops';

/** The writer of a snapshot was told to stop. */
class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** What came of a snapshot that was asked for; `failed`: it is tried again later. */
export type TakeOutcome =
  | { readonly kind: 'taken'; readonly info: SnapshotInfo }
  | { readonly kind: 'failed'; readonly why: string };

export class SnapshotTaker {
  readonly #options: SnapshotTakerOptions;
  readonly #pauses: Pauses;
  #taking: Promise<void> | null = null;
  #isWanted = false;
  /** Who asked, and waits for what is applied by now to be in a snapshot. */
  #asking: { readonly from: LogIndex; readonly resolve: (outcome: TakeOutcome) => void }[] = [];
  /** Monotonic: when the last one was begun, or this process. */
  #begunAtMs: number;
  #notBeforeMs = 0;

  constructor(options: SnapshotTakerOptions) {
    this.#options = options;
    this.#pauses = new Pauses(options.clock);
    this.#begunAtMs = options.clock.monotonicMs();
  }

  /** As soon as may be, of what is applied then. */
  want(): void {
    this.#isWanted = true;
    this.check();
  }

  /** Resolves when all that is applied now is in a durable snapshot. */
  request(): Promise<TakeOutcome> {
    const { files, state } = this.#options;
    const { newest } = files;
    if (this.#pauses.closed) return Promise.resolve({ kind: 'failed', why: STOPPING });
    if (newest !== null && newest.appliedIndex >= state.appliedIndex) {
      return Promise.resolve({ kind: 'taken', info: newest });
    }
    if (state.appliedIndex === 0) {
      return Promise.resolve({ kind: 'failed', why: 'nothing is applied yet' });
    }
    return new Promise((resolve) => {
      this.#asking.push({ from: state.appliedIndex, resolve });
      this.want();
    });
  }

  /** Call it from time to time. */
  check(): void {
    const { clock, state, files } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#taking !== null || this.#pauses.closed || nowMs < this.#notBeforeMs) return;
    const newCount = state.appliedIndex - (files.newest?.appliedIndex ?? 0);
    if (newCount <= 0 || !this.#isDue(newCount, nowMs)) return;
    this.#isWanted = false;
    this.#begunAtMs = nowMs;
    this.#notBeforeMs = nowMs + this.#options.limits.pauseMsMin;
    this.#taking = this.#take(nowMs)
      .catch(this.#options.onFatal)
      .finally(() => {
        this.#taking = null;
      });
  }

  /** Resolves when none is being taken. */
  async idle(): Promise<void> {
    await this.#taking;
  }

  /** One that is being taken comes to nothing. */
  async close(): Promise<void> {
    this.#pauses.close();
    await this.#taking;
    this.#answer({ kind: 'failed', why: STOPPING });
  }

  #answer(outcome: TakeOutcome): void {
    const index = outcome.kind === 'taken' ? outcome.info.appliedIndex : Number.POSITIVE_INFINITY;
    const answered = this.#asking.filter(({ from }) => from <= index);
    this.#asking = this.#asking.filter(({ from }) => from > index);
    for (const { resolve } of answered) resolve(outcome);
    // What was applied after one was begun needs another.
    if (this.#asking.length > 0) this.#isWanted = true;
  }

  #isDue(newCount: number, nowMs: number): boolean {
    const { entriesMax, periodMs } = this.#options.limits;
    return this.#isWanted || newCount >= entriesMax || nowMs - this.#begunAtMs >= periodMs;
  }

  async #take(startedMs: number): Promise<void> {
    const { clock, files, onTaken } = this.#options;
    try {
      const snapshot = await this.#options.state.takeSnapshot();
      try {
        const info = await files.write(snapshot, () => this.#breathe());
        this.#answer({ kind: 'taken', info });
        onTaken(info, clock.monotonicMs() - startedMs);
      } finally {
        snapshot.close();
      }
    } catch (error) {
      this.#onProblem(error);
    }
  }

  /** @throws Stopped */
  async #breathe(): Promise<void> {
    if (!(await this.#pauses.wait(0))) throw new Stopped('A snapshot is not finished');
  }

  #onProblem(error: unknown): void {
    if (error instanceof Stopped) return;
    // The database was closed while we waited for its commit: as it says to everybody, fatal or not.
    if (error instanceof FatalError && this.#pauses.closed) return;
    if (!isOutOfSpace(error) && !(error instanceof CorruptionError)) {
      if (!(error instanceof DiskError)) throw error;
      throw new FatalError('diskFailed', error.message, { cause: error });
    }
    this.#isWanted = true;
    this.#notBeforeMs = this.#options.clock.monotonicMs() + TAKE_RETRY_MS;
    this.#answer({ kind: 'failed', why: error.message });
    this.#options.onFailed(error.message);
  }
}
