/**
 * A log writer while a store starts: one batch at a time, awaited. Then the log takes the writer over, and
 * with it the failures.
 *
 * Also what start-up writes: the torn end of a log is copied to quarantine and made zero; bytes that may
 * not have reached the disk are written again; a damaged segment header is replaced; entries that were
 * lost are put back (repair/). Each may be interrupted and is then simply done again by the next start.
 */
import { assert } from '../base/assert.ts';
import { adjacentRuns, concatBytes } from '../base/bytes.ts';
import { advance, type PhysicalOffset } from '../base/units.ts';
import {
  BATCH_SIZE_BYTES_MAX,
  BATCH_WRITES_MAX,
  type Disk,
  type DiskError,
  type DiskWrite,
  type LogWriter,
  type WriterFile,
} from '../io/disk.ts';
import type { StoredEntry } from './commit-log.ts';
import { type DurableNote, encodeNote, encodeRing, notePosition } from './durable-ring.ts';
import { QUARANTINE_SIZE_BYTES_MAX } from './limits.ts';
import { type BaseRecord, encodeBaseFile } from './log-base.ts';
import { type LogPaths, segmentStartOf } from './log-paths.ts';
import { type ByteRange, isZero } from './scan-remains.ts';
import { encodeSegmentHeader, type SegmentHeader } from './segment.ts';
import { SegmentReader, UnreadablePlaces } from './segment-reader.ts';
import { encodeSuperblock, SLOT_COUNT, SLOT_SIZE_BYTES, type Superblock } from './superblock.ts';

export class StartupWriter {
  readonly writer: LogWriter;
  readonly #disk: Disk;
  readonly #paths: LogPaths;
  readonly #segmentSizeBytes: number;
  readonly #segmentFiles = new Map<PhysicalOffset, WriterFile>();
  #quarantineRoom = QUARANTINE_SIZE_BYTES_MAX;
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
  async quarantineAndZero(ranges: readonly ByteRange[], label: string): Promise<void> {
    for (const range of ranges) await this.keep(range, label);
    for (const { from, to } of ranges) {
      const { file, position } = this.#placeOf(from);
      await this.perform([{ file, position, zeroSizeBytes: to - from }]);
    }
  }

  /**
   * Copies bytes to quarantine, as much as there is room for, unless they are zeros. The range lies in one
   * segment. What was kept under this name before is not replaced: it is nearer to how the damage was
   * found. What the disk cannot read is no reason not to write there.
   */
  async keep({ from, to }: ByteRange, label: string): Promise<void> {
    const sizeBytes = Math.min(to - from, this.#quarantineRoom);
    if (sizeBytes === 0) return;
    const { path, position } = this.#placeOf(from);
    const existingSizeBytes = (await this.#disk.sizeOf(path)) ?? 0;
    const unreadable = new UnreadablePlaces();
    const file = { path, sizeBytes: this.#segmentSizeBytes, existingSizeBytes, unreadable };
    const reader = new SegmentReader(this.#disk, file);
    await reader.load(position, sizeBytes);
    const bytes = reader.bytes(position, sizeBytes);
    if (isZero(bytes)) return;
    const copy = `${this.#paths.quarantine}/${label}-at-${from}`;
    if ((await this.#disk.sizeOf(copy)) !== null) return;
    this.#quarantineRoom -= sizeBytes;
    await this.#disk.writeFile(copy, bytes);
  }

  /**
   * Writes entries that lie one behind the other in one segment where they say that they belong; of a
   * filler also the zeros. One sync, unless they are larger than a batch.
   */
  async writeEntries(entries: readonly StoredEntry[]): Promise<void> {
    const [first, last] = [entries[0], entries.at(-1)];
    assert(first !== undefined && last !== undefined, 'something is written');
    const { file, position } = this.#placeOf(first.desc.physicalOffset);
    const runs = adjacentRuns(entries.map(({ bytes }) => bytes));
    const parts = runs.length < BATCH_WRITES_MAX ? runs : [concatBytes(runs)];
    const writes: DiskWrite[] = [];
    let at = position;
    for (const part of parts) {
      for (let from = 0; from < part.length; from += BATCH_SIZE_BYTES_MAX) {
        const bytes = part.subarray(from, from + BATCH_SIZE_BYTES_MAX);
        writes.push({ file, position: at, bytes });
        at += bytes.length;
      }
    }
    const sizeBytes = at - position;
    const end = advance(last.desc.physicalOffset, last.desc.sizeBytes);
    const zeroSizeBytes = end - first.desc.physicalOffset - sizeBytes;
    assert(zeroSizeBytes === 0 || last.desc.type === 'filler', 'they lie one behind the other');
    if (zeroSizeBytes > 0) writes.push({ file, position: at, zeroSizeBytes });
    if (sizeBytes <= BATCH_SIZE_BYTES_MAX) await this.perform(writes);
    else for (const write of writes) await this.perform([write]);
  }

  /** Gives a segment its full size: what it lacks becomes zeros. */
  async complete(segment: PhysicalOffset, existingSizeBytes: number): Promise<void> {
    const path = this.#paths.segment(segment);
    if (existingSizeBytes === 0) {
      // A file of no bytes would be in the way of the new one.
      await this.#disk.remove(path);
      await this.#disk.preallocate(path, this.#segmentSizeBytes, new AbortController().signal);
      return;
    }
    const { file } = this.#placeOf(segment);
    const zeroSizeBytes = this.#segmentSizeBytes - existingSizeBytes;
    await this.perform([{ file, position: existingSizeBytes, zeroSizeBytes }]);
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

  /** Durable: also when the file was gone. */
  async writeNote(note: DurableNote): Promise<void> {
    const path = this.#paths.durableRing;
    if ((await this.#disk.sizeOf(path)) === null) {
      await this.#disk.writeFile(path, encodeRing(note));
    }
    const file = this.writer.open(path);
    await this.perform([{ file, position: notePosition(note), bytes: encodeNote(note) }]);
    this.writer.closeFile(file);
  }

  async writeSuperblock(superblock: Superblock): Promise<void> {
    const file = this.writer.open(this.#paths.superblock);
    const bytes = encodeSuperblock(superblock);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      await this.perform([{ file, position: slot * SLOT_SIZE_BYTES, bytes }]);
    }
    this.writer.closeFile(file);
  }

  writeBase(record: BaseRecord): Promise<void> {
    return this.#disk.writeFile(this.#paths.base, encodeBaseFile(record));
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
