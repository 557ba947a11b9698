/**
 * Reads the whole log again and again, slowly, so that rot is found while the other replicas still have
 * good copies (H4), and not when they have died.
 *
 * A pass goes from the newest segment to the oldest: after a start nobody knows how far the last pass came, and
 * what is newest has been read least often. It ends within the period, if the rate allows; where the
 * log has grown so large that it does not, `isLate` says so. Between reads it waits for as long as its pace
 * demands, and longer while log writes wait for the disk.
 *
 * Not here: what follows from a finding (replica/damage-response.ts).
 */
import type { PhysicalOffset } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import {
  SCRUB_BYTES_PER_SECOND_MIN,
  SCRUB_PASSES_PER_PERIOD,
  SCRUB_READ_SIZE_BYTES,
  SCRUB_YIELD_PAUSE_MS,
  SCRUB_YIELD_PAUSES_MAX,
  SCRUB_YIELD_PENDING_MS,
} from './limits.ts';
import type { LogDamage, LogOnDisk, SegmentExtent } from './log-on-disk.ts';
import { pause } from './pause.ts';

export interface ScrubLimits {
  readonly bytesPerSecondMax: number;
  /** Every byte is read at least so often, rate permitting. */
  readonly periodMs: number;
}

export type ScrubEvent =
  | { readonly kind: 'scrubFound'; readonly damage: LogDamage }
  /** A first read was bad, and the same again was good: cable, memory or controller. */
  | { readonly kind: 'scrubReadFlaky'; readonly segment: PhysicalOffset }
  | {
      readonly kind: 'scrubPassed';
      readonly readBytes: number;
      readonly findingCount: number;
      readonly tookMs: number;
    };

export interface ScrubberOptions {
  readonly log: LogOnDisk;
  readonly clock: Clock;
  readonly limits: ScrubLimits;
  /** Age of the oldest log write that waits for the disk. */
  readonly oldestPendingMs: () => number;
  readonly onEvent: (event: ScrubEvent) => void;
  /** The disk failed in another way than by losing bytes, or a bug. */
  readonly onFatal: (error: unknown) => void;
}

export interface ScrubProgress {
  readonly state: 'reading' | 'yielding' | 'waiting';
  /** Finished since the start of the process. */
  readonly passCount: number;
  /** Places that were damaged; in each pass again. */
  readonly findingCount: number;
  readonly flakyReadCount: number;
  /** In all passes. */
  readonly readBytes: number;
  /** Of the pass under way, or of the last one. */
  readonly passDoneBytes: number;
  readonly passTotalBytes: number;
  readonly bytesPerSecond: number;
  /** Wall clock; null: no pass is finished. */
  readonly lastFinishedAtMs: number | null;
  /** The last pass took longer than it may: the rate is too low for this log. */
  readonly isLate: boolean;
  /** Whether the last read went past the page cache; null before the first. */
  readonly isFromDevice: boolean | null;
}

