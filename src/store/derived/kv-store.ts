/**
 * The port to the database under derived state: an ordered map from bytes to bytes that commits many
 * changes at once.
 *
 * A key is a string of characters 0-255, one per byte. JavaScript hashes and compares such strings
 * natively, and their order is the order of the bytes.
 */

export type KvKey = string;

export interface KvRow {
  readonly key: KvKey;
  /** Owned by the reader. */
  readonly value: Uint8Array;
}

/** null deletes. */
export type KvChanges = ReadonlyMap<KvKey, Uint8Array | null>;

/**
 * The store of a view was closed while it was open, because another database took its place: what it
 * showed is not there any more. An expected outcome for whoever looks for long.
 */
export class ViewRevoked extends Error {
  override readonly name = 'ViewRevoked';
  constructor() {
    super('Another database has taken the place of the one that was looked at');
  }
}

/** One finished commit, whatever is committed afterwards. Reads throw ViewRevoked once the store is closed. */
export interface KvView {
  /** The value, owned by the caller; null when absent. */
  get(key: KvKey): Uint8Array | null;
  /** Rows with from <= key < to, ascending. Is not kept open beyond the turn it was made in. */
  range(from: KvKey, to: KvKey): Iterable<KvRow>;
  /** The store keeps what the view sees until then, or until it is closed itself. Idempotent. */
  close(): void;
}

export interface KvStore {
  /** The value, owned by the caller; null when absent. Sees finished commits only. */
  get(key: KvKey): Uint8Array | null;
  /** Rows with from <= key < to, ascending. Nothing is committed while one is being iterated. */
  range(from: KvKey, to: KvKey): Iterable<KvRow>;
  /**
   * All or nothing, also across a power cut; not necessarily durable when it resolves, but never
   * durable out of order. One at a time. The values must not change until it resolves.
   */
  commit(changes: KvChanges): Promise<void>;
  /** The last finished commit. */
  view(): KvView;
  /** Removes every row. */
  clear(): Promise<void>;
  /** Views that are open show nothing any more. Idempotent. */
  close(): Promise<void>;
}
