/**
 * The segments of one generation on disk: which exist, which is prepared next, which are open for writing.
 *
 * The next segment is filled with zeros in the background while the current one is written, so rolling over
 * is a write like any other. A segment, once prepared, is never renamed or removed here; a cut makes it
 * zeros again, and those in front are removed when the base has passed them (segmented-commit-log.ts).
 * Without space the preparation is tried again every second: writes that need it wait, and
 * their age shows (H10, H11). Any other failure is fatal.
 */
import { assert } from '../base/assert.ts';
import { advance, type PhysicalOffset } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import { type Disk, DiskError, isOutOfSpace, type LogWriter, type WriterFile } from '../io/disk.ts';
import { KEEP_FREE_SIZE_BYTES } from './disk-space.ts';
import { OPEN_WRITER_SEGMENTS_MAX, PREPARE_RETRY_MS } from './limits.ts';
import { type LogPaths, segmentStartOf } from './log-paths.ts';

export interface SegmentSetOptions {
  readonly disk: Disk;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly paths: LogPaths;
  readonly segmentSizeBytes: number;
  /** Those that exist: from the first one to the one that ends here. */
  readonly firstStart: PhysicalOffset;
  readonly readyEnd: PhysicalOffset;
  readonly onFail: (error: DiskError) => void;
}

export class SegmentSet {
  readonly #options: SegmentSetOptions;
  readonly #abort = new AbortController();
  /** Open for writing, in order of last use. */
  readonly #open = new Map<PhysicalOffset, WriterFile>();
  #firstStart: PhysicalOffset;
  #readyEnd: PhysicalOffset;
  /** How far there should be some: the one the log ends in and the next. */
  #wantedEnd: PhysicalOffset;
  #hasBegun = false;
  #preparing: Promise<void> | null = null;
  #retry: Timer | null = null;
  #isOutOfSpace = false;
  /** Monotonic; when a segment that had waited for room was prepared last. */
  #roomSinceMs = 0;
  #onReady: () => void = () => {};

  constructor(options: SegmentSetOptions) {
    this.#options = options;
    this.#firstStart = options.firstStart;
    this.#readyEnd = options.readyEnd;
    this.#wantedEnd = options.readyEnd;
  }

  get paths(): LogPaths {
    return this.#options.paths;
  }

  /** From now on what is wanted is prepared; the directory exists. */
  begin(): void {
    this.#hasBegun = true;
    this.#prepareNext();
  }

  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  isReady(start: PhysicalOffset): boolean {
    return start >= this.#firstStart && start < this.#readyEnd;
  }

  writerFile(start: PhysicalOffset): WriterFile {
    assert(this.isReady(start), 'only a prepared segment is opened');
    const known = this.#open.get(start);
    this.#open.delete(start);
    const file = known ?? this.#options.writer.open(this.#options.paths.segment(start));
    this.#open.set(start, file);
    this.#closeOldest();
    return file;
  }

  /** Makes sure that the segment of `end` and the one after it exist, sooner or later. */
  prepareFor(end: PhysicalOffset): void {
    const { segmentSizeBytes } = this.#options;
    const wantedEnd = advance(segmentStartOf(end, segmentSizeBytes), 2 * segmentSizeBytes);
    if (wantedEnd > this.#wantedEnd) this.#wantedEnd = wantedEnd;
    this.#prepareNext();
  }

  /** Those before `start` are going to be removed. @returns where they start, ascending */
  forgetBefore(start: PhysicalOffset): readonly PhysicalOffset[] {
    const forgotten: PhysicalOffset[] = [];
    // What the log has not reached yet is prepared and stays.
    while (this.#firstStart < start && this.#firstStart < this.#readyEnd) {
      this.#closeFile(this.#firstStart);
      forgotten.push(this.#firstStart);
      this.#firstStart = advance(this.#firstStart, this.#options.segmentSizeBytes);
    }
    return forgotten;
  }

  /** The next segment could not be prepared for lack of space and is tried again until it can. */
  get isOutOfSpace(): boolean {
    return this.#isOutOfSpace;
  }

  /**
   * Since when a write that was handed over then waits for what it waits for now. One that waited for
   * room is as old as the room, once there is some: the wait said nothing of the disk, which is given its
   * time from there on as for any other write. Otherwise a node that had waited for long would end itself
   * as one with a hung disk (H11) in the very moment in which it is cured (H10).
   */
  waitingSinceMs(handedOverAtMs: number): number {
    return this.#isOutOfSpace ? handedOverAtMs : Math.max(handedOverAtMs, this.#roomSinceMs);
  }

  /** Gives up preparing; resolves when nothing of it is left to happen. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#retry?.cancel();
    await this.#preparing;
  }

  /** Nothing is written to it any more. */
  closeFiles(): void {
    for (const start of [...this.#open.keys()]) this.#closeFile(start);
  }

  #closeOldest(): void {
    if (this.#open.size <= OPEN_WRITER_SEGMENTS_MAX) return;
    const [oldest] = this.#open.keys();
    assert(oldest !== undefined, 'there is one to close');
    this.#closeFile(oldest);
  }

  #closeFile(start: PhysicalOffset): void {
    const file = this.#open.get(start);
    if (file === undefined) return;
    this.#open.delete(start);
    this.#options.writer.closeFile(file);
  }

  #prepareNext(): void {
    const isBusy = this.#preparing !== null || this.#retry !== null || !this.#hasBegun;
    if (isBusy || this.#abort.signal.aborted || this.#readyEnd >= this.#wantedEnd) return;
    this.#preparing = this.#prepare().finally(() => {
      this.#preparing = null;
      this.#prepareNext();
    });
  }

  async #prepare(): Promise<void> {
    const { disk, paths, segmentSizeBytes, clock, onFail } = this.#options;
    const start = this.#readyEnd;
    try {
      await disk.preallocate(
        paths.segment(start),
        segmentSizeBytes,
        this.#abort.signal,
        KEEP_FREE_SIZE_BYTES,
      );
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (this.#abort.signal.aborted) return;
      if (!isOutOfSpace(error)) {
        onFail(error);
        return;
      }
      this.#isOutOfSpace = true;
      this.#retry = clock.setTimer(PREPARE_RETRY_MS, () => {
        this.#retry = null;
        this.#prepareNext();
      });
      return;
    }
    if (this.#isOutOfSpace) this.#roomSinceMs = clock.monotonicMs();
    this.#isOutOfSpace = false;
    this.#readyEnd = advance(start, segmentSizeBytes);
    this.#onReady();
  }
}