export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #stopping = new AbortController();
  #progress: ScrubProgress = {
    state: 'waiting',
    passCount: 0,
    findingCount: 0,
    flakyReadCount: 0,
    readBytes: 0,
    passDoneBytes: 0,
    passTotalBytes: 0,
    bytesPerSecond: 0,
    lastFinishedAtMs: null,
    isLate: false,
    isFromDevice: null,
  };
  #running: Promise<void> | null = null;
  /** Ends the rest between two passes; null while one is under way. */
  #resting: AbortController | null = null;

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  get progress(): ScrubProgress {
    return this.#progress;
  }

  start(): void {
    this.#running ??= this.#run().catch(this.#options.onFatal);
  }

  /**
   * The next pass begins now. @returns whether it does; false: one is under way already, and what was
   * written since it began is read by the next one.
   */
  passNow(): boolean {
    if (this.#resting === null) return false;
    this.#resting.abort();
    return true;
  }

  /** Resolves when nothing is being read any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, limits, onEvent } = this.#options;
    const passMs = limits.periodMs / SCRUB_PASSES_PER_PERIOD;
    // Ends when the owner stops.
    while (!this.#stopping.signal.aborted) {
      const startedMs = clock.monotonicMs();
      const { findingCount, readBytes } = this.#progress;
      const isWhole = await this.#pass(passMs);
      if (!isWhole) return;
      const tookMs = clock.monotonicMs() - startedMs;
      this.#note({
        state: 'waiting',
        passCount: this.#progress.passCount + 1,
        lastFinishedAtMs: clock.wallMs(),
        isLate: tookMs > limits.periodMs,
      });
      onEvent({
        kind: 'scrubPassed',
        readBytes: this.#progress.readBytes - readBytes,
        findingCount: this.#progress.findingCount - findingCount,
        tookMs,
      });
      // Of an empty log a pass takes no time, and the next one must not begin in the same turn.
      const restMs = Math.max(passMs - tookMs, SCRUB_YIELD_PAUSE_MS);
      await this.#rest(clock, restMs);
    }
  }

  async #rest(clock: Clock, restMs: number): Promise<void> {
    this.#resting = new AbortController();
    await pause(clock, restMs, AbortSignal.any([this.#stopping.signal, this.#resting.signal]));
    this.#resting = null;
  }

  /** @returns false when it was stopped */
  async #pass(passMs: number): Promise<boolean> {
    const extents = this.#options.log.segments().toReversed();
    const totalBytes = extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const bytesPerSecond = paceOf(totalBytes, passMs, this.#options.limits);
    this.#note({ passDoneBytes: 0, passTotalBytes: totalBytes, bytesPerSecond });
    for (const extent of extents) {
      if (!(await this.#readSegment(extent, bytesPerSecond))) return false;
    }
    return true;
  }

  async #readSegment(extent: SegmentExtent, bytesPerSecond: number): Promise<boolean> {
    const { log, clock } = this.#options;
    const { signal } = this.#stopping;
    let next = extent.firstIndex;
    while (next <= extent.lastIndex) {
      if (!(await this.#waitForWrites())) return false;
      this.#note({ state: 'reading' });
      const outcome = await log.check(next, extent.lastIndex, SCRUB_READ_SIZE_BYTES);
      // The log was cut here or lost its front: what is there now is read in the next pass.
      if (outcome.kind === 'gone') return !signal.aborted;
      this.#noteRead(outcome.sizeBytes);
      if (outcome.kind === 'damaged') for (const damage of outcome.damages) this.#report(damage);
      else {
        this.#note({ isFromDevice: outcome.isFromDevice });
        if (outcome.wasFlaky) this.#reportFlaky(extent);
      }
      next = (outcome.lastIndex + 1) as typeof next;
      const waitMs = (outcome.sizeBytes * 1_000) / bytesPerSecond;
      if (!(await pause(clock, waitMs, signal))) return false;
    }
    return true;
  }

  /** @returns false when it was stopped */
  async #waitForWrites(): Promise<boolean> {
    const { clock, oldestPendingMs } = this.#options;
    const { signal } = this.#stopping;
    for (let count = 0; count < SCRUB_YIELD_PAUSES_MAX; count++) {
      if (oldestPendingMs() < SCRUB_YIELD_PENDING_MS) break;
      this.#note({ state: 'yielding' });
      if (!(await pause(clock, SCRUB_YIELD_PAUSE_MS, signal))) return false;
    }
    return !signal.aborted;
  }

  #report(damage: LogDamage): void {
    this.#note({ findingCount: this.#progress.findingCount + 1 });
    this.#options.onEvent({ kind: 'scrubFound', damage });
  }

  #reportFlaky({ startOffset }: SegmentExtent): void {
    this.#note({ flakyReadCount: this.#progress.flakyReadCount + 1 });
    this.#options.onEvent({ kind: 'scrubReadFlaky', segment: startOffset });
  }

  #noteRead(sizeBytes: number): void {
    const { readBytes, passDoneBytes } = this.#progress;
    this.#note({ readBytes: readBytes + sizeBytes, passDoneBytes: passDoneBytes + sizeBytes });
  }

  #note(change: Partial<ScrubProgress>): void {
    this.#progress = { ...this.#progress, ...change };
  }
}

function paceOf(
  totalBytes: number,
  passMs: number,
  { bytesPerSecondMax }: Pick<ScrubLimits, 'bytesPerSecondMax'>,
): number {
  const needed = (totalBytes * 1_000) / passMs;
  return Math.min(bytesPerSecondMax, Math.max(needed, SCRUB_BYTES_PER_SECOND_MIN));
}
