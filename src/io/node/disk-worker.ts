/**
 * The thread that owns the write side of a log: it takes every batch that is queued, writes all of
 * them, makes one fdatasync per file, and reports. While it syncs, the next group gathers: group commit
 * without a timer.
 *
 * System calls are synchronous, because a thread of our own is neither slowed nor blocked by the
 * users of Node's shared pool (H32). It never returns to its event loop: it sleeps on the shared word.
 * After the first error it does nothing but sleep until the process ends: what the page cache holds after a
 * failed sync may not be on the disk, and no second try can tell (H2).
 */
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import { MIB } from '../../base/sizes.ts';
import { codeOf } from './disk-errors.ts';
import {
  BATCH_ALONE,
  BATCH_DESCRIPTORS,
  DATA_AT,
  DESCRIPTOR_COUNT,
  DESCRIPTOR_FIELDS,
  FILE_ID,
  OPERATION,
  OPERATION_CODE,
  POSITION,
  PUBLISHED,
  type SharedMemory,
  SIZE_BYTES,
  type WorkerReport,
} from './disk-shared.ts';
import { DISK_CALLS, WATCH_WORDS } from './stall-judge.ts';

/** Notes reach the disk this long after the last time when the thread is idle... */
const NOTE_SYNC_IDLE_MS = 100;
/** ...and this long after it under constant load, when their sync delays a batch. */
const NOTE_SYNC_BUSY_MS = 1000;
const ZEROS = new Uint8Array(MIB);

interface OpenFile {
  readonly path: string;
  readonly fd: number;
}

/** Neighbouring writes that are one system call: contiguous in the file and in shared memory. */
interface Run {
  readonly file: OpenFile;
  readonly position: number;
  readonly dataAt: number;
  sizeBytes: number;
}

class FailedCall extends Error {
  override readonly name = 'FailedCall';
  readonly operation: string;
  readonly path: string;
  constructor(operation: string, path: string, cause: unknown) {
    super(`${operation} failed`, { cause });
    this.operation = operation;
    this.path = path;
  }
}

const { watch } = workerData as SharedMemory;
const watched = new Int32Array(watch ?? new SharedArrayBuffer(WATCH_WORDS * 4));

/** A call that hangs shows as a count that stays odd. */
function attempt<T>(operation: string, path: string, call: () => T): T {
  Atomics.add(watched, DISK_CALLS, 1);
  try {
    return call();
  } catch (error) {
    throw new FailedCall(operation, path, error);
  } finally {
    Atomics.add(watched, DISK_CALLS, 1);
  }
}

class DiskThread {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #descriptors: Float64Array;
  readonly #data: Uint8Array;
  readonly #files = new Map<number, OpenFile>();
  readonly #dirty = new Set<OpenFile>();
  #consumed = 0;
  #run: Run | null = null;
  /** Descriptor of the last note of the group. */
  #note: number | null = null;
  #notedFile: OpenFile | null = null;
  #notesSyncedAtMs = 0;
  #stopping = false;

  constructor(port: MessagePort, memory: SharedMemory) {
    this.#port = port;
    this.#control = new Int32Array(memory.control);
    this.#descriptors = new Float64Array(memory.descriptors);
    this.#data = new Uint8Array(memory.data);
  }

