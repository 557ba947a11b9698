/**
 * A disk in memory that can lose power, deterministically: the same calls, the same `later` and the
 * same random source give the same bytes. For tests and the simulator.
 *
 * Kept apart: what was written (reads see it) and what is durable, per file and per directory. A power cut
 * keeps an arbitrary subset of the unsynced 512-byte sectors and of the unsynced names. `powerCut` and
 * `killed` end the life of this object: its pending calls never settle, as with a process that is
 * gone, and they return the disk that the next process finds.
 */
import { FatalError } from '../../base/errors.ts';
import type { RandomSource } from '../../base/prng.ts';
import {
  type DeviceRead,
  type DirectoryLock,
  type Disk,
  DiskError,
  type DiskRoom,
  type LogWriter,
  type LogWriterEvents,
} from '../disk.ts';
import { MemoryFile } from './memory-file.ts';
import { MemoryLogWriter, type WriterHost } from './memory-log-writer.ts';

export interface MemoryDiskOptions {
  /** When the next step of an operation happens: at once in a microtask, unless a simulator decides. */
  readonly later?: (step: () => void) => void;
  /** What this machine does other than an honest one, in every life of the disk. */
  readonly nature?: DiskNature;
}

/** `skipped`: reports success and does nothing. `lost`: as after an error that nobody read (H2). */
export type SyncFate = 'durable' | 'skipped' | 'lost';

export interface DiskNature {
  /** The code that an operation fails with now; null: it succeeds. */
  readonly failureOf: (operation: FaultyOperation, path: string) => string | null;
  /** What a sync of the file by the log writer comes to. */
  readonly syncFate: (path: string) => SyncFate;
  readonly syncsDirectories: boolean;
}

export type FaultyOperation = 'read' | 'write' | 'sync' | 'prepare';

export interface Fault {
  readonly operation: FaultyOperation;
  /** `EIO`, `ENOSPC`. */
  readonly code: string;
  /** How many matching operations still succeed. */
  readonly after: number;
  /** Only where the path contains this. */
  readonly pathPart?: string;
}

/** Decides the fate of what was not synced. */
export interface Survival {
  readonly sector: (path: string, sector: number) => boolean;
  /** An unsynced new or removed name. */
  readonly name: (path: string) => boolean;
}

interface PendingFault extends Fault {
  left: number;
}

/** Nobody fills it by accident. */
const CAPACITY_BYTES_DEFAULT = 2 ** 50;

export class MemoryDisk implements Disk, WriterHost {
  readonly #later: (step: () => void) => void;
  readonly #options: MemoryDiskOptions;
  /** Names as reads see them, and as a power cut leaves them. */
  readonly #seenNames: Map<string, MemoryFile>;
  readonly #durableNames: Map<string, MemoryFile>;
  readonly #locked = new Set<string>();
  readonly #faults: PendingFault[] = [];
  #capacityBytes = CAPACITY_BYTES_DEFAULT;
  /** Taken by others. */
  #foreignBytes = 0;
  #isDead = false;
  #nextFileId = 1;

  constructor(
    options: MemoryDiskOptions = {},
    names: ReadonlyMap<string, MemoryFile> = new Map(),
    durableNames: ReadonlyMap<string, MemoryFile> = names,
  ) {
    this.#options = options;
    this.#later = options.later ?? queueMicrotask;
    this.#seenNames = new Map(names);
    this.#durableNames = new Map(durableNames);
  }

  async list(directory: string): Promise<readonly string[]> {
    await this.#turn();
    const names = new Set<string>();
    for (const path of this.#seenNames.keys()) {
      if (!path.startsWith(`${directory}/`)) continue;
      names.add(path.slice(directory.length + 1).split('/')[0]!); // split is never empty
    }
    return [...names].sort();
  }

  async sizeOf(path: string): Promise<number | null> {
    await this.#turn();
    return this.#seenNames.get(path)?.sizeBytes ?? null;
  }

  /** Directories exist as parts of paths. */
  async makeDirectory(): Promise<void> {
    await this.#turn();
  }

  async read(path: string, position: number, sizeBytes: number): Promise<Uint8Array> {
    await this.#turn();
    this.raiseFault('read', path);
    const file = this.#seenNames.get(path);
    if (file === undefined) throw new DiskError('read', path, 'ENOENT');
    return file.read(position, sizeBytes);
  }

