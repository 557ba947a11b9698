/**
 * What must be true before LMDB is let near a file: the package ends the whole process, by a
 * segmentation fault, whenever opening fails (lmdb 3.5), and LMDB itself trusts every page it maps.
 *
 * So the header is looked at first, and each attempt to open leaves a mark until it has succeeded. A
 * directory whose last attempts never came to an end is not tried again: no crash at every start.
 */
import { viewOf } from '../../base/bytes.ts';
import type { Disk } from '../../io/disk.ts';

/** A kill during start-up may interrupt one attempt, hardly two in a row. */
const OPEN_ATTEMPTS_MAX = 2;

/** Of LMDB's first meta page: page header, then magic and format version, in the machine's order. */
const PAGE_HEADER_SIZE_BYTES = 24;
const MAGIC = 0xbeefc0de;
const FORMAT_VERSION = 2;
const META_PAGE_COUNT = 2;
const PAGE_SIZE_BYTES_MIN = 4096;

export class DatabaseGuard {
  readonly #disk: Disk;
  readonly #dataPath: string;
  readonly #markPath: string;

  /** @param directory of the LMDB environment */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#dataPath = `${directory}/data.mdb`;
    this.#markPath = `${directory}.opening`;
  }

  /** @returns why the database must not be opened, or null after noting that it is being opened. */
  async begin(): Promise<string | null> {
    const damage = await this.#damage();
    if (damage !== null) return damage;
    const attemptCount = (await this.#disk.sizeOf(this.#markPath)) ?? 0;
    if (attemptCount >= OPEN_ATTEMPTS_MAX) return 'the last attempts to open it did not end';
    // The count is the size of the file: nothing in it can be misread.
    await this.#disk.writeFile(this.#markPath, new Uint8Array(attemptCount + 1));
    return null;
  }

  /** The attempt came to an end, good or bad. */
  async end(): Promise<void> {
    await this.#disk.remove(this.#markPath);
  }

  async #damage(): Promise<string | null> {
    const sizeBytes = await this.#disk.sizeOf(this.#dataPath);
    // An empty file is what a crash leaves when the environment had just been created.
    if (sizeBytes === null || sizeBytes === 0) return null;
    if (sizeBytes < META_PAGE_COUNT * PAGE_SIZE_BYTES_MIN) return `${sizeBytes} bytes are too few`;
    const header = await this.#disk.read(this.#dataPath, PAGE_HEADER_SIZE_BYTES, 8);
    const view = viewOf(header);
    const isLmdb = view.getUint32(0, true) === MAGIC && view.getUint32(4, true) === FORMAT_VERSION;
    return isLmdb ? null : 'the file is not one of LMDB';
  }
}
