/**
 * The disk of this machine. Reads and preparation run on Node's thread pool; the write side of a log
 * has a thread of its own (disk-log-writer.ts), so that neither waits for the other.
 *
 * Every new name is made under `<path>.new` and renamed when its content is durable, then the directory
 * is synced (H8): whoever sees a file sees all of it.
 */
import {
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert } from '../../base/assert.ts';
import { MIB } from '../../base/sizes.ts';
import {
  type DeviceRead,
  type DirectoryLock,
  type Disk,
  DiskError,
  type DiskRoom,
  type LogWriter,
  type LogWriterEvents,
} from '../disk.ts';
import { DirectReader } from './direct-reader.ts';
import { attempting, codeOf } from './disk-errors.ts';
import { lockDirectory } from './disk-lock.ts';
import { NodeLogWriter } from './disk-log-writer.ts';

/** Files kept open for reading; the one not used for longest goes first. */
const READ_HANDLES_MAX = 64;
/** Zeros are written and synced by so much at a time, which a log writer beside it does not notice. */
const PREALLOCATE_STEP_SIZE_BYTES = MIB;
/** Growing a file costs a journal commit per sync, so not every step is synced. */
const PREALLOCATE_STEPS_PER_SYNC = 8;

export class NodeDisk implements Disk {
  /** In order of last use, oldest first. */
  readonly #readHandles = new Map<string, Promise<FileHandle>>();
  readonly #direct = new DirectReader();
  readonly #watch: SharedArrayBuffer | null;
  #watched: NodeLogWriter | null = null;

  /** @param watch for the calls of the log writer: see process-watchdog.ts */
  constructor(watch: SharedArrayBuffer | null = null) {
    this.#watch = watch;
  }

  async list(directory: string): Promise<readonly string[]> {
    try {
      return (await readdir(directory)).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw new DiskError('list', directory, codeOf(error), { cause: error });
    }
  }