  async readPastCache(path: string, position: number, sizeBytes: number): Promise<DeviceRead> {
    await this.#turn();
    this.raiseFault('read', path);
    const file = this.#seenNames.get(path);
    if (file === undefined) throw new DiskError('read', path, 'ENOENT');
    return { bytes: file.readFromDevice(position, sizeBytes), isFromDevice: true };
  }

  async writeFile(path: string, bytes: Uint8Array): Promise<void> {
    await this.#turn();
    this.raiseFault('write', path);
    this.raiseFault('sync', path);
    this.takeRoom('write', path, bytes.length);
    await this.#publish(path, MemoryFile.durable(bytes));
  }

  async preallocate(
    path: string,
    sizeBytes: number,
    signal: AbortSignal,
    keepFreeBytes = 0,
  ): Promise<void> {
    await this.#turn();
    if (signal.aborted) throw new DiskError('prepare', path, 'ABORTED');
    this.raiseFault('prepare', path);
    this.takeRoom('prepare', path, sizeBytes + keepFreeBytes);
    await this.#publish(path, MemoryFile.durable(new Uint8Array(sizeBytes)));
  }

  async writeAt(path: string, position: number, bytes: Uint8Array): Promise<void> {
    await this.#turn();
    this.raiseFault('write', path);
    const file = this.#seenNames.get(path) ?? MemoryFile.durable(new Uint8Array(0));
    this.takeRoom('write', path, Math.max(0, position + bytes.length - file.sizeBytes));
    file.write(position, bytes);
    this.#seenNames.set(path, file);
  }

  async publish(from: string, to: string): Promise<void> {
    await this.#turn();
    this.raiseFault('sync', from);
    const file = this.fileAt(from);
    file.sync();
    await this.#turn();
    this.#seenNames.delete(from);
    await this.#publish(to, file);
  }

