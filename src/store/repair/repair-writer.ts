/** What a repair writes: entries in their places, zeros behind the end, and copies of what was there. */
import { advance, type PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { storedSizeBytes } from '../../protocol/entry-codec.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { DurableNote } from '../durable-ring.ts';
import { type LogPaths, segmentStartOf } from '../log-paths.ts';
import type { ByteRange } from '../scan-remains.ts';
import { StartupWriter } from '../startup-writer.ts';
import type { Superblock } from '../superblock.ts';

export interface RepairWriterParts {
  readonly disk: Disk;
  readonly paths: LogPaths;
  readonly segmentSizeBytes: number;
  /** Begins the names of the copies. */
  readonly label: string;
}

/** What it is told is durable when a call resolves. */
export class RepairWriter {
  readonly #parts: RepairWriterParts;
  readonly #writer: StartupWriter;
  readonly #fullSegments = new Set<PhysicalOffset>();

  constructor(parts: RepairWriterParts) {
    const { disk, paths, segmentSizeBytes } = parts;
    this.#parts = parts;
    this.#writer = new StartupWriter(disk, paths, segmentSizeBytes, () => {});
  }

  async put(entry: StoredEntry): Promise<void> {
    const { physicalOffset: from } = entry.desc;
    const { segmentSizeBytes, label } = this.#parts;
    await this.#complete(segmentStartOf(from, segmentSizeBytes));
    await this.#writer.keep({ from, to: advance(from, storedSizeBytes(entry.desc)) }, label);
    await this.#writer.writeEntry(entry);
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
    this.#fullSegments.add(segment);
  }
}
