/**
 * A real power cut for one node's directory: a file system of its own in a loop-mounted image that
 * is shut down, which drops everything not synced, exactly as a cut would (design section 11).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IMAGE_SIZE_BYTES = 256 * 1024 * 1024;
const UNMOUNT_ATTEMPTS_MAX = 50;

/** Why the machine cannot do it, or null when it can. */
export function powerCutObstacle(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  for (const tool of ['xfs_io', 'mkfs.ext4', 'mount', 'umount', 'losetup']) {
    const found = spawnSync('sh', ['-c', `command -v ${tool}`], { env: toolEnvironment() });
    if (found.status !== 0) return `needs ${tool}`;
  }
  try {
    const trial = new CuttableDisk('trial');
    trial.destroy();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `cannot mount an image here: ${error.message.split('\n')[0]}`;
  }
}

function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

export class CuttableDisk {
  readonly mountPoint: string;
  readonly #directory: string;
  readonly #image: string;
  #isMounted = false;

  constructor(name: string) {
    this.#directory = mkdtempSync(join(tmpdir(), `mq-raft-disk-${name}-`));
    this.#image = join(this.#directory, 'image');
    this.mountPoint = join(this.#directory, 'mount');
    mkdirSync(this.mountPoint);
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_SIZE_BYTES);
    try {
      run('mkfs.ext4', '-q', '-F', this.#image);
      this.mount();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  mount(): void {
    run('mount', '-o', 'loop', this.#image, this.mountPoint);
    this.#isMounted = true;
  }

  /** From here on nothing reaches the image; what was not synced is gone. */
  cut(): void {
    run('xfs_io', '-x', '-c', 'shutdown', this.mountPoint);
  }

  /** The power is back: the journal is replayed by the mount. */
  remount(): void {
    this.#unmount();
    this.mount();
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

  /** Idempotent. */
  destroy(): void {
    if (this.#isMounted) this.#unmount();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: toolEnvironment() });
}
