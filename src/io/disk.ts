/**
 * The disk as the store needs it, in two halves that never wait for each other.
 *
 * `Disk`: ordinary file operations, asynchronous, for start-up, reads and preparing segments.
 * `LogWriter`: one first-in first-out lane of positional writes, each batch durable before it is
 * reported. It is the only way bytes of a log, a superblock or their companions change while a
 * store is open, so the order of `submit` calls is the order in which things become durable.
 *
 * Paths are strings with `/`. Whoever implements the port owns faults and time: io/node/ talks to
 * the kernel, io/memory/ keeps apart what was written and what was synced.
 */
import { KIB, MIB } from '../base/sizes.ts';

/**
 * A file operation failed for a reason outside this process. `code` is the name the system gives
 * it (`EIO`, `ENOSPC`, `ENOENT`), or `UNKNOWN`.
 */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly operation: string;
  readonly path: string;
  readonly code: string;
  constructor(operation: string, path: string, code: string, options?: ErrorOptions) {
    super(`Cannot ${operation} ${path}: ${code}`, options);
    this.operation = operation;
    this.path = path;
    this.code = code;
  }
}

/** The code of an operation that has not ended for so long that it is given up (H11). */
export const STALLED = 'STALLED';

/** There is no room, or none for this user: waiting may help, and nothing is wrong with the disk. */
export function isOutOfSpace(error: unknown): error is DiskError {
  return error instanceof DiskError && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** Of the file system that holds a directory. */
export interface DiskRoom {
  readonly totalBytes: number;
  /** What this process may still take. */
  readonly freeBytes: number;
}

/** What a read past the cache came to. */
export interface DeviceRead {
  /** As of `Disk.read`. */
  readonly bytes: Uint8Array;
  /** false: the platform cannot, and these are the bytes that the system remembers. */
  readonly isFromDevice: boolean;
}

/** All methods reject with {@link DiskError}. */
export interface Disk {
  /** Names in a directory, sorted; empty when there is no such directory. */
  list(directory: string): Promise<readonly string[]>;
  /** null when there is no such file. */
  sizeOf(path: string): Promise<number | null>;
  /** With its parents; durable when it resolves. */
  makeDirectory(path: string): Promise<void>;
  /** The caller owns the bytes. Shorter than asked only at the end of the file. */
  read(path: string, position: number, sizeBytes: number): Promise<Uint8Array>;
  /**
   * As `read`, but what the device holds, not what the system remembers of it, where the platform can. For
   * whoever doubts the disk: slower, and nothing is faster for it later.
   */
  readPastCache(path: string, position: number, sizeBytes: number): Promise<DeviceRead>;
  /**
   * Writes a whole new file: content durable, name durable, and at no time does `path` name a part of it.
   */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  /**
   * Makes a file of zeros with every block allocated. Content and name are durable when it resolves; until then
   * `path` does not exist. Works in small steps, so that a log writer beside it keeps its pace.
   * Once `signal` is aborted it gives up with the code `ABORTED`. When it would leave less than
   * `keepFreeBytes` (0 by default) to others, it gives up with `ENOSPC` before it takes anything; and
   * whenever it gives up, it gives back what it took.
   */
  preallocate(
    path: string,
    sizeBytes: number,
    signal: AbortSignal,
    keepFreeBytes?: number,
  ): Promise<void>;
  /** Into a file that is made when it is missing, in parts: nothing of it is durable before `publish`. */
  writeAt(path: string, position: number, bytes: Uint8Array): Promise<void>;
  /**
   * Gives a file another name in its directory, in the place of whatever had it: first the content is
   * durable, then the name.
   */
  publish(from: string, to: string): Promise<void>;
  /** Room on the file system of an existing directory. */
  room(directory: string): Promise<DiskRoom>;
  /** Makes durable which names the directory has; what an earlier process created included (H8). */
  syncDirectory(directory: string): Promise<void>;
  /** Durable when it resolves. Removing what is not there is no error. */
  remove(path: string): Promise<void>;
  /** With the files in it, one after the other: a crash leaves some of them. Durable when it resolves. */
  removeDirectory(path: string): Promise<void>;
  /**
   * Keeps every other process away from the directory until released or until this process ends.
   * @throws FatalError `directoryLocked` when another one is there.
   */
  lock(directory: string): Promise<DirectoryLock>;
  openLogWriter(events: LogWriterEvents): LogWriter;
}

export interface DirectoryLock {
  /** Idempotent. */
  release(): Promise<void>;
}

export interface LogWriterEvents {
  /** At most once. No batch completes afterwards: what the page cache holds may be a lie (H2). */
  readonly onFail: (error: DiskError) => void;
  /** After each fdatasync of a group of batches, before their `onDone`. */
  readonly onSync: (durationMs: number) => void;
}

/** A file open for writing in one lane. */
export interface WriterFile {
  readonly path: string;
  readonly id: number;
}

export type DiskWrite =
  | { readonly file: WriterFile; readonly position: number; readonly bytes: Uint8Array }
  | { readonly file: WriterFile; readonly position: number; readonly zeroSizeBytes: number };

export interface WriteBatch {
  readonly writes: readonly DiskWrite[];
  /**
   * `group`: one fdatasync per file may cover this batch and its neighbours.
   * `alone`: everything before it is durable before its first byte is written, and it is durable
   * before anything after it is written.
   */
  readonly sync: 'group' | 'alone';
  /**
   * Written after the sync, and itself made durable only some time later: a note that may be lost
   * but is never premature. Of the batches that share a sync only the last note is written.
   */
  readonly note: DiskWrite | null;
  readonly onDone: () => void;
}

/** Payload bytes of one batch; larger writes are several batches. */
export const BATCH_SIZE_BYTES_MAX = 4 * MIB;
/** Writes of one batch. */
export const BATCH_WRITES_MAX = 1024;
/** Bytes that can be written and not yet synced at any moment: batches that share one sync. */
export const UNSYNCED_SIZE_BYTES_MAX = 8 * MIB;
/** What a disk writes wholly or not at all, in simulation. Real ones promise no less. */
export const SECTOR_SIZE_BYTES = KIB / 2;

/** Batches are performed and completed in the order of `submit`. */
export interface LogWriter {
  /** Opens an existing file for writing. A failure surfaces through `onFail`. */
  open(path: string): WriterFile;
  /** After everything submitted for it. */
  closeFile(file: WriterFile): void;
  /** The bytes must not change until `onDone`. */
  submit(batch: WriteBatch): void;
  /** Completes what was submitted (unless it has failed), then frees everything. Idempotent. */
  close(): Promise<void>;
}

export function sizeOfWrite(write: DiskWrite): number {
  return 'bytes' in write ? write.bytes.length : write.zeroSizeBytes;
}