  /** Ends when it is told to stop; at the first error it sleeps. */
  serve(): void {
    try {
      while (!this.#stopping) {
        const published = Atomics.load(this.#control, PUBLISHED);
        if (published === (this.#consumed | 0)) this.#sleep(published);
        else this.#performGroup(published);
      }
      for (const file of this.#files.values()) closeSync(file.fd);
      this.#report({ kind: 'stopped' });
    } catch (error) {
      if (!(error instanceof FailedCall)) throw error;
      const { operation, path } = error;
      this.#report({ kind: 'failed', operation, path, code: codeOf(error.cause) });
      this.#sleepForEver();
    }
  }

  /**
   * Who hears of a failure ends the process at once. A thread that takes itself down meanwhile loses the ground
   * under its feet, and the process its exit code: one end in ten was a segmentation fault. One that sleeps
   * does not move; whoever wants it gone terminates it.
   */
  #sleepForEver(): void {
    const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    for (;;) Atomics.wait(never, 0, 0);
  }

  #sleep(published: number): void {
    if (this.#notedFile === null) {
      Atomics.wait(this.#control, PUBLISHED, published);
      return;
    }
    const dueInMs = this.#notesSyncedAtMs + NOTE_SYNC_IDLE_MS - performance.now();
    if (dueInMs <= 0) this.#syncNotes();
    else Atomics.wait(this.#control, PUBLISHED, published, dueInMs);
  }

  /** Batches up to `published`, or one batch that wants to be alone. */
  #performGroup(published: number): void {
    let batchCount = 0;
    while ((this.#consumed | 0) !== published) {
      assert(this.#field(this.#consumed, OPERATION) === OPERATION_CODE.begin, 'a batch begins');
      const isAlone = this.#field(this.#consumed, BATCH_ALONE) === 1;
      if (isAlone && batchCount > 0) break;
      const descriptorCount = this.#field(this.#consumed, BATCH_DESCRIPTORS);
      for (let i = 1; i <= descriptorCount; i++) this.#perform(this.#consumed + i);
      this.#consumed += 1 + descriptorCount;
      batchCount += 1;
      if (isAlone) break;
    }
    this.#finishRun();
    this.#syncGroup();
  }

  #perform(descriptor: number): void {
    const operation = this.#field(descriptor, OPERATION);
    const fileId = this.#field(descriptor, FILE_ID);
    if (operation === OPERATION_CODE.write) {
      this.#addToRun(descriptor);
      return;
    }
    if (operation === OPERATION_CODE.note) {
      this.#note = descriptor;
      return;
    }
    this.#finishRun();
    if (operation === OPERATION_CODE.zero) this.#writeZeros(descriptor);
    else if (operation === OPERATION_CODE.open) this.#open(fileId, this.#bytesOf(descriptor));
    else if (operation === OPERATION_CODE.close) this.#close(fileId, this.#fileOf(descriptor));
    else {
      assert(operation === OPERATION_CODE.stop, 'a known operation', () => ({ operation }));
      this.#stopping = true;
    }
  }

  #open(fileId: number, pathBytes: Uint8Array): void {
    const path = Buffer.from(pathBytes).toString();
    const fd = attempt('open', path, () => openSync(path, constants.O_WRONLY));
    this.#files.set(fileId, { path, fd });
  }

  #close(fileId: number, file: OpenFile): void {
    this.#syncFile(file);
    if (this.#notedFile === file) this.#syncNotes();
    closeSync(file.fd);
    this.#files.delete(fileId);
  }

  #addToRun(descriptor: number): void {
    const file = this.#fileOf(descriptor);
    const position = this.#field(descriptor, POSITION);
    const dataAt = this.#field(descriptor, DATA_AT);
    const sizeBytes = this.#field(descriptor, SIZE_BYTES);
    const run = this.#run;
    const continues =
      run !== null &&
      run.file === file &&
      run.position + run.sizeBytes === position &&
      run.dataAt + run.sizeBytes === dataAt;
    if (continues) {
      run.sizeBytes += sizeBytes;
      return;
    }
    this.#finishRun();
    this.#run = { file, position, dataAt, sizeBytes };
  }

  #finishRun(): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    this.#write(
      run.file,
      run.position,
      this.#data.subarray(run.dataAt, run.dataAt + run.sizeBytes),
    );
  }

  #writeZeros(descriptor: number): void {
    const file = this.#fileOf(descriptor);
    let position = this.#field(descriptor, POSITION);
    const end = position + this.#field(descriptor, SIZE_BYTES);
    while (position < end) {
      const sizeBytes = Math.min(ZEROS.length, end - position);
      this.#write(file, position, ZEROS.subarray(0, sizeBytes));
      position += sizeBytes;
    }
  }

  /** A write may be short: it goes on until all is written or the system gives a reason. */
  #write(file: OpenFile, position: number, bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      at += attempt('write', file.path, () =>
        writeSync(file.fd, bytes, at, bytes.length - at, position + at),
      );
    }
    this.#dirty.add(file);
  }

  #syncGroup(): void {
    let syncMs: number | null = null;
    if (this.#dirty.size > 0) {
      const startedAtMs = performance.now();
      for (const file of this.#dirty) this.#syncFile(file);
      syncMs = performance.now() - startedAtMs;
    }
    // The note is read before the report: afterwards its bytes may be overwritten.
    const noteBytes = this.#note === null ? null : this.#bytesOf(this.#note).slice();
    const noteDescriptor = this.#note;
    this.#note = null;
    const noteFile = noteDescriptor === null ? null : this.#fileOf(noteDescriptor);
    const notePosition = noteDescriptor === null ? 0 : this.#field(noteDescriptor, POSITION);
    this.#report({ kind: 'synced', consumed: this.#consumed, syncMs });

    if (noteBytes === null || noteFile === null) return;
    this.#write(noteFile, notePosition, noteBytes);
    this.#dirty.delete(noteFile);
    this.#notedFile = noteFile;
    const isOverdue = performance.now() - this.#notesSyncedAtMs > NOTE_SYNC_BUSY_MS;
    if (isOverdue) this.#syncNotes();
  }

  #syncFile(file: OpenFile): void {
    if (!this.#dirty.delete(file)) return;
    attempt('sync', file.path, () => fdatasyncSync(file.fd));
    if (this.#notedFile === file) this.#notedFile = null;
  }

  #syncNotes(): void {
    const file = this.#notedFile;
    assert(file !== null, 'there are notes to sync');
    attempt('sync', file.path, () => fdatasyncSync(file.fd));
    this.#notedFile = null;
    this.#notesSyncedAtMs = performance.now();
  }

  #fileOf(descriptor: number): OpenFile {
    const file = this.#files.get(this.#field(descriptor, FILE_ID));
    assert(file !== undefined, 'the file is open');
    return file;
  }

  #bytesOf(descriptor: number): Uint8Array {
    const dataAt = this.#field(descriptor, DATA_AT);
    return this.#data.subarray(dataAt, dataAt + this.#field(descriptor, SIZE_BYTES));
  }

  #field(descriptor: number, field: number): number {
    return this.#descriptors[(descriptor % DESCRIPTOR_COUNT) * DESCRIPTOR_FIELDS + field]!; // by modulo
  }

  #report(report: WorkerReport): void {
    this.#port.postMessage(report);
  }
}

assert(parentPort !== null, 'this is the main file of a worker thread');
new DiskThread(parentPort, workerData as SharedMemory).serve();
