/**
 * The beginning of the log: what it stands on, how it is cut in front, and how another log takes its place.
 *
 * Compaction: the base is swapped first, then segments go, front to back (H8). A crash in between leaves
 * segments that the base does not name, and the next start removes them. Writes go on meanwhile.
 *
 * Installation (H18): the new log gets a directory of its own, which is empty; the base is swapped and names
 * it; then the old directory goes. Everything handed over before is durable before the swap, nothing
 * handed over after it is written before it. So segments of the old log can never be taken for new ones
 * (C25), and a crash leaves one log or the other.
 *
 * Without room for the base, which is two pages, both wait and try again: compaction is how room returns.
 */
import { assert } from '../base/assert.ts';
import type { FatalError } from '../base/errors.ts';
import { advance, type PhysicalOffset } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import { type Disk, DiskError, isOutOfSpace } from '../io/disk.ts';
import { SEGMENT_HEADER_SIZE_BYTES, type SnapshotDesc } from '../raft/entry.ts';
import type { LogBase, SegmentStart } from './commit-log.ts';
import type { EntryTable } from './entry-table.ts';
import { PREPARE_RETRY_MS } from './limits.ts';
import { type BaseRecord, encodeBaseFile, tipOfBase } from './log-base.ts';
import type { LogLane } from './log-lane.ts';
import type { LogPaths } from './log-paths.ts';
import type { SegmentSet } from './segment-set.ts';
import type { StoreRules } from './store-rules.ts';
import type { TailCache } from './tail-cache.ts';

export interface LogFrontParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly lane: LogLane;
  readonly table: EntryTable;
  readonly cache: TailCache;
  readonly segmentSizeBytes: number;
  /** The one that is durable, and the segments of its log. */
  readonly base: BaseRecord;
  readonly segments: SegmentSet;
  /** None yet, in a directory that does not exist yet. */
  readonly newSegments: (paths: LogPaths, start: PhysicalOffset) => SegmentSet;
  readonly rules: StoreRules;
  readonly onFail: (error: DiskError) => void;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: FatalError) => void;
}

/** @returns whether to go on */
type FrontStep = () => Promise<boolean>;

export class LogFront {
  readonly #parts: LogFrontParts;
  /** As the disk has it. */
  #durable: BaseRecord;
  /** As handed over last. */
  #base: LogBase;
  #generation: number;
  #segments: SegmentSet;
  /** Those of logs that are being replaced included. */
  readonly #liveSets: Set<SegmentSet>;
  /** Compactions and installations, one after the other. */
  #work: Promise<void> = Promise.resolve();
  readonly #waiting = new Set<Waiting>();
  #failure: FatalError | null = null;
  #isStopped = false;
  #isOutOfSpace = false;
  #retry: Timer | null = null;
  #onRetry: () => void = () => {};

  constructor(parts: LogFrontParts) {
    this.#parts = parts;
    this.#durable = parts.base;
    this.#base = parts.base.base;
    this.#generation = parts.base.generation;
    this.#segments = parts.segments;
    this.#liveSets = new Set([parts.segments]);
  }

  get base(): LogBase {
    return this.#base;
  }

  /** Where what is handed over now goes. */
  get segments(): SegmentSet {
    return this.#segments;
  }

  /** Something is tried again until there is room. */
  get isOutOfSpace(): boolean {
    return this.#isOutOfSpace || [...this.#liveSets].some((set) => set.isOutOfSpace);
  }

  segmentStarts(): readonly SegmentStart[] {
    const { table, segmentSizeBytes } = this.#parts;
    const starts: SegmentStart[] = [];
    for (let start = table.base.end; start < table.end; start = advance(start, segmentSizeBytes)) {
      const firstIndex = table.indexAt(advance(start, SEGMENT_HEADER_SIZE_BYTES));
      assert(firstIndex !== null, 'a segment of the log begins with an entry', () => ({ start }));
      starts.push({ firstIndex, physicalOffset: start });
    }
    return starts;
  }

