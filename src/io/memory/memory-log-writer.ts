/**
 * The log writer of a disk in memory. A group is performed in two steps, with the disk's `later` before
 * each, so that a power cut can fall before the writes, between them and the sync, or after it.
 */
import { assert } from '../../base/assert.ts';
import {
  BATCH_SIZE_BYTES_MAX,
  BATCH_WRITES_MAX,
  DiskError,
  type DiskWrite,
  type LogWriter,
  type LogWriterEvents,
  sizeOfWrite,
  UNSYNCED_SIZE_BYTES_MAX,
  type WriteBatch,
  type WriterFile,
} from '../disk.ts';
import type { MemoryFile } from './memory-file.ts';

/** The disk, as its log writer sees it. */
export interface WriterHost {
  /** The process is gone: nothing happens any more. */
  readonly isDead: boolean;
  readonly later: (step: () => void) => void;
  takeFileId(): number;
  /** @throws DiskError */
  fileAt(path: string): MemoryFile;
  /** @throws DiskError when an injected fault is due. */
  raiseFault(operation: 'write' | 'sync', path: string): void;
  /** @throws DiskError when the disk has no room for so much more */
  takeRoom(operation: 'write', path: string, sizeBytes: number): void;
  syncFate(path: string): 'durable' | 'skipped' | 'lost';
}

export class MemoryLogWriter implements LogWriter {
  readonly #disk: WriterHost;
  readonly #events: LogWriterEvents;
  readonly #waiting: WriteBatch[] = [];
  #isBusy = false;
  #hasFailed = false;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  constructor(disk: WriterHost, events: LogWriterEvents) {
    this.#disk = disk;
    this.#events = events;
  }

  open(path: string): WriterFile {
    const file = { path, id: this.#disk.takeFileId() };
    this.submit({ writes: [], sync: 'group', note: null, onDone: () => this.#check(path) });
    return file;
  }

  closeFile(): void {
    assert(this.#closing === null, 'the log writer is open');
  }

  submit(batch: WriteBatch): void {
    if (this.#hasFailed || this.#disk.isDead) return;
    assert(this.#closing === null, 'the log writer is open');
    assert(batch.writes.length <= BATCH_WRITES_MAX, 'a batch has a bounded number of writes');
    assert(dataSizeOf(batch) <= BATCH_SIZE_BYTES_MAX, 'a batch has a bounded size');
    this.#waiting.push(batch);
    this.#start();
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#isBusy && !this.#hasFailed) this.#onIdle = resolve;
      else resolve();
    });
    return this.#closing;
  }

  #start(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#step(() => this.#writeGroup());
  }

  #writeGroup(): void {
    const group = this.#takeGroup();
    const paths = new Set<string>();
    for (const batch of group) {
      for (const write of batch.writes) {
        this.#write(write);
        paths.add(write.file.path);
      }
    }
    this.#step(() => this.#syncGroup(group, paths));
  }

  #syncGroup(group: readonly WriteBatch[], paths: ReadonlySet<string>): void {
    for (const path of paths) this.#sync(path);
    const note = group.at(-1)?.note ?? null;
    if (note !== null) this.#write(note);
    if (paths.size > 0) this.#events.onSync(0);
    for (const batch of group) {
      batch.onDone();
      if (this.#disk.isDead || this.#hasFailed) return;
    }
    this.#isBusy = false;
    if (this.#waiting.length > 0) this.#start();
    else this.#onIdle?.();
  }

  #takeGroup(): readonly WriteBatch[] {
    const group: WriteBatch[] = [];
    let sizeBytes = 0;
    for (const batch of this.#waiting) {
      if (batch.sync === 'alone' && group.length > 0) break;
      sizeBytes += dataSizeOf(batch);
      if (sizeBytes > UNSYNCED_SIZE_BYTES_MAX) break;
      group.push(batch);
      if (batch.sync === 'alone') break;
    }
    this.#waiting.splice(0, group.length);
    return group;
  }

  #write(write: DiskWrite): void {
    const { path } = write.file;
    this.#disk.raiseFault('write', path);
    const bytes = 'bytes' in write ? write.bytes : new Uint8Array(write.zeroSizeBytes);
    const file = this.#disk.fileAt(path);
    const growth = write.position + bytes.length - file.sizeBytes;
    if (growth > 0) this.#disk.takeRoom('write', path, growth);
    file.write(write.position, bytes);
  }

  #sync(path: string): void {
    const file = this.#disk.fileAt(path);
    try {
      this.#disk.raiseFault('sync', path);
    } catch (error) {
      file.failSync();
      throw error;
    }
    const fate = this.#disk.syncFate(path);
    if (fate === 'durable') file.sync();
    else if (fate === 'lost') file.failSync();
    else file.skipSync();
  }

  #check(path: string): void {
    this.#disk.fileAt(path);
  }

  /** The one place where a fault ends the life of the writer. */
  #step(run: () => void): void {
    this.#disk.later(() => {
      if (this.#disk.isDead || this.#hasFailed) return;
      try {
        run();
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        this.#hasFailed = true;
        this.#waiting.length = 0;
        this.#events.onFail(error);
        this.#onIdle?.();
      }
    });
  }
}

function dataSizeOf(batch: WriteBatch): number {
  let sizeBytes = 0;
  for (const write of batch.writes) if ('bytes' in write) sizeBytes += sizeOfWrite(write);
  return sizeBytes;
}
