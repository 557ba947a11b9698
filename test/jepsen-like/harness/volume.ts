/** Where one node keeps its data: a file system of its own where the machine allows, else a folder. */
import { mkdirSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tryRun } from './shell.ts';
import { unmount } from './slot.ts';

const BLOCK_SIZE_BYTES = 4096;
const FILL_ATTEMPTS_MAX = 6;

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

  /** Another program takes all but so many bytes, at once: blocks are taken without being written. */
  async fill(exceptBytes: number): Promise<void> {
    const foreign = join(this.#mountPoint, 'foreign');
    for (let attempt = 0; attempt < FILL_ATTEMPTS_MAX; attempt++) {
      const takenBytes = statSync(foreign, { throwIfNoEntry: false })?.size ?? 0;
      const moreBytes = this.freeBytes - exceptBytes - BLOCK_SIZE_BYTES;
      if (moreBytes < BLOCK_SIZE_BYTES) return;
      // The node writes meanwhile, and the file needs blocks for its own tree: then again, for less.
      const sizeBytes =
        takenBytes + Math.max(BLOCK_SIZE_BYTES, moreBytes - (attempt * moreBytes) / 8);
      await tryRun('fallocate', '-l', String(Math.floor(sizeBytes)), foreign);
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
