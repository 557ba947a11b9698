/**
 * Reads a file of any state front to back through a window: a place that the disk cannot read, or that
 * the file does not have, is an answer and no error.
 */
import { assert } from '../../base/assert.ts';
import { DiskError } from '../../io/disk.ts';
import { SCAN_WINDOW_SIZE_BYTES } from '../limits.ts';
import type { ReadDisk } from './read-disk.ts';

const NOTHING = new Uint8Array(0);

export class WindowReader {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #disk: ReadDisk;
  #window: Uint8Array = NOTHING;
  #windowAt = 0;
  /** Up to here large reads are known to fail. */
  #badUntil = 0;

  constructor(disk: ReadDisk, path: string, sizeBytes: number) {
    this.#disk = disk;
    this.path = path;
    this.sizeBytes = sizeBytes;
  }

  has(position: number, sizeBytes: number): boolean {
    const end = this.#windowAt + this.#window.length;
    return position >= this.#windowAt && position + sizeBytes <= end;
  }

  /** @returns whether `bytes` of this range works now. */
  async load(position: number, sizeBytes: number): Promise<boolean> {
    if (this.has(position, sizeBytes)) return true;
    if (position + sizeBytes > this.sizeBytes) return false;
    const wanted = Math.max(sizeBytes, SCAN_WINDOW_SIZE_BYTES);
    const windowSizeBytes = Math.min(wanted, this.sizeBytes - position);
    if (position >= this.#badUntil) {
      const bytes = await this.#read(position, windowSizeBytes);
      if (bytes !== null) return this.#keep(position, bytes, sizeBytes);
      this.#badUntil = position + windowSizeBytes;
    }
    const bytes = await this.#read(position, sizeBytes);
    return bytes !== null && this.#keep(position, bytes, sizeBytes);
  }

  /** A view of loaded bytes, valid until the next `load`. */
  bytes(position: number, sizeBytes: number): Uint8Array {
    assert(this.has(position, sizeBytes), 'the bytes are loaded');
    const at = position - this.#windowAt;
    return this.#window.subarray(at, at + sizeBytes);
  }

  /** A file may shrink while it is read. */
  #keep(position: number, bytes: Uint8Array, sizeBytes: number): boolean {
    this.#window = bytes;
    this.#windowAt = position;
    return bytes.length >= sizeBytes;
  }

  async #read(position: number, sizeBytes: number): Promise<Uint8Array | null> {
    try {
      return await this.#disk.read(this.path, position, sizeBytes);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'EIO') throw error;
      return null;
    }
  }
}
