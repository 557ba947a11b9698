/**
 * Writes the log of a backup: entries as they come from a node, into segment files of the store's format. Nothing
 * is written that does not follow from what was written before; a segment gets its name when it is whole and
 * durable.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import type { PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { decodeEntryHeader, payloadProblem, storedSizeBytes } from '../../protocol/entry-codec.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { segmentStartOf } from '../log-paths.ts';
import { follows, type Tip, tipOf } from '../repair/region.ts';
import type { BackupIdentity } from './backup-facts.ts';
import { type BackupPaths, partOf } from './backup-paths.ts';
import { headerAfter } from './walk-log.ts';

export interface LogWriterOptions {
  readonly disk: Pick<Disk, 'writeAt' | 'publish'>;
  readonly paths: BackupPaths;
  readonly identity: BackupIdentity;
  /** What is there already. */
  readonly tip: Tip;
}

/** Bytes that lie one behind the other in one segment. */
interface Run {
  readonly start: PhysicalOffset;
  readonly position: number;
  readonly from: number;
  to: number;
}

const ZERO = new Uint8Array(1);

export class BackupLogWriter {
  readonly #options: LogWriterOptions;
  #tip: Tip;
  #run: Run | null = null;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#tip = options.tip;
  }

  get tip(): Tip {
    return this.#tip;
  }

  /**
   * @param bytes whole stored entries, one behind the other
   * @throws CorruptionError when they are not the ones that come next; what came before them is written
   */
  async append(bytes: Uint8Array): Promise<void> {
    const { identity } = this.#options;
    const { segmentSizeBytes } = identity;
    for (let at = 0; at < bytes.length; ) {
      const decoded = decodeEntryHeader(bytes, at);
      const what = `Entry ${this.#tip.index + 1} as it came`;
      if (decoded.kind !== 'header') throw new CorruptionError(`${what}: ${decoded.kind}`);
      const { desc, headerCrc } = decoded.header;
      const entry = bytes.subarray(at, at + storedSizeBytes(desc));
      const isNext = follows(this.#tip, decoded.header, entry, segmentSizeBytes);
      if (!isNext) throw new CorruptionError(`${what} does not follow from what is here`);
      if (entry.length < storedSizeBytes(desc)) throw new CorruptionError(`${what} is cut off`);
      const problem = payloadProblem(entry, desc);
      if (problem !== null) throw new CorruptionError(`${what}: ${problem}`);
      const start = segmentStartOf(desc.physicalOffset, segmentSizeBytes);
      const position = desc.physicalOffset - start;
      if (position === SEGMENT_HEADER_SIZE_BYTES) {
        await this.#write(start, 0, headerAfter(this.#tip, identity, start));
      }
      this.#run ??= { start, position, from: at, to: at };
      at += entry.length;
      this.#run.to = at;
      this.#tip = tipOf(desc, headerCrc);
      if (this.#tip.end % segmentSizeBytes === 0) await this.#endSegment(bytes, start);
    }
    await this.#flush(bytes);
  }

  /** No entry comes any more: what there is of the last segment is the segment. */
  async end(): Promise<void> {
    const { segmentSizeBytes } = this.#options.identity;
    if (this.#tip.end % segmentSizeBytes === 0) return;
    await this.#publish(segmentStartOf(this.#tip.end, segmentSizeBytes));
  }

  async #endSegment(bytes: Uint8Array, start: PhysicalOffset): Promise<void> {
    const { segmentSizeBytes } = this.#options.identity;
    const run = this.#run;
    assert(run !== null, 'a segment ends with an entry');
    const writtenTo = run.position + run.to - run.from;
    await this.#flush(bytes);
    // A filler is a header and zeros up to the end: the last one makes the file as long as it is.
    if (writtenTo < segmentSizeBytes) await this.#write(start, segmentSizeBytes - 1, ZERO);
    await this.#publish(start);
  }

  async #flush(bytes: Uint8Array): Promise<void> {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    await this.#write(run.start, run.position, bytes.subarray(run.from, run.to));
  }

  #write(start: PhysicalOffset, position: number, bytes: Uint8Array): Promise<void> {
    const { disk, paths } = this.#options;
    return disk.writeAt(partOf(paths.segment(start)), position, bytes);
  }

  #publish(start: PhysicalOffset): Promise<void> {
    const { disk, paths } = this.#options;
    const path = paths.segment(start);
    return disk.publish(partOf(path), path);
  }
}
