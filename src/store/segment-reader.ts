/**
 * Reads one segment front to back through a window, so that a scan makes few and large reads.
 *
 * What a damaged directory lacks of the file reads as zeros. A place that the disk cannot read (EIO)
 * reads as bytes that are neither zeros nor an entry: to whoever checks it, it is rot.
 */
import { assert } from '../base/assert.ts';
import { CorruptionError } from '../base/errors.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import {
  SCAN_WINDOW_SIZE_BYTES,
  UNREADABLE_PLACES_MAX,
  UNREADABLE_STEP_SIZE_BYTES,
} from './limits.ts';

const UNREADABLE_BYTE = 0xff;

/** The places a whole scan could not read, each counted once. */
export class UnreadablePlaces {
  readonly #places = new Map<string, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @throws the error when there are too many: that is no rot any more. */
  add(path: string, position: number, error: DiskError): void {
    const key = `${path}@${position}`;
    if (this.#places.has(key)) return;
    this.#places.set(key, position);
    // Neighbours are one place: a disk loses larger pieces than we read.
    if (!this.#places.has(`${path}@${position - UNREADABLE_STEP_SIZE_BYTES}`)) this.#count += 1;
    if (this.#count > UNREADABLE_PLACES_MAX) throw error;
  }
}

export interface SegmentFileView {
  readonly path: string;
  /** As it should be. */
  readonly sizeBytes: number;
  /** What there is of it; 0 when the file is missing. */
  readonly existingSizeBytes?: number;
  /** Without it a place that cannot be read is an error. */
  readonly unreadable?: UnreadablePlaces | undefined;
}

export class SegmentReader {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #disk: Pick<Disk, 'read'>;
  readonly #existingSizeBytes: number;
  readonly #unreadable: UnreadablePlaces | undefined;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;

  constructor(disk: Pick<Disk, 'read'>, file: SegmentFileView) {
    this.#disk = disk;
    this.path = file.path;
    this.sizeBytes = file.sizeBytes;
    this.#existingSizeBytes = file.existingSizeBytes ?? file.sizeBytes;
    this.#unreadable = file.unreadable;
  }

  has(position: number, sizeBytes: number): boolean {
    return (
      position >= this.#windowAt && position + sizeBytes <= this.#windowAt + this.#window.length
    );
  }

  /** Afterwards `bytes` of this range works; so does what follows it in the window. */
  async load(position: number, sizeBytes: number): Promise<void> {
    assert(position + sizeBytes <= this.sizeBytes, 'a read stays in its segment');
    const wanted = Math.max(sizeBytes, SCAN_WINDOW_SIZE_BYTES);
    const readSizeBytes = Math.min(wanted, this.sizeBytes - position);
    const existing = Math.min(readSizeBytes, Math.max(0, this.#existingSizeBytes - position));
    const bytes = existing === 0 ? new Uint8Array(0) : await this.#read(position, existing);
    this.#window = existing === readSizeBytes ? bytes : withZeros(bytes, readSizeBytes);
    this.#windowAt = position;
  }

  /** A view of loaded bytes, valid until the next `load`. */
  bytes(position: number, sizeBytes: number): Uint8Array {
    assert(this.has(position, sizeBytes), 'the bytes are loaded');
    const at = position - this.#windowAt;
    return this.#window.subarray(at, at + sizeBytes);
  }

  async #read(position: number, sizeBytes: number): Promise<Uint8Array> {
    try {
      return await this.#readWhole(position, sizeBytes);
    } catch (error) {
      if (!isUnreadable(error) || this.#unreadable === undefined) throw error;
      return this.#readInPieces(position, sizeBytes, this.#unreadable);
    }
  }

  async #readWhole(position: number, sizeBytes: number): Promise<Uint8Array> {
    const bytes = await this.#disk.read(this.path, position, sizeBytes);
    if (bytes.length < sizeBytes) {
      throw new CorruptionError(`Cannot read ${this.path}: it ends at ${position + bytes.length}`);
    }
    return bytes;
  }

  async #readInPieces(
    position: number,
    sizeBytes: number,
    unreadable: UnreadablePlaces,
  ): Promise<Uint8Array> {
    const whole = new Uint8Array(sizeBytes);
    for (let at = 0; at < sizeBytes; ) {
      // Pieces end where the disk's own do, so that the same place has one name.
      const toStep = UNREADABLE_STEP_SIZE_BYTES - ((position + at) % UNREADABLE_STEP_SIZE_BYTES);
      const pieceSizeBytes = Math.min(toStep, sizeBytes - at);
      try {
        whole.set(await this.#readWhole(position + at, pieceSizeBytes), at);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        const step = position + at - ((position + at) % UNREADABLE_STEP_SIZE_BYTES);
        unreadable.add(this.path, step, error);
        whole.fill(UNREADABLE_BYTE, at, at + pieceSizeBytes);
      }
      at += pieceSizeBytes;
    }
    return whole;
  }
}

function isUnreadable(error: unknown): error is DiskError {
  return error instanceof DiskError && error.code === 'EIO';
}

function withZeros(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(sizeBytes);
  whole.set(bytes);
  return whole;
}
