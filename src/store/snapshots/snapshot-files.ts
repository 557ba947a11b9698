/**
 * The snapshots of derived state that a replica keeps: `snapshots/<20 digits of S>.snap`, its own and
 * those that came from others, which are the same (docs/format/snapshot.md). What is being written has
 * another name until it is whole, durable and read back.
 *
 * A snapshot says what the group has committed, so having one more is never wrong; which one counts is
 * decided by the log and its base. Nothing but snapshots is ever removed here (H6).
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { verifySnapshot } from '../derived/read-snapshot.ts';
import { checkedChunk } from '../derived/snapshot-format.ts';
import type { StateSnapshot } from '../derived/state-snapshot.ts';
import { SNAPSHOTS_KEPT } from './limits.ts';
import {
  isSameSnapshot,
  readChunkAt,
  readSnapshotInfo,
  type SnapshotInfo,
} from './snapshot-info.ts';

export interface SnapshotFilesOptions {
  readonly disk: Disk;
  /** `snapshots/` is in it. */
  readonly replicaDirectory: string;
  readonly onEvent: (event: SnapshotFileEvent) => void;
}

export interface SnapshotFileEvent {
  readonly kind: 'snapshotDamaged';
  readonly path: string;
  readonly problem: string;
}

const NAME = /^(\d{20})\.snap$/;
const DAMAGED = '.damaged';
const PART = '.part';
const STAGING = '.staging';

