/**
 * A log writer while a store starts: one batch at a time, awaited. Then the log takes the writer over, and
 * with it the failures.
 *
 * Also what start-up writes: the torn end of a log is copied to quarantine and made zero; bytes that may
 * not have reached the disk are written again; a damaged copy of a segment header is replaced. Each
 * may be interrupted and is then simply done again by the next start.
 */
import { assert } from '../base/assert.ts';
import { advance, type PhysicalOffset } from '../base/units.ts';
import {
  BATCH_SIZE_BYTES_MAX,
  type Disk,
  type DiskError,
  type DiskWrite,
  type LogWriter,
  type WriterFile,
} from '../io/disk.ts';
import { QUARANTINE_SIZE_BYTES_MAX } from './limits.ts';
import { type LogPaths, segmentStartOf } from './log-paths.ts';
import type { ByteRange } from './scan-remains.ts';
import { encodeSegmentHeader, type SegmentHeader } from './segment.ts';

export class StartupWriter {
  readonly writer: LogWriter;
  readonly #disk: Disk;
  readonly #paths: LogPaths;
  readonly #segmentSizeBytes: number;
  readonly #segmentFiles = new Map<PhysicalOffset, WriterFile>();
  #failure: DiskError | null = null;
  #onFail: (error: DiskError) => void = () => {};

  constructor(
    disk: Disk,
    paths: LogPaths,
    segmentSizeBytes: number,
    onSync: (durationMs: number) => void,
  ) {
    this.#disk = disk;
    this.#paths = paths;
    this.#segmentSizeBytes = segmentSizeBytes;
    const onFail = (error: DiskError): void => {
      this.#failure = error;
      this.#onFail(error);
    };
    this.writer = disk.openLogWriter({ onFail, onSync });
  }

  /** Durable when it resolves. */
  async perform(writes: readonly DiskWrite[]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#onFail = reject;
      if (this.#failure !== null) reject(this.#failure);
      else this.writer.submit({ writes, sync: 'alone', note: null, onDone: resolve });
    });
  }

  /** From now on failures are `onFail`'s, one that has happened already included. */
  handOver(onFail: (error: DiskError) => void): void {
    for (const file of this.#segmentFiles.values()) this.writer.closeFile(file);
    this.#segmentFiles.clear();
    this.#onFail = onFail;
    if (this.#failure !== null) onFail(this.#failure);
  }

  /** `label` makes the names of two starts differ. */
  async quarantineAndZero(ranges: readonly ByteRange[], label: number): Promise<void> {
    let room = QUARANTINE_SIZE_BYTES_MAX;
    for (const { from, to } of ranges) {
      const sizeBytes = Math.min(to - from, room);
      room -= sizeBytes;
      const { path, position } = this.#placeOf(from);
      const torn = await this.#disk.read(path, position, sizeBytes);
      await this.#disk.writeFile(`${this.#paths.quarantine}/boot-${label}-at-${from}`, torn);
    }
    for (const { from, to } of ranges) {
      const { file, position } = this.#placeOf(from);
      await this.perform([{ file, position, zeroSizeBytes: to - from }]);
    }
  }

  /** Same bytes, same places: pages that the kernel wrongly believes clean are written again (H2). */
  async rewrite(from: PhysicalOffset, to: PhysicalOffset): Promise<void> {
    let at = from;
    while (at < to) {
      const { path, file, position, segment } = this.#placeOf(at);
      const pieceEnd = Math.min(to, segment + this.#segmentSizeBytes, at + BATCH_SIZE_BYTES_MAX);
      const bytes = await this.#disk.read(path, position, pieceEnd - at);
      assert(bytes.length === pieceEnd - at, 'a segment has its full size');
      await this.perform([{ file, position, bytes }]);
      at = advance(at, bytes.length);
    }
  }

  async replaceHeader(header: SegmentHeader): Promise<void> {
    const { file } = this.#placeOf(header.startOffset);
    await this.perform([{ file, position: 0, bytes: encodeSegmentHeader(header) }]);
  }

  #placeOf(offset: PhysicalOffset): {
    readonly segment: PhysicalOffset;
    readonly path: string;
    readonly file: WriterFile;
    readonly position: number;
  } {
    const segment = segmentStartOf(offset, this.#segmentSizeBytes);
    const path = this.#paths.segment(segment);
    const file = this.#segmentFiles.get(segment) ?? this.writer.open(path);
    this.#segmentFiles.set(segment, file);
    return { segment, path, file, position: offset - segment };
  }
}