  compact(desc: SnapshotDesc): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#isStopped || desc.last.index <= this.#parts.table.base.index) return this.#work;
    this.#assertCuttable(desc);
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      this.#waiting.add(waiting);
      const settle = (): void => {
        if (this.#waiting.delete(waiting)) resolve();
      };
      // In its turn: what it removes is durable, and an installation before it is over.
      const onDone = (): void => this.#begin(() => this.#compactNow(desc).then(settle));
      this.#parts.lane.submit({ writes: [], sync: 'group', note: null, onDone });
    });
  }

  /** @param firstNote notes with a lower sequence do not speak of the new log */
  install(base: LogBase, firstNote: number): void {
    const { table, cache, lane, rules, newSegments, segmentSizeBytes } = this.#parts;
    const tip = tipOfBase(base);
    assert(base.desc !== null, 'a log that takes the place of another one does not begin at 1');
    assert(tip.end % segmentSizeBytes === 0, 'a log begins with a segment', () => tip);
    const old = this.#segments;
    this.#generation = rules.generationAfter(this.#generation);
    const paths = old.paths.at(this.#generation);
    const next = newSegments(paths, tip.end);
    this.#liveSets.add(next);
    this.#segments = next;
    this.#base = base;
    table.resetTo(tip);
    cache.resetTo(advance(tip.index, 1));
    const { storeUuid } = this.#durable;
    const record = { storeUuid, generation: paths.generation, firstNote, base };
    lane.submitWork((over) => this.#begin(() => this.#installNow({ record, old, next, over })));
  }

  /** Who waits for a compaction will not see it. */
  fail(error: FatalError): void {
    this.#failure = error;
    this.#stopWaiting();
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  /** Finishes what has begun, unless it waits for room; resolves when nothing is left to happen. */
  async stop(): Promise<void> {
    this.#stopWaiting();
    await Promise.all([...this.#liveSets].map((set) => set.stop()));
    await this.#work;
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #stopWaiting(): void {
    this.#isStopped = true;
    this.#retry?.cancel();
    this.#onRetry();
  }

  #begin(work: () => Promise<void>): void {
    this.#work = this.#work.then(work);
  }

  #assertCuttable({ last, endOffset }: SnapshotDesc): void {
    const { table, segmentSizeBytes } = this.#parts;
    assert(endOffset % segmentSizeBytes === 0, 'a log is cut where a segment ends', () => last);
    assert(table.has(last.index), 'a log is cut behind one of its entries', () => last);
    assert(table.endOf(last.index) === endOffset, 'the entry ends where the cut is', () => last);
    assert(
      table.termOf(last.index) === last.term,
      'the entry is the one that is meant',
      () => last,
    );
  }

  async #compactNow(desc: SnapshotDesc): Promise<void> {
    const { table, cache, rules, segmentSizeBytes } = this.#parts;
    const { index } = desc.last;
    // Another compaction, or an installation that has been handed over since, reaches further.
    if (index <= table.base.index) return;
    const segments = this.#segments;
    const from = table.base.end;
    const base = { desc, headerCrc: table.headerCrcOf(index) };
    const swapsBase = async (): Promise<boolean> => {
      if (!(await this.#keep({ ...this.#durable, base }, segments.paths))) return false;
      if (this.#segments !== segments) return true;
      this.#base = base;
      table.compactTo(index);
      cache.forgetThrough(index);
      return true;
    };
    const unlinks: FrontStep[] = [];
    for (let start = from; start < desc.endOffset; start = advance(start, segmentSizeBytes)) {
      unlinks.push(() => this.#unlink(segments, start));
    }
    for (const step of rules.orderOfCompaction<FrontStep>(swapsBase, unlinks)) {
      if (!(await step())) return;
    }
  }

  #unlink(segments: SegmentSet, start: PhysicalOffset): Promise<boolean> {
    const { disk, segmentSizeBytes } = this.#parts;
    segments.forgetBefore(advance(start, segmentSizeBytes));
    return this.#attempt(() => disk.remove(segments.paths.segment(start)));
  }

  async #installNow(installation: Installation): Promise<void> {
    const { record, old, next, over } = installation;
    const { disk } = this.#parts;
    old.closeFiles();
    await old.stop();
    this.#liveSets.delete(old);
    if (!(await this.#keep(record, next.paths))) return;
    next.begin();
    over();
    if (old.paths.generation === next.paths.generation) return;
    await this.#attempt(() => disk.removeDirectory(old.paths.data));
  }

  /** Makes it durable, as soon as there is room for it. @returns false when that will not be */
  async #keep(record: BaseRecord, paths: LogPaths): Promise<boolean> {
    const { disk, onFail } = this.#parts;
    const bytes = encodeBaseFile(record);
    while (!this.#isStopped) {
      try {
        await disk.makeDirectory(paths.data);
        await disk.writeFile(paths.base, bytes);
        this.#durable = record;
        this.#isOutOfSpace = false;
        return true;
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        if (!isOutOfSpace(error)) {
          onFail(error);
          return false;
        }
        this.#isOutOfSpace = true;
        await this.#pause();
      }
    }
    return false;
  }

  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#parts.onFail(error);
      return false;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRetry = resolve;
      this.#retry = this.#parts.clock.setTimer(PREPARE_RETRY_MS, resolve);
      if (this.#isStopped) this.#stopWaiting();
    });
  }
}

interface Installation {
  readonly record: BaseRecord;
  readonly old: SegmentSet;
  readonly next: SegmentSet;
  readonly over: () => void;
}
