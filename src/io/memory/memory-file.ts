/**
 * A file in memory with two contents: what reads see, and what a power cut leaves. Dirty sectors are
 * those where the two may differ and the next sync will make them equal.
 *
 * A failed sync follows Linux: the sectors become clean without having reached the disk (H2), so a
 * later sync succeeds and still does not save them, unless they are written again.
 */
import { SECTOR_SIZE_BYTES } from '../disk.ts';

export class MemoryFile {
  #seen: Uint8Array;
  #durable: Uint8Array;
  readonly #dirtySectors = new Set<number>();
  /** Dirty ones of which the device has said that it has them. */
  readonly #claimedSectors = new Set<number>();

  constructor(seen: Uint8Array, durable: Uint8Array) {
    this.#seen = seen;
    this.#durable = durable;
  }

  static durable(bytes: Uint8Array): MemoryFile {
    return new MemoryFile(bytes.slice(), bytes.slice());
  }

  get sizeBytes(): number {
    return this.#seen.length;
  }

  get dirtySectors(): readonly number[] {
    return [...this.#dirtySectors].sort((a, b) => a - b);
  }

  read(position: number, sizeBytes: number): Uint8Array {
    return this.#seen.slice(position, position + sizeBytes);
  }

  /**
   * What the device holds. As on Linux dirty pages reach it before such a read, without being durable by that;
   * pages that are clean in error (H2), or that the device only claims to have, do not.
   */
  readFromDevice(position: number, sizeBytes: number): Uint8Array {
    const end = Math.min(position + sizeBytes, this.#seen.length);
    const bytes = new Uint8Array(Math.max(0, end - position));
    bytes.set(this.#durable.subarray(position, end));
    for (const sector of this.#dirtySectors) {
      if (this.#claimedSectors.has(sector)) continue;
      const from = Math.max(position, sector * SECTOR_SIZE_BYTES);
      const to = Math.min(end, (sector + 1) * SECTOR_SIZE_BYTES);
      if (from < to) bytes.set(this.#seen.subarray(from, to), from - position);
    }
    return bytes;
  }

  write(position: number, bytes: Uint8Array): void {
    const end = position + bytes.length;
    if (end > this.#seen.length) this.#seen = resized(this.#seen, end);
    this.#seen.set(bytes, position);
    const lastSector = Math.floor((end - 1) / SECTOR_SIZE_BYTES);
    for (let sector = Math.floor(position / SECTOR_SIZE_BYTES); sector <= lastSector; sector++) {
      this.#dirtySectors.add(sector);
      this.#claimedSectors.delete(sector);
    }
  }

  sync(): void {
    for (const sector of this.#dirtySectors) this.#makeDurable(sector);
    this.#forgetDirty();
  }

  failSync(): void {
    this.#forgetDirty();
  }

  /** The device says that it is done, and is not. */
  skipSync(): void {
    for (const sector of this.#dirtySectors) this.#claimedSectors.add(sector);
  }

  /** Changes what is on the device only: the system still remembers better. */
  rotUnseen(position: number, bytes: Uint8Array): void {
    this.#durable.set(bytes, position);
  }

  /** Changes both contents, as rot does. */
  rot(position: number, bytes: Uint8Array): void {
    this.#seen.set(bytes, position);
    if (position + bytes.length > this.#durable.length) {
      this.#durable = resized(this.#durable, position + bytes.length);
    }
    this.#durable.set(bytes, position);
  }

  /** What a power cut leaves when these of the dirty sectors happened to reach the disk. */
  afterPowerCut(keepSector: (sector: number) => boolean): MemoryFile {
    const survivor = new MemoryFile(this.#seen, this.#durable.slice());
    for (const sector of this.dirtySectors) if (keepSector(sector)) survivor.#makeDurable(sector);
    return MemoryFile.durable(survivor.#durable);
  }

  #forgetDirty(): void {
    this.#dirtySectors.clear();
    this.#claimedSectors.clear();
  }

  #makeDurable(sector: number): void {
    const from = sector * SECTOR_SIZE_BYTES;
    const to = Math.min(from + SECTOR_SIZE_BYTES, this.#seen.length);
    if (to > this.#durable.length) this.#durable = resized(this.#durable, to);
    this.#durable.set(this.#seen.subarray(from, to), from);
  }
}

function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const larger = new Uint8Array(sizeBytes);
  larger.set(bytes);
  return larger;
}