  async sizeOf(path: string): Promise<number | null> {
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw new DiskError('look at', path, codeOf(error), { cause: error });
    }
  }

  async makeDirectory(path: string): Promise<void> {
    const first = await attempting('make', path, () => mkdir(path, { recursive: true }));
    if (first === undefined) return;
    // Each level that is new is an entry in the one above it.
    for (let level = path; ; level = dirname(level)) {
      await syncDirectory(dirname(level));
      if (level === first || dirname(level) === level) return;
    }
  }

  async read(path: string, position: number, sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer);
    return attempting('read', path, async () => {
      const handle = await this.#readHandle(path);
      let at = 0;
      while (at < sizeBytes) {
        const { bytesRead } = await handle.read(bytes, at, sizeBytes - at, position + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return bytes.subarray(0, at);
    });
  }

  async readPastCache(path: string, position: number, sizeBytes: number): Promise<DeviceRead> {
    const bytes = await attempting('read', path, () =>
      this.#direct.read(path, position, sizeBytes),
    );
    if (bytes !== null) return { bytes, isFromDevice: true };
    return { bytes: await this.read(path, position, sizeBytes), isFromDevice: false };
  }

  async writeFile(path: string, bytes: Uint8Array): Promise<void> {
    await attempting('write', path, async () => {
      await using handle = await openNew(newNameOf(path));
      await writeAll(handle, bytes, 0);
      await handle.datasync();
    });
    await this.#rename(newNameOf(path), path);
  }

  async writeAt(path: string, position: number, bytes: Uint8Array): Promise<void> {
    await this.#forgetReadHandle(path);
    await attempting('write', path, async () => {
      await using handle = await open(path, constants.O_WRONLY | constants.O_CREAT);
      await writeAll(handle, bytes, position);
    });
  }

  async publish(from: string, to: string): Promise<void> {
    await attempting('sync', from, async () => {
      await using handle = await open(from, 'r+');
      await handle.datasync();
    });
    await this.#rename(from, to);
  }

  async preallocate(
    path: string,
    sizeBytes: number,
    signal: AbortSignal,
    keepFreeBytes = 0,
  ): Promise<void> {
    // What an earlier process began takes room, too.
    await attempting('remove', newNameOf(path), () => rm(newNameOf(path), { force: true }));
    const { freeBytes } = await this.room(dirname(path));
    if (freeBytes < sizeBytes + keepFreeBytes) throw new DiskError('prepare', path, 'ENOSPC');
    try {
      const isWanted = await attempting('prepare', path, () =>
        writeZeros(newNameOf(path), sizeBytes, signal),
      );
      if (!isWanted) throw new DiskError('prepare', path, 'ABORTED');
    } catch (error) {
      // Half a file must not hold the room for which everybody waits.
      await this.remove(newNameOf(path));
      throw error;
    }
    return this.#rename(newNameOf(path), path);
  }

  async room(directory: string): Promise<DiskRoom> {
    const { bsize, blocks, bavail } = await attempting('look at', directory, () =>
      statfs(directory),
    );
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }

  syncDirectory(directory: string): Promise<void> {
    return syncDirectory(directory);
  }

  async remove(path: string): Promise<void> {
    await this.#forgetReadHandle(path);
    await attempting('remove', path, () => rm(path, { force: true }));
    await syncDirectory(dirname(path));
  }

  async removeDirectory(path: string): Promise<void> {
    for (const open of [...this.#readHandles.keys()]) {
      if (open.startsWith(`${path}/`)) await this.#forgetReadHandle(open);
    }
    await attempting('remove', path, () => rm(path, { force: true, recursive: true }));
    await syncDirectory(dirname(path));
  }

  lock(directory: string): Promise<DirectoryLock> {
    return lockDirectory(directory);
  }

  openLogWriter(events: LogWriterEvents): LogWriter {
    // Two that count in one place would hide each other.
    if (this.#watched?.isOver === false) return new NodeLogWriter(events);
    this.#watched = new NodeLogWriter(events, this.#watch);
    return this.#watched;
  }

  /** Closes the files kept open for reading. The disk stays usable. */
  async close(): Promise<void> {
    const paths = [...this.#readHandles.keys()];
    await Promise.all(paths.map((path) => this.#forgetReadHandle(path)));
  }

  async #rename(from: string, to: string): Promise<void> {
    await this.#forgetReadHandle(from);
    await this.#forgetReadHandle(to);
    await attempting('rename', to, () => rename(from, to));
    await syncDirectory(dirname(to));
  }

  #readHandle(path: string): Promise<FileHandle> {
    const known = this.#readHandles.get(path);
    const handle = known ?? open(path, 'r');
    this.#readHandles.delete(path);
    this.#readHandles.set(path, handle);
    if (known === undefined) {
      // A file that could not be opened is not remembered: it may be there next time.
      handle.catch(() => this.#readHandles.delete(path));
      const [oldest] = this.#readHandles.keys();
      assert(oldest !== undefined, 'at least the new handle is there');
      // Closing waits for reads under way; an error in closing a file we only read means nothing.
      if (this.#readHandles.size > READ_HANDLES_MAX) void this.#forgetReadHandle(oldest);
    }
    return handle;
  }

  async #forgetReadHandle(path: string): Promise<void> {
    const opening = this.#readHandles.get(path);
    if (opening === undefined) return;
    this.#readHandles.delete(path);
    try {
      const handle = await opening;
      await handle.close();
    } catch (error) {
      // Whoever wanted to read was told that it cannot be opened; and a file that was only read
      // loses nothing when the system cannot close it. Anything else is a bug.
      if (codeOf(error) === 'UNKNOWN') throw error;
    }
  }
}

function newNameOf(path: string): string {
  return `${path}.new`;
}

async function openNew(path: string): Promise<FileHandle> {
  return open(path, 'w');
}

/** @returns false when it was told to stop */
async function writeZeros(path: string, sizeBytes: number, signal: AbortSignal): Promise<boolean> {
  await using handle = await openNew(path);
  const zeros = new Uint8Array(Math.min(PREALLOCATE_STEP_SIZE_BYTES, sizeBytes));
  let stepCount = 0;
  for (let position = 0; position < sizeBytes; position += zeros.length) {
    if (signal.aborted) return false;
    const stepSizeBytes = Math.min(zeros.length, sizeBytes - position);
    await writeAll(handle, zeros.subarray(0, stepSizeBytes), position);
    stepCount += 1;
    if (stepCount % PREALLOCATE_STEPS_PER_SYNC === 0) await handle.datasync();
  }
  await handle.datasync();
  return true;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  await attempting('sync', directory, async () => {
    await using handle = await open(directory, 'r');
    await handle.sync();
  });
}