  async room(): Promise<DiskRoom> {
    await this.#turn();
    return { totalBytes: this.#capacityBytes, freeBytes: this.#freeBytes };
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#turn();
    if (this.#options.nature?.syncsDirectories === false) return;
    for (const path of [...this.#seenNames.keys(), ...this.#durableNames.keys()]) {
      if (directoryOf(path) !== directory) continue;
      const file = this.#seenNames.get(path);
      if (file === undefined) this.#durableNames.delete(path);
      else this.#durableNames.set(path, file);
    }
  }

  async remove(path: string): Promise<void> {
    this.#seenNames.delete(path);
    await this.syncDirectory(directoryOf(path));
  }

  async removeDirectory(path: string): Promise<void> {
    for (const file of this.paths) if (file.startsWith(`${path}/`)) await this.remove(file);
    await this.#turn();
  }

  async lock(directory: string): Promise<DirectoryLock> {
    await this.#turn();
    if (this.#locked.has(directory)) {
      throw new FatalError('directoryLocked', `Cannot lock ${directory}: this process is using it`);
    }
    this.#locked.add(directory);
    return {
      release: async () => {
        this.#locked.delete(directory);
      },
    };
  }

  openLogWriter(events: LogWriterEvents): LogWriter {
    return new MemoryLogWriter(this, events);
  }

  /** The next operation that matches fails, after those that are allowed to succeed. */
  failNext(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.after });
  }

  /** From now on files that would go beyond it fail with ENOSPC. */
  limitTo(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes;
  }

  /** So much of the disk belongs to others, until said otherwise. */
  occupy(foreignBytes: number): void {
    this.#foreignBytes = foreignBytes;
  }

  /** All paths, sorted. */
  get paths(): readonly string[] {
    return [...this.#seenNames.keys()].sort();
  }

  /** A copy of what reads see. */
  contentOf(path: string): Uint8Array {
    const file = this.fileAt(path);
    return file.read(0, file.sizeBytes);
  }

  /** Changes bytes behind everybody's back, durably. */
  rot(path: string, position: number, bytes: Uint8Array): void {
    this.fileAt(path).rot(position, bytes);
  }

  /** As `rot`, but the page cache does not know. */
  rotUnseen(path: string, position: number, bytes: Uint8Array): void {
    this.fileAt(path).rotUnseen(position, bytes);
  }

  /** Removes a file behind everybody's back, durably. */
  vanish(path: string): void {
    this.#seenNames.delete(path);
    this.#durableNames.delete(path);
  }

  /** Unsynced sectors, by path: what {@link powerCutKeeping} decides about. */
  get dirtySectors(): ReadonlyMap<string, readonly number[]> {
    const sectors = new Map<string, readonly number[]>();
    for (const [path, file] of this.#seenNames) {
      if (file.dirtySectors.length > 0) sectors.set(path, file.dirtySectors);
    }
    return sectors;
  }

  /** The power fails now: each unsynced sector and name survives with a chance of one half. */
  powerCut(random: RandomSource): MemoryDisk {
    const toss = (): boolean => random.nextU32() % 2 === 1;
    return this.powerCutKeeping({ sector: toss, name: toss });
  }

  powerCutKeeping(survival: Survival): MemoryDisk {
    this.#isDead = true;
    const names = new Map<string, MemoryFile>();
    const paths = new Set([...this.#seenNames.keys(), ...this.#durableNames.keys()]);
    for (const path of [...paths].sort()) {
      const seen = this.#seenNames.get(path);
      const durable = this.#durableNames.get(path);
      const file = seen === durable || !survival.name(path) ? durable : seen;
      if (file === undefined) continue;
      names.set(
        path,
        file.afterPowerCut((sector) => survival.sector(path, sector)),
      );
    }
    return this.#nextLife(new MemoryDisk(this.#options, names));
  }

  /** The same contents, all of them durable, on another machine. */
  imageOn(options: MemoryDiskOptions): MemoryDisk {
    const names = new Map<string, MemoryFile>();
    for (const path of this.paths) names.set(path, MemoryFile.durable(this.contentOf(path)));
    return new MemoryDisk(options, names);
  }

  /** The process dies now, the machine lives: what was written stays, synced or not. */
  killed(): MemoryDisk {
    this.#isDead = true;
    return this.#nextLife(new MemoryDisk(this.#options, this.#seenNames, this.#durableNames));
  }

  #nextLife(next: MemoryDisk): MemoryDisk {
    next.limitTo(this.#capacityBytes);
    next.occupy(this.#foreignBytes);
    return next;
  }

  // What the log writer of this disk needs.

  get isDead(): boolean {
    return this.#isDead;
  }

  get later(): (step: () => void) => void {
    return this.#later;
  }

  takeFileId(): number {
    return this.#nextFileId++;
  }

  syncFate(path: string): SyncFate {
    return this.#options.nature?.syncFate(path) ?? 'durable';
  }

  /** @throws DiskError when there is no room for so much more */
  takeRoom(operation: FaultyOperation, path: string, sizeBytes: number): void {
    if (sizeBytes > this.#freeBytes) throw new DiskError(operation, path, 'ENOSPC');
  }

  fileAt(path: string): MemoryFile {
    const file = this.#seenNames.get(path);
    if (file === undefined) throw new DiskError('open', path, 'ENOENT');
    return file;
  }

  raiseFault(operation: FaultyOperation, path: string): void {
    const code = this.#options.nature?.failureOf(operation, path) ?? null;
    if (code !== null) throw new DiskError(operation, path, code);
    for (const fault of this.#faults) {
      if (fault.operation !== operation) continue;
      if (fault.pathPart !== undefined && !path.includes(fault.pathPart)) continue;
      if (fault.left > 0) {
        fault.left -= 1;
        continue;
      }
      this.#faults.splice(this.#faults.indexOf(fault), 1);
      throw new DiskError(operation, path, fault.code);
    }
  }

  get #freeBytes(): number {
    let takenBytes = this.#foreignBytes;
    for (const file of this.#seenNames.values()) takenBytes += file.sizeBytes;
    return Math.max(0, this.#capacityBytes - takenBytes);
  }

  async #publish(path: string, file: MemoryFile): Promise<void> {
    this.#seenNames.set(path, file);
    await this.syncDirectory(directoryOf(path));
  }

  /** Never settles once the process that called is gone. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isDead) return;
      this.#later(() => {
        if (!this.#isDead) resolve();
      });
    });
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
