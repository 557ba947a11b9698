/** Reads entries and records back from their segments and checks entries on the way. */
import { CorruptionError } from '../base/errors.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../base/units.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import { decodeEntryHeader, verifyEntry } from '../protocol/entry-codec.ts';
import { EntriesGone, type StoredEntry, type StoreIdentity } from './commit-log.ts';
import type { EntryTable } from './entry-table.ts';
import { type LogPaths, segmentStartOf } from './log-paths.ts';
import type { StoreRules } from './store-rules.ts';

export interface EntryReaderParts {
  readonly disk: Disk;
  readonly paths: LogPaths;
  readonly identity: StoreIdentity;
  readonly table: EntryTable;
  readonly rules: StoreRules;
}

export class EntryReader {
  readonly #disk: Disk;
  readonly #paths: LogPaths;
  readonly #segmentSizeBytes: number;
  readonly #table: EntryTable;
  readonly #rules: StoreRules;

  constructor(parts: EntryReaderParts) {
    this.#disk = parts.disk;
    this.#paths = parts.paths;
    this.#segmentSizeBytes = parts.identity.segmentSizeBytes;
    this.#table = parts.table;
    this.#rules = parts.rules;
  }

  /** The last of the entries from `from` to `to` that fit in the bound; at least `from`. */
  lastWithin(from: LogIndex, to: LogIndex, sizeBytesMax: number): LogIndex {
    let last = from;
    let sizeBytes = this.#table.storedSizeOf(from);
    while (last < to) {
      const next = advance(last, 1);
      sizeBytes += this.#table.storedSizeOf(next);
      if (sizeBytes > sizeBytesMax) break;
      last = next;
    }
    return last;
  }

  /**
   * One read per segment. Entries cut while the read was under way are left out, so the answer
   * can be shorter than asked, even empty.
   * @throws EntriesGone when they were removed in front meanwhile.
   */
  async readEntries(from: LogIndex, to: LogIndex): Promise<readonly StoredEntry[]> {
    const entries: StoredEntry[] = [];
    let next = from;
    while (next <= to && this.#table.has(next)) {
      const last = this.#lastInSegment(next, to);
      const run = await this.#unlessGone(next, () => this.#readRun(next, last));
      entries.push(...run);
      if (run.length < last - next + 1) break;
      next = advance(last, 1);
    }
    return entries;
  }

  /** Of the entry `index`. @throws EntriesGone, also when it is removed meanwhile. */
  readPart(index: LogIndex, offset: PhysicalOffset, sizeBytes: number): Promise<Uint8Array> {
    return this.#unlessGone(index, () => this.#readBytes(offset, sizeBytes));
  }

  /** A file that goes away under a read gives any error, or other bytes; what counts is the base. */
  async #unlessGone<T>(index: LogIndex, read: () => Promise<T>): Promise<T> {
    try {
      const result = await read();
      if (index > this.#table.base.index) return result;
    } catch (error) {
      if (!(error instanceof CorruptionError) || index > this.#table.base.index) throw error;
    }
    throw new EntriesGone(`Entry ${index}`, this.#table.firstIndex);
  }

  async #readBytes(offset: PhysicalOffset, sizeBytes: number): Promise<Uint8Array> {
    const segment = segmentStartOf(offset, this.#segmentSizeBytes);
    const path = this.#paths.segment(segment);
    const bytes = await this.#read(path, offset - segment, sizeBytes);
    if (bytes.length === sizeBytes) return bytes;
    throw new CorruptionError(
      `Cannot read ${path} at byte ${offset - segment}: it holds ${bytes.length} of ${sizeBytes} bytes`,
    );
  }

  /** A sector that cannot be read is as good as rotten: the bytes are elsewhere (like a damaged one). */
  async #read(path: string, position: number, sizeBytes: number): Promise<Uint8Array> {
    try {
      return await this.#disk.read(path, position, sizeBytes);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const sentence = `Cannot read ${path} at byte ${position}: ${error.message}`;
      throw new CorruptionError(sentence, { cause: error });
    }
  }

  #lastInSegment(from: LogIndex, to: LogIndex): LogIndex {
    const segment = segmentStartOf(this.#table.offsetOf(from), this.#segmentSizeBytes);
    const segmentEnd = segment + this.#segmentSizeBytes;
    let last = from;
    while (last < to && this.#table.has(advance(last, 1))) {
      if (this.#table.offsetOf(advance(last, 1)) >= segmentEnd) break;
      last = advance(last, 1);
    }
    return last;
  }

  async #readRun(from: LogIndex, to: LogIndex): Promise<readonly StoredEntry[]> {
    const start = this.#table.offsetOf(from);
    const end = this.#table.offsetOf(to) + this.#table.storedSizeOf(to);
    const wanted: { at: number; sizeBytes: number; headerCrc: number }[] = [];
    for (let index = from; index <= to; index = advance(index, 1)) {
      wanted.push({
        at: this.#table.offsetOf(index) - start,
        sizeBytes: this.#table.storedSizeOf(index),
        headerCrc: this.#table.headerCrcOf(index),
      });
    }
    const bytes = await this.#readBytes(start, end - start);
    const entries: StoredEntry[] = [];
    for (const [i, { at, sizeBytes, headerCrc }] of wanted.entries()) {
      const index = advance(from, i);
      // The log may have changed while we waited: what is no longer this entry is not damaged.
      const isCurrent = this.#table.has(index) && this.#table.headerCrcOf(index) === headerCrc;
      if (!isCurrent) break;
      entries.push(this.#check(bytes.subarray(at, at + sizeBytes), index, headerCrc));
    }
    return entries;
  }

  #check(bytes: Uint8Array, index: LogIndex, headerCrc: number): StoredEntry {
    const verified = verifyEntry(bytes);
    const isForgiven = verified.kind !== 'entry' && this.#rules.forgives(verified.kind);
    const decoded = isForgiven ? decodeEntryHeader(bytes) : null;
    const result =
      decoded?.kind === 'header' ? { kind: 'entry' as const, header: decoded.header } : verified;
    if (result.kind === 'entry' && result.header.headerCrc === headerCrc) {
      return { desc: result.header.desc, bytes };
    }
    const found = result.kind === 'entry' ? `entry ${result.header.desc.index}` : result.kind;
    const offset = this.#table.offsetOf(index);
    const path = this.#paths.segment(segmentStartOf(offset, this.#segmentSizeBytes));
    throw new CorruptionError(
      `Cannot read entry ${index} from ${path} (physical offset ${offset}): found ${found}`,
    );
  }
}
