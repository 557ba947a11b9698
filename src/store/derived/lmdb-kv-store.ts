/**
 * A {@link KvStore} in one LMDB environment. Commits run on LMDB's own thread: neither page faults nor
 * fdatasync stop the event loop.
 *
 * `overlappingSync` makes a commit visible before it is durable; `safeRestore` opens the last commit
 * that was flushed as a whole, even when the machine did not restart in between: after a power cut of
 * the device alone the boot id is the old one.
 */
import { type Key, open, type RootDatabase } from 'lmdb';
import { assert } from '../../base/assert.ts';
import type { KvChanges, KvKey, KvRow, KvStore } from './kv-store.ts';

/** Below every key and above every key: keys start with a table letter. */
const FIRST_KEY = '\x01';
const END_KEY = '\xff';

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

export class LmdbKvStore implements KvStore {
  readonly #database: RootDatabase<Uint8Array, string>;
  #closing: Promise<void> | null = null;

  /** Creates the directory when it is missing. Throws when LMDB cannot make sense of what is there. */
  constructor(directory: string) {
    this.#database = open<Uint8Array, string>({ ...OPTIONS, path: directory });
  }

  get(key: KvKey): Uint8Array | null {
    return this.#database.getBinary(key) ?? null;
  }

  *range(from: KvKey, to: KvKey): Generator<KvRow> {
    for (const { key, value } of this.#database.getRange({ start: from, end: to })) {
      yield { key, value };
    }
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
      throw await causeOf(error);
    }
  }

  async clear(): Promise<void> {
    const keys = [...this.#database.getKeys({ start: FIRST_KEY, end: END_KEY })];
    await this.commit(new Map(keys.map((key) => [key, null])));
  }

  close(): Promise<void> {
    this.#closing ??= this.#database.close();
    return this.#closing;
  }
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
