/**
 * A {@link KvStore} in one LMDB environment. Commits run on LMDB's own thread: neither page faults nor
 * fdatasync stop the event loop.
 *
 * `overlappingSync` makes a commit visible before it is durable; `safeRestore` opens the last commit
 * that was flushed as a whole, even when the machine did not restart in between: after a power cut of
 * the device alone the boot id is the old one.
 */
import { type Key, open, type RangeOptions, type RootDatabase, type Transaction } from 'lmdb';
import { assert } from '../../base/assert.ts';
import { FatalError } from '../../base/errors.ts';
import { KIB } from '../../base/sizes.ts';
import { type Disk, DiskError } from '../../io/disk.ts';
import { END_KEY, FIRST_KEY } from './key-codec.ts';
import {
  type KvChanges,
  type KvKey,
  type KvRow,
  type KvStore,
  type KvView,
  ViewRevoked,
} from './kv-store.ts';

/** Keys are binary strings (kv-store.ts): one byte per character, no other encoding. */
const keyEncoder = {
  writeKey(key: Key, target: Buffer, start: number): number {
    assert(typeof key === 'string', 'a key is a binary string');
    return start + target.write(key, start, 'latin1');
  },
  readKey(target: Buffer, start: number, end?: number): string {
    return target.toString('latin1', start, end);
  },
};

/** LMDB passes the numbers of the system on; these are those of Linux. */
const OUT_OF_SPACE_CODES: ReadonlyMap<unknown, string> = new Map([
  [28, 'ENOSPC'],
  [122, 'EDQUOT'],
]);
const EIO = 5;
/** A commit has failed in a way after which LMDB does nothing any more: not even reads. */
const FAILED_FOR_GOOD = 'MDB_PANIC';
/** A write that fits only in part fills the disk, and LMDB calls it an input/output error. */
const FULL_FREE_SIZE_BYTES_MAX = 512 * KIB;

/** A constant of its own because the package's types lack two of its options. */
const OPTIONS = {
  encoding: 'binary',
  keyEncoder,
  overlappingSync: true,
  safeRestore: true,
  // Every commit is an explicit batch. Batching by event turn makes promises that nobody owns, and a
  // failed commit would end the process through them.
  eventTurnBatching: false,
  // The directory name may contain a dot, which would make it a file.
  noSubdir: false,
} as const;

export interface LmdbOptions {
  /**
   * A commit is durable when it resolves. For a database that must be durable as a whole before it is
   * used; slower by an fsync for each commit.
   */
  readonly durableCommits: boolean;
  /** Asked whether it is full when LMDB speaks of an error of the disk; left out: it is not. */
  readonly disk?: Pick<Disk, 'room'> | null;
}

export class LmdbKvStore implements KvStore {
  readonly #directory: string;
  readonly #disk: Pick<Disk, 'room'> | null;
  readonly #database: RootDatabase<Uint8Array, string>;
  readonly #views = new Set<LmdbView>();
  #closing: Promise<void> | null = null;

  /** Creates the directory when it is missing. Throws when LMDB cannot make sense of what is there. */
  constructor(
    directory: string,
    { durableCommits, disk = null }: LmdbOptions = { durableCommits: false },
  ) {
    this.#directory = directory;
    this.#disk = disk;
    const overlappingSync = OPTIONS.overlappingSync && !durableCommits;
    this.#database = open<Uint8Array, string>({ ...OPTIONS, overlappingSync, path: directory });
  }

