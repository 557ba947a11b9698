/**
 * Reads past the page cache (O_DIRECT): what the device holds, and nothing stays in memory for it.
 *
 * Such a read wants position, size and memory aligned to the blocks of the device. Node says nothing of
 * where a buffer lies, but the memory of WebAssembly is whole pages by its specification, so one of those
 * takes the bytes, one read at a time. Measured on ext4: 0.5 to 1 GB/s in reads of 1 MiB; a buffer of
 * Node's own is refused with EINVAL.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { KIB, MIB } from '../../base/sizes.ts';
import { codeOf } from './disk-errors.ts';

/** Devices have blocks of 512 bytes or of this. */
const ALIGNMENT_BYTES = 4 * KIB;
/** Of one read; a larger one is several. A multiple of WebAssembly's page of 64 KiB. */
const STEP_SIZE_BYTES = MIB;
const WASM_PAGE_SIZE_BYTES = 64 * KIB;

/** Not among the types of Node, only in it. */
declare const WebAssembly: {
  readonly Memory: new (size: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
};

export class DirectReader {
  /** Made when first needed. */
  #memory: Uint8Array<ArrayBuffer> | null = null;
  /** Reads take turns, because there is one memory. Never rejects. */
  #turn: Promise<void> = Promise.resolve();

  /**
   * Shorter than asked only at the end of the file.
   * @returns null when the system or the file system cannot
   */
  read(path: string, position: number, sizeBytes: number): Promise<Uint8Array | null> {
    const reading = this.#turn.then(() => this.#read(path, position, sizeBytes));
    this.#turn = reading.then(ignored, ignored);
    return reading;
  }

  async #read(path: string, position: number, sizeBytes: number): Promise<Uint8Array | null> {
    const direct = constants.O_DIRECT as number | undefined;
    if (direct === undefined) return null;
    try {
      await using handle = await open(path, constants.O_RDONLY | direct);
      return await this.#readAligned(handle, position, sizeBytes);
    } catch (error) {
      // tmpfs of older kernels, some network and stacked file systems: no such reads, or other alignment.
      if (codeOf(error) !== 'EINVAL') throw error;
      return null;
    }
  }

  async #readAligned(handle: FileHandle, position: number, sizeBytes: number): Promise<Uint8Array> {
    this.#memory ??= alignedMemory();
    const memory = this.#memory;
    const bytes = new Uint8Array(sizeBytes);
    const end = position + sizeBytes;
    for (let at = position - (position % ALIGNMENT_BYTES); at < end; at += memory.length) {
      const { bytesRead } = await handle.read(memory, 0, memory.length, at);
      const from = Math.max(position, at);
      const to = Math.min(end, at + bytesRead);
      if (to > from) bytes.set(memory.subarray(from - at, to - at), from - position);
      if (bytesRead < memory.length && at + bytesRead < end) {
        return bytes.subarray(0, Math.max(0, at + bytesRead - position));
      }
    }
    return bytes;
  }
}

function alignedMemory(): Uint8Array<ArrayBuffer> {
  const pages = STEP_SIZE_BYTES / WASM_PAGE_SIZE_BYTES;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return new Uint8Array(buffer);
}

/** Whoever waits for a turn does not care how the one before ended: its own caller heard of it. */
function ignored(): void {}
