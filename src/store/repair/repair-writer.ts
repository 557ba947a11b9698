/** What a repair writes: entries in their places, zeros behind the end, and copies of what was there. */
import { assert } from '../../base/assert.ts';
import { advance, type PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { DurableNote } from '../durable-ring.ts';
import { REPAIR_BATCH_ENTRIES_MAX, REPAIR_BATCH_SIZE_BYTES_MAX } from '../limits.ts';
import { type LogPaths, segmentStartOf } from '../log-paths.ts';
import type { ByteRange } from '../scan-remains.ts';
import { StartupWriter } from '../startup-writer.ts';
import type { Superblock } from '../superblock.ts';
import { mark } from './repair-mark.ts';
import { writeBatches } from './write-batches.ts';

export interface RepairWriterParts {
  readonly disk: Disk;
  readonly paths: LogPaths;
  readonly segmentSizeBytes: number;
  /** Begins the names of the copies. */
  readonly label: string;
}

const BOUNDS = { sizeBytesMax: REPAIR_BATCH_SIZE_BYTES_MAX, entriesMax: REPAIR_BATCH_ENTRIES_MAX };

/** What it is told is durable when a call resolves. */
export class RepairWriter {
  readonly #parts: RepairWriterParts;
  readonly #writer: StartupWriter;
  readonly #fullSegments = new Set<PhysicalOffset>();
  #isMarked = false;
  /** Of these there was nothing: no evidence to keep. */
  readonly #newSegments = new Set<PhysicalOffset>();

  constructor(parts: RepairWriterParts) {
    const { disk, paths, segmentSizeBytes } = parts;
    this.#parts = parts;
    this.#writer = new StartupWriter(disk, paths, segmentSizeBytes, () => {});
  }

  /**
   * One sync per batch, one batch after the other from the given side on.
   *
   * @param entries one behind the other in the log
   */
  async put(entries: readonly StoredEntry[], side: 'left' | 'right'): Promise<void> {
    const batches = writeBatches(entries, this.#parts.segmentSizeBytes, BOUNDS);
    for (const batch of side === 'left' ? batches : batches.toReversed()) await this.#write(batch);
  }

  async #write(batch: readonly StoredEntry[]): Promise<void> {
    const { disk, paths, segmentSizeBytes, label } = this.#parts;
    if (!this.#isMarked) {
      await mark(disk, paths);
      this.#isMarked = true;
    }
    const [first, last] = [batch[0], batch.at(-1)];
    assert(first !== undefined && last !== undefined, 'a batch has an entry');
    const from = first.desc.physicalOffset;
    const segment = segmentStartOf(from, segmentSizeBytes);
    await this.#complete(segment);
    const to = advance(last.desc.physicalOffset, last.desc.sizeBytes);
    if (!this.#newSegments.has(segment)) await this.#writer.keep({ from, to }, label);
    await this.#writer.writeEntries(batch);
  }

  /** @returns how many of the bytes were cut */
  async cutBehind(end: PhysicalOffset, ranges: readonly ByteRange[]): Promise<number> {
    const cut = ranges
      .map(({ from, to }) => ({ from: Math.max(from, end) as PhysicalOffset, to }))
      .filter(({ from, to }) => from < to);
    await this.#writer.quarantineAndZero(cut, this.#parts.label);
    return cut.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  writeNote(note: DurableNote): Promise<void> {
    return this.#writer.writeNote(note);
  }

  writeSuperblock(superblock: Superblock): Promise<void> {
    return this.#writer.writeSuperblock(superblock);
  }

  close(): Promise<void> {
    return this.#writer.writer.close();
  }

  async #complete(segment: PhysicalOffset): Promise<void> {
    if (this.#fullSegments.has(segment)) return;
    const { disk, paths, segmentSizeBytes } = this.#parts;
    const existing = (await disk.sizeOf(paths.segment(segment))) ?? 0;
    if (existing < segmentSizeBytes) await this.#writer.complete(segment, existing);
    if (existing === 0) this.#newSegments.add(segment);
    this.#fullSegments.add(segment);
  }
}
