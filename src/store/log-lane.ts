/**
 * The order of everything a store writes. Segments are prepared in the background; a batch for one
 * that is not ready yet holds back all after it, so that nothing overtakes. So does work that is no write
 * of the log writer's: it begins when everything before it is durable.
 */
import { assert } from '../base/assert.ts';
import type { PhysicalOffset } from '../base/units.ts';
import type { LogWriter, WriteBatch, WriterFile } from '../io/disk.ts';
import type { SegmentSet } from './segment-set.ts';

/** One thing in the lane. */
interface Held {
  readonly isReady: () => boolean;
  readonly pass: () => void;
}

export class LogLane {
  readonly #writer: LogWriter;
  #held: Held[] = [];
  #isStopped = false;

  constructor(writer: LogWriter) {
    this.#writer = writer;
  }

  /** What waits for a segment of the set goes on when it is ready. */
  attach(segments: SegmentSet): void {
    segments.onReady(() => this.#release());
  }

  submit(batch: WriteBatch): void {
    this.#submit({ isReady: () => true, pass: () => this.#writer.submit(batch) });
  }

  /** A batch that writes to the segment starting at `start`. */
  submitTo(
    segments: SegmentSet,
    start: PhysicalOffset,
    batchOf: (file: WriterFile) => WriteBatch,
  ): void {
    this.#submit({
      isReady: () => segments.isReady(start),
      pass: () => this.#writer.submit(batchOf(segments.writerFile(start))),
    });
  }

  /** `work` is called when all before it is durable, and nothing after it is written before it is over. */
  submitWork(work: (over: () => void) => void): void {
    let isOver = false;
    const over = (): void => {
      assert(!isOver, 'work is over once');
      isOver = true;
      this.#release();
    };
    const onDone = (): void => {
      if (!this.#isStopped) work(over);
    };
    this.submit({ writes: [], sync: 'group', note: null, onDone });
    this.#submit({ isReady: () => isOver, pass: () => {} });
  }

  /** A write waits for its segment, or for work that is not over. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** After a failure: what is held back will never be written. */
  stop(): void {
    this.#isStopped = true;
    this.#held = [];
  }

  #submit(held: Held): void {
    if (this.#isStopped) return;
    if (this.#held.length > 0 || !held.isReady()) {
      this.#held.push(held);
      return;
    }
    held.pass();
  }

  #release(): void {
    let count = 0;
    for (const held of this.#held) {
      if (!held.isReady()) break;
      held.pass();
      count += 1;
    }
    this.#held.splice(0, count);
  }
}
