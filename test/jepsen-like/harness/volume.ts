/** Where one node keeps its data: a file system of its own where the machine allows, else a folder. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { run } from './shell.ts';
import { unmount } from './slot.ts';

const BLOCK_SIZE_BYTES = 4096;
const FILL_STEP_SIZE_BYTES = 4 * 1024 * 1024;

export class Volume {
  readonly #image: string;
  readonly #mountPoint: string;
  readonly #hasFileSystem: boolean;
  #isFrozen = false;

  private constructor(folder: string, hasFileSystem: boolean) {
    this.#image = join(folder, 'image');
    this.#mountPoint = join(folder, 'mount');
    this.#hasFileSystem = hasFileSystem;
  }

  static async create(folder: string, sizeBytes: number, hasFileSystem: boolean): Promise<Volume> {
    const volume = new Volume(folder, hasFileSystem);
    mkdirSync(volume.#mountPoint, { recursive: true });
    if (!hasFileSystem) return volume;
    writeFileSync(volume.#image, '');
    truncateSync(volume.#image, sizeBytes);
    // No blocks for root alone: what is free is free for the node.
    await run('mkfs.ext4', '-q', '-F', '-m', '0', volume.#image);
    await volume.mount();
    return volume;
  }

  /** The folder beside the data is the node's too: what is moved away stays on this file system. */
  get directory(): string {
    return join(this.#mountPoint, 'data');
  }
  get asideDirectory(): string {
    return join(this.#mountPoint, 'aside');
  }

  async mount(): Promise<void> {
    await run('mount', '-o', 'loop', this.#image, this.#mountPoint);
  }

  /** From here on nothing reaches the image; what was not synced is gone. */
  async cutPower(): Promise<void> {
    await run('xfs_io', '-x', '-c', 'shutdown', this.#mountPoint);
  }

  /** The power is back: the journal is replayed by the mount. */
  async restorePower(): Promise<void> {
    await unmount(this.#mountPoint);
    await this.mount();
  }

  /** Every write and sync hangs in the kernel from now on. */
  async freeze(): Promise<void> {
    await run('fsfreeze', '-f', this.#mountPoint);
    this.#isFrozen = true;
  }

  async thaw(): Promise<void> {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    await run('fsfreeze', '-u', this.#mountPoint);
  }

  get freeBytes(): number {
    const { bsize, bavail } = statfsSync(this.#mountPoint);
    return bsize * bavail;
  }

  /** Another program takes all but so many bytes. */
  async fill(exceptBytes: number): Promise<void> {
    const file = openSync(join(this.#mountPoint, 'foreign'), 'a');
    try {
      for (let step = FILL_STEP_SIZE_BYTES; step >= BLOCK_SIZE_BYTES; step /= 16) {
        while (this.freeBytes - step >= exceptBytes && tookAll(file, step)) {
          // The clients live in this process: let them.
          await new Promise((resolve) => setImmediate(resolve));
        }
        // Blocks are counted when they are allocated, which may be later than the write.
        fsyncSync(file);
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.#mountPoint, 'foreign'), { force: true });
  }

  async destroy(): Promise<void> {
    await this.thaw();
    if (this.#hasFileSystem) await unmount(this.#mountPoint);
  }
}

/** @returns false when the disk is full before */
function tookAll(file: number, sizeBytes: number): boolean {
  try {
    return writeSync(file, new Uint8Array(sizeBytes)) === sizeBytes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
