/**
 * A file system of its own for one node, in a loop-mounted image of a fixed size: to be filled and freed
 * like a real disk, and to be frozen, which makes every write and sync hang in the kernel.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const BLOCK_SIZE_BYTES = 4096;
const UNMOUNT_ATTEMPTS_MAX = 50;

function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/** Why the machine cannot do it, or null when it can. */
export function smallDiskObstacle(...moreTools: readonly string[]): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  for (const tool of ['mkfs.ext4', 'mount', 'umount', 'losetup', ...moreTools]) {
    const found = spawnSync('sh', ['-c', `command -v ${tool}`], { env: toolEnvironment() });
    if (found.status !== 0) return `needs ${tool}`;
  }
  try {
    new SmallDisk('trial', 16 * MIB).destroy();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `cannot mount an image here: ${error.message.split('\n')[0]}`;
  }
}

export class SmallDisk {
  readonly mountPoint: string;
  readonly #directory: string;
  #isMounted = false;
  #isFrozen = false;

  constructor(name: string, sizeBytes: number) {
    this.#directory = mkdtempSync(join(tmpdir(), `mq-raft-small-${name}-`));
    const image = join(this.#directory, 'image');
    this.mountPoint = join(this.#directory, 'mount');
    mkdirSync(this.mountPoint);
    writeFileSync(image, '');
    truncateSync(image, sizeBytes);
    try {
      // No blocks for root alone: what is free is free for the node.
      run('mkfs.ext4', '-q', '-F', '-m', '0', image);
      run('mount', '-o', 'loop', image, this.mountPoint);
      this.#isMounted = true;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  get freeBytes(): number {
    const { bsize, bavail } = statfsSync(this.mountPoint);
    return bsize * bavail;
  }

  /** Another program takes all but so many bytes, at once. */
  fill(exceptBytes: number): void {
    const file = openSync(join(this.mountPoint, 'foreign'), 'a');
    try {
      for (let step = MIB; step >= BLOCK_SIZE_BYTES; step /= 16) {
        while (this.freeBytes - step >= exceptBytes) {
          if (!tookAll(file, step)) break;
          // Blocks are counted when they are allocated, which may be later than the write.
          fsyncSync(file);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** It gives all of it back. */
  free(): void {
    rmSync(join(this.mountPoint, 'foreign'), { force: true });
  }

  freeze(): void {
    run('fsfreeze', '-f', this.mountPoint);
    this.#isFrozen = true;
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    run('fsfreeze', '-u', this.mountPoint);
    this.#isFrozen = false;
  }

  /** Idempotent. */
  destroy(): void {
    this.thaw();
    if (this.#isMounted) this.#unmount();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #unmount(): void {
    // The kernel may hold the mount for a moment after a process was killed.
    for (let attempt = 1; ; attempt++) {
      try {
        run('umount', this.mountPoint);
        this.#isMounted = false;
        return;
      } catch (error) {
        if (attempt === UNMOUNT_ATTEMPTS_MAX) throw error;
        spawnSync('sleep', ['0.1']);
      }
    }
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

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: toolEnvironment() });
}