  get(key: KvKey): Uint8Array | null {
    try {
      return this.#database.getBinary(key) ?? null;
    } catch (error) {
      throw asFailure(error, this.#directory);
    }
  }

  *range(from: KvKey, to: KvKey): Generator<KvRow> {
    yield* rowsOf(this.#database, { start: from, end: to }, this.#directory);
  }

  async commit(changes: KvChanges): Promise<void> {
    assert(this.#closing === null, 'a closed database takes no commit');
    // A batch is one transaction, and the promise of the batch is the one of its commit.
    const committed = this.#database.batch(() => {
      for (const [key, value] of changes) {
        if (value === null) this.#database.remove(key);
        else this.#database.put(key, value);
      }
    });
    try {
      await committed;
    } catch (error) {
      throw await this.#asDiskError(await causeOf(error));
    }
  }

  /** A commit that found no room changed nothing and may be tried again. */
  async #asDiskError(error: unknown): Promise<unknown> {
    const number = error instanceof Error && 'code' in error ? error.code : null;
    const isFull =
      number === EIO && this.#disk !== null && (await isOutOfRoom(this.#disk, this.#directory));
    const code = isFull ? 'ENOSPC' : OUT_OF_SPACE_CODES.get(number);
    if (code !== undefined)
      return new DiskError('commit to', this.#directory, code, { cause: error });
    return number === EIO ? diskFailed(this.#directory, error) : asFailure(error, this.#directory);
  }

  view(): KvView {
    assert(this.#closing === null, 'a closed database has no view');
    // Else it may be the one that reads of this turn began with, older than the last commit.
    try {
      this.#database.resetReadTxn();
      const view = new LmdbView(this.#database, this.#directory, () => this.#views.delete(view));
      this.#views.add(view);
      return view;
    } catch (error) {
      throw asFailure(error, this.#directory);
    }
  }

  async clear(): Promise<void> {
    const keys = [...this.#database.getKeys({ start: FIRST_KEY, end: END_KEY })];
    await this.commit(new Map(keys.map((key) => [key, null])));
  }

  close(): Promise<void> {
    if (this.#closing !== null) return this.#closing;
    // A read transaction must not outlive its database: LMDB would read what is not mapped any more.
    for (const view of [...this.#views]) view.revoke();
    this.#closing = this.#database.close();
    return this.#closing;
  }
}

/** A read transaction: pages that it can see are not used again before it ends. */
class LmdbView implements KvView {
  readonly #database: RootDatabase<Uint8Array, string>;
  readonly #directory: string;
  readonly #onClosed: () => void;
  #transaction: Transaction | null;
  #isRevoked = false;

  constructor(database: RootDatabase<Uint8Array, string>, directory: string, onClosed: () => void) {
    this.#database = database;
    this.#directory = directory;
    this.#transaction = database.useReadTransaction();
    this.#onClosed = onClosed;
  }

  get(key: KvKey): Uint8Array | null {
    const transaction = this.#open();
    try {
      return this.#database.get(key, { transaction }) ?? null;
    } catch (error) {
      throw asFailure(error, this.#directory);
    }
  }

  *range(from: KvKey, to: KvKey): Generator<KvRow> {
    const options = { start: from, end: to, transaction: this.#open() };
    yield* rowsOf(this.#database, options, this.#directory);
  }

  close(): void {
    this.#transaction?.done();
    this.#transaction = null;
    this.#onClosed();
  }

  revoke(): void {
    this.#isRevoked = true;
    this.close();
  }

  #open(): Transaction {
    if (this.#isRevoked) throw new ViewRevoked();
    assert(this.#transaction !== null, 'a closed view is not read');
    return this.#transaction;
  }
}

function* rowsOf(
  database: RootDatabase<Uint8Array, string>,
  options: RangeOptions,
  directory: string,
): Generator<KvRow> {
  try {
    for (const { key, value } of database.getRange(options)) yield { key, value };
  } catch (error) {
    throw asFailure(error, directory);
  }
}

/**
 * A commit runs on another thread, so a read may be the first to hear that it failed. Whoever hears it
 * must not take it for a bug: the disk has failed, and that is how the process ends.
 */
function asFailure(error: unknown, directory: string): unknown {
  const isOver = error instanceof Error && error.message.includes(FAILED_FOR_GOOD);
  return isOver ? diskFailed(directory, error) : error;
}

function diskFailed(directory: string, error: unknown): FatalError {
  const cause = new DiskError('commit to', directory, 'EIO', { cause: error });
  return new FatalError('diskFailed', cause.message, { cause });
}

/** LMDB rejects with a general error that holds a promise, rejected too, of what really happened. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  try {
    await error.commitError;
  } catch (cause) {
    return cause;
  }
  return error;
}

async function isOutOfRoom(disk: Pick<Disk, 'room'>, directory: string): Promise<boolean> {
  try {
    return (await disk.room(directory)).freeBytes < FULL_FREE_SIZE_BYTES_MAX;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    // Then it is an error of the disk indeed.
    return false;
  }
}