export class SnapshotFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #onEvent: SnapshotFilesOptions['onEvent'];
  /** By applied index, ascending. */
  #known: readonly SnapshotInfo[] = [];
  /** How many are reading each. */
  readonly #held = new Map<LogIndex, number>();

  private constructor({ disk, replicaDirectory, onEvent }: SnapshotFilesOptions) {
    this.#disk = disk;
    this.#directory = `${replicaDirectory}/snapshots`;
    this.#onEvent = onEvent;
  }

  static async open(options: SnapshotFilesOptions): Promise<SnapshotFiles> {
    const files = new SnapshotFiles(options);
    await files.#open();
    return files;
  }

  /** Ascending by applied index. */
  get all(): readonly SnapshotInfo[] {
    return this.#known;
  }

  get newest(): SnapshotInfo | null {
    return this.#known.at(-1) ?? null;
  }

  at(appliedIndex: LogIndex): SnapshotInfo | null {
    return this.#known.find((info) => info.appliedIndex === appliedIndex) ?? null;
  }

  /**
   * Chunk by chunk to a file of another name, which is read back before it gets its own. Does not close
   * the snapshot.
   *
   * @param breathe lets the event loop turn; what it throws ends the writing
   * @throws DiskError; CorruptionError when what was read back is not what was written
   */
  async write(snapshot: StateSnapshot, breathe: () => Promise<void>): Promise<SnapshotInfo> {
    const path = this.#pathOf(snapshot.appliedIndex);
    const staging = `${path}${STAGING}`;
    await this.#disk.remove(staging);
    let number = 0;
    for await (const chunk of snapshot.chunks({ attachment: new Uint8Array(0), breathe })) {
      await this.#disk.writeAt(staging, number * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
      number += 1;
    }
    await this.#verify(staging, number);
    return this.#publish(staging, path);
  }

  /** @throws CorruptionError unless it is that chunk, whole */
  async readChunk(appliedIndex: LogIndex, number: number): Promise<Uint8Array> {
    const bytes = await readChunkAt(this.#disk, this.#pathOf(appliedIndex), number);
    checkedChunk(bytes, number);
    return bytes;
  }

  /** One chunk per item. */
  async *chunks(appliedIndex: LogIndex): AsyncGenerator<Uint8Array> {
    const info = this.at(appliedIndex);
    assert(info !== null, 'a snapshot that is read is there', () => ({ appliedIndex }));
    for (let number = 0; number < info.chunkCount; number++) {
      yield await readChunkAt(this.#disk, this.#pathOf(appliedIndex), number);
    }
  }

  /** It stays until the result is called, once. */
  hold(appliedIndex: LogIndex): () => void {
    this.#held.set(appliedIndex, (this.#held.get(appliedIndex) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(appliedIndex) ?? 1) - 1;
      if (left > 0) this.#held.set(appliedIndex, left);
      else this.#held.delete(appliedIndex);
    };
  }

  /**
   * Begins to take a snapshot from others, or goes on where it was left: also by an earlier process, of
   * which only what can be verified counts. Of other snapshots nothing is left unfinished.
   *
   * @returns how many of its first chunks are here
   */
  async beginPart(info: SnapshotInfo): Promise<number> {
    const path = this.#partOf(info);
    for (const name of await this.#disk.list(this.#directory)) {
      const other = `${this.#directory}/${name}`;
      if (name.endsWith(PART) && other !== path) await this.#disk.remove(other);
    }
    if ((await this.#disk.sizeOf(path)) === null) return 0;
    for (let number = 0; number < info.chunkCount; number++) {
      if (!isChunk(await readChunkAt(this.#disk, path, number), number)) return number;
    }
    return info.chunkCount;
  }

  /** @throws CorruptionError unless it is that chunk, whole; DiskError */
  async writePart(info: SnapshotInfo, number: number, chunk: Uint8Array): Promise<void> {
    checkedChunk(chunk, number);
    await this.#disk.writeAt(this.#partOf(info), number * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
  }

  /**
   * All chunks are here: durable, verified, and one of the snapshots from now on.
   * @throws CorruptionError when they are not what was announced; nothing of them is left then
   */
  async finishPart(info: SnapshotInfo): Promise<void> {
    const part = this.#partOf(info);
    try {
      await this.#verify(part, info.chunkCount);
      const found = await readSnapshotInfo(this.#disk, part);
      if (!isSameSnapshot(found, info)) {
        throw new CorruptionError('Snapshot: another one than was announced');
      }
    } catch (error) {
      if (error instanceof CorruptionError) await this.#disk.remove(part);
      throw error;
    }
    await this.#publish(part, this.#pathOf(info.appliedIndex));
  }

  /** It was read and is not what it should be: kept aside, never used again. */
  async setAside(appliedIndex: LogIndex, problem: string): Promise<void> {
    this.#known = this.#known.filter((info) => info.appliedIndex !== appliedIndex);
    await this.#setAside(this.#pathOf(appliedIndex), problem);
  }

  async #open(): Promise<void> {
    await this.#disk.makeDirectory(this.#directory);
    const known: SnapshotInfo[] = [];
    for (const name of await this.#disk.list(this.#directory)) {
      const path = `${this.#directory}/${name}`;
      if (name.endsWith(STAGING)) await this.#disk.remove(path);
      const digits = NAME.exec(name)?.[1];
      if (digits === undefined) continue;
      const info = await this.#infoOrAside(path, Number(digits));
      if (info !== null) known.push(info);
    }
    this.#known = known;
  }

  async #infoOrAside(path: string, appliedIndex: number): Promise<SnapshotInfo | null> {
    try {
      const info = await readSnapshotInfo(this.#disk, path);
      if (info.appliedIndex === appliedIndex) return info;
      throw new CorruptionError(`Snapshot: ${path} is of entry ${info.appliedIndex}`);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      await this.#setAside(path, error.message);
      return null;
    }
  }

  async #setAside(path: string, problem: string): Promise<void> {
    await this.#disk.publish(path, `${path}${DAMAGED}`);
    this.#onEvent({ kind: 'snapshotDamaged', path: `${path}${DAMAGED}`, problem });
  }

  async #verify(path: string, chunkCount: number): Promise<void> {
    const disk = this.#disk;
    const chunks = async function* () {
      for (let number = 0; number < chunkCount; number++) {
        yield await readChunkAt(disk, path, number);
      }
    };
    await verifySnapshot(chunks());
  }

  async #publish(from: string, path: string): Promise<SnapshotInfo> {
    await this.#disk.publish(from, path);
    const info = await readSnapshotInfo(this.#disk, path);
    const others = this.#known.filter(({ appliedIndex }) => appliedIndex !== info.appliedIndex);
    this.#known = [...others, info].sort((a, b) => a.appliedIndex - b.appliedIndex);
    await this.#prune();
    return info;
  }

  async #prune(): Promise<void> {
    const kept = this.#known.slice(-SNAPSHOTS_KEPT);
    const old = this.#known.filter((info) => !kept.includes(info));
    for (const { appliedIndex } of old) {
      if (this.#held.has(appliedIndex)) continue;
      this.#known = this.#known.filter((info) => info.appliedIndex !== appliedIndex);
      await this.#disk.remove(this.#pathOf(appliedIndex));
    }
    if (kept.length < SNAPSHOTS_KEPT) return;
    for (const name of await this.#disk.list(this.#directory)) {
      if (name.endsWith(DAMAGED)) await this.#disk.remove(`${this.#directory}/${name}`);
    }
  }

  #pathOf(appliedIndex: LogIndex): string {
    return `${this.#directory}/${String(appliedIndex).padStart(20, '0')}.snap`;
  }

  #partOf({ appliedIndex }: SnapshotInfo): string {
    return `${this.#pathOf(appliedIndex)}${PART}`;
  }
}

function isChunk(bytes: Uint8Array, number: number): boolean {
  try {
    checkedChunk(bytes, number);
    return true;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return false;
  }
}
