/** Reads one segment front to back through a window, so that a scan makes few and large reads. */
import { assert } from '../base/assert.ts';
import { CorruptionError } from '../base/errors.ts';
import type { Disk } from '../io/disk.ts';
import { SCAN_WINDOW_SIZE_BYTES } from './limits.ts';

export class SegmentReader {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #disk: Disk;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;

  constructor(disk: Disk, path: string, sizeBytes: number) {
    this.#disk = disk;
    this.path = path;
    this.sizeBytes = sizeBytes;
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
    const bytes = await this.#disk.read(this.path, position, readSizeBytes);
    if (bytes.length < readSizeBytes) {
      throw new CorruptionError(`Cannot read ${this.path}: it ends at ${position + bytes.length}`);
    }
    this.#window = bytes;
    this.#windowAt = position;
  }

  /** A view of loaded bytes, valid until the next `load`. */
  bytes(position: number, sizeBytes: number): Uint8Array {
    assert(this.has(position, sizeBytes), 'the bytes are loaded');
    const at = position - this.#windowAt;
    return this.#window.subarray(at, at + sizeBytes);
  }
}
