/**
 * The segments of one restored directory: the bytes of the backup with other segment headers, and a few entries
 * behind them. Writes are gathered, so that small entries cost no more than large ones.
 */

import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import type { PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { headerCrcOf } from '../../protocol/entry-codec.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import { type LogPaths, segmentStartOf } from '../log-paths.ts';
import { tipAfter } from '../recover/membership-entries.ts';
import type { Tip } from '../repair/region.ts';
import { decodeSegmentHeader, encodeSegmentHeader } from '../segment.ts';
import type { BackupIdentity } from './backup-facts.ts';
import { partOf } from './backup-paths.ts';
import { BACKUP_PIECE_SIZE_BYTES } from './limits.ts';
import { headerAfter, type WalkedPiece } from './walk-log.ts';

export interface RestoredLogOptions {
  readonly disk: Disk;
  readonly paths: LogPaths;
  /** With the new cluster id. */
  readonly identity: BackupIdentity;
  /** The last entry of the backup. */
  readonly before: Tip;
}

export class RestoredLog {
  readonly #options: RestoredLogOptions;
  readonly #buffer = new Uint8Array(BACKUP_PIECE_SIZE_BYTES);
  /** Where the gathered bytes belong. */
  #position = 0;
  #usedSizeBytes = 0;
  #segment: PhysicalOffset | null = null;

  constructor(options: RestoredLogOptions) {
    this.#options = options;
  }

  /** Pieces come in the order of the log. */
  async copy({ start, position, bytes }: WalkedPiece): Promise<void> {
    if (position === 0) {
      await this.#begin(start);
      await this.#write(0, this.#renamed(bytes));
    } else {
      await this.#write(position, bytes);
    }
  }

  /** The entries behind the backup; then all is durable and has its name. */
  async finish(appended: readonly StoredEntry[]): Promise<void> {
    const { identity, before } = this.#options;
    let tip = before;
    for (const { desc, bytes } of appended) {
      const start = segmentStartOf(desc.physicalOffset, identity.segmentSizeBytes);
      if (start !== this.#segment) {
        await this.#begin(start);
        await this.#write(0, headerAfter(tip, identity, start));
      }
      // What a filler covers is zeros from the beginning.
      await this.#write(desc.physicalOffset - start, bytes);
      tip = tipAfter(tip, desc, headerCrcOf(bytes));
    }
    await this.#end();
  }

  #renamed(bytes: Uint8Array): Uint8Array {
    const decoded = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_SIZE_BYTES));
    if (decoded.kind !== 'header')
      throw new CorruptionError('A segment header that was good is not');
    const { clusterId } = this.#options.identity;
    return encodeSegmentHeader({ ...decoded.header, clusterId });
  }

  async #begin(start: PhysicalOffset): Promise<void> {
    await this.#end();
    this.#segment = start;
    const { disk, identity, before } = this.#options;
    const { segmentSizeBytes } = identity;
    // Where the log goes on every block is there, as in a segment that a broker makes.
    const goesOn = start + segmentSizeBytes > before.end;
    if (goesOn) {
      await disk.preallocate(this.#part(start), segmentSizeBytes, new AbortController().signal);
    }
  }

  async #end(): Promise<void> {
    await this.#flush();
    if (this.#segment === null) return;
    await this.#options.disk.publish(
      this.#part(this.#segment),
      this.#options.paths.segment(this.#segment),
    );
    this.#segment = null;
  }

  async #write(position: number, bytes: Uint8Array): Promise<void> {
    const isNext = position === this.#position + this.#usedSizeBytes;
    if (!isNext || this.#usedSizeBytes + bytes.length > this.#buffer.length) await this.#flush();
    if (bytes.length > this.#buffer.length) return this.#writeAt(position, bytes);
    if (this.#usedSizeBytes === 0) this.#position = position;
    this.#buffer.set(bytes, this.#usedSizeBytes);
    this.#usedSizeBytes += bytes.length;
  }

  async #flush(): Promise<void> {
    const sizeBytes = this.#usedSizeBytes;
    this.#usedSizeBytes = 0;
    if (sizeBytes > 0) await this.#writeAt(this.#position, this.#buffer.subarray(0, sizeBytes));
  }

  async #writeAt(position: number, bytes: Uint8Array): Promise<void> {
    assert(this.#segment !== null, 'a piece belongs to a segment');
    await this.#options.disk.writeAt(this.#part(this.#segment), position, bytes);
  }

  #part(start: PhysicalOffset): string {
    return partOf(this.#options.paths.segment(start));
  }
}
