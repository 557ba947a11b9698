/**
 * The order of everything a store writes. Segments are prepared in the background; a batch for one
 * that is not ready yet holds back all after it, so that nothing overtakes.
 */
import { assert } from '../base/assert.ts';
import type { PhysicalOffset } from '../base/units.ts';
import type { LogWriter, WriteBatch, WriterFile } from '../io/disk.ts';
import type { SegmentSet } from './segment-set.ts';

interface Held {
  readonly segment: PhysicalOffset | null;
  readonly batchOf: (segment: WriterFile | null) => WriteBatch;
}

export class LogLane {
  readonly #writer: LogWriter;
  readonly #segments: SegmentSet;
  #held: Held[] = [];
  #isStopped = false;

  constructor(writer: LogWriter, segments: SegmentSet) {
    this.#writer = writer;
    this.#segments = segments;
    segments.onReady(() => this.#release());
  }

  submit(batch: WriteBatch): void {
    this.#submit({ segment: null, batchOf: () => batch });
  }

  /** A batch that writes to the segment starting at `segment`. */
  submitTo(segment: PhysicalOffset, batchOf: (file: WriterFile) => WriteBatch): void {
    this.#submit({
      segment,
      batchOf: (file) => {
        assert(file !== null, 'the segment is ready');
        return batchOf(file);
      },
    });
  }

  /** A write waits for its segment. */
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
    if (this.#held.length > 0 || !this.#isReady(held)) {
      this.#held.push(held);
      return;
    }
    this.#pass(held);
  }

  #isReady(held: Held): boolean {
    return held.segment === null || this.#segments.isReady(held.segment);
  }

  #pass(held: Held): void {
    const file = held.segment === null ? null : this.#segments.writerFile(held.segment);
    this.#writer.submit(held.batchOf(file));
  }

  #release(): void {
    let count = 0;
    for (const held of this.#held) {
      if (!this.#isReady(held)) break;
      this.#pass(held);
      count += 1;
    }
    this.#held.splice(0, count);
  }
}
