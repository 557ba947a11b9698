/**
 * Makes derived state at an index out of a snapshot and the entries that the log still has: the rows of
 * the snapshot as they are, and consume queues, keys and journal from the messages of the entries, whose
 * commands are not applied again. The rows are those of a replica that has applied everything.
 *
 * The meta row comes last: a store without it is nobody's, whatever else is in it.
 */
import { assert } from '../../base/assert.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../../base/units.ts';
import type { CommittedEntry } from './derived-state.ts';
import { END_KEY, FIRST_KEY, TABLE } from './key-codec.ts';
import type { KvStore } from './kv-store.ts';
import { INSTALL_COMMIT_ROWS } from './limits.ts';
import { type LostMessages, type LostOffsets, MessageIndexer } from './message-indexer.ts';
import { decodeMeta } from './meta-row.ts';
import { Overlay } from './overlay.ts';
import { readSnapshot } from './read-snapshot.ts';
import { refuseUnless, type SnapshotHeader } from './snapshot-format.ts';

export interface InstallSource {
  /** One chunk per item. */
  chunks(): AsyncIterable<Uint8Array>;
  /** All entries of the log from one to the other, both included, in order. */
  entries(from: LogIndex, to: LogIndex): AsyncIterable<CommittedEntry>;
}

/** What a snapshot may bring; the rest is made here. */
const SNAPSHOT_TABLES = new Set<string>([
  TABLE.admin,
  TABLE.checkpoint,
  TABLE.deletedTopic,
  TABLE.group,
  TABLE.inFlight,
  TABLE.journalChunk,
  TABLE.journalMeta,
  TABLE.meta,
  TABLE.progress,
  TABLE.queueRange,
  TABLE.repeat,
  TABLE.subscription,
  TABLE.topic,
  TABLE.uniqueKey,
  TABLE.windowMeta,
]);

/**
 * @param store empty, and to be thrown away if this fails
 * @throws CorruptionError when snapshot or entries are not what they say, or not of one log
 */
export async function installSnapshot(
  store: KvStore,
  source: InstallSource,
): Promise<SnapshotHeader> {
  const installer = await SnapshotInstaller.begin(store, source.chunks(), null);
  const { logStart, appliedIndex } = installer.header;
  for await (const entry of source.entries(logStart.index, appliedIndex)) {
    installer.add(entry);
    if (installer.isFull) await installer.commit();
  }
  await installer.finish();
  return installer.header;
}

/** The same, for whoever has the entries come to it: from the first one of the log to that of the snapshot. */
export class SnapshotInstaller {
  readonly header: SnapshotHeader;
  readonly #store: KvStore;
  readonly #overlay: Overlay;
  readonly #meta: Uint8Array;
  readonly #indexer: MessageIndexer;
  #next: LogIndex;

  private constructor(
    store: KvStore,
    overlay: Overlay,
    { header, meta }: LoadedRows,
    lost: LostMessages | null,
  ) {
    this.#store = store;
    this.#overlay = overlay;
    this.#meta = meta;
    this.header = header;
    this.#indexer = new MessageIndexer(overlay, header.logStart.offset, lost);
    this.#next = header.logStart.index;
  }

  /** @param lost null: no entry is */
  static async begin(
    store: KvStore,
    chunks: AsyncIterable<Uint8Array>,
    lost: LostMessages | null,
  ): Promise<SnapshotInstaller> {
    assertEmpty(store);
    const overlay = new Overlay(store);
    const loaded = await loadRows(overlay, store, chunks);
    return new SnapshotInstaller(store, overlay, loaded, lost);
  }

  add(entry: CommittedEntry): void {
    const { index, payloadOffset } = entry;
    refuseUnless(index === this.#next, `entry ${index} in the place of ${this.#next}`);
    refuseUnless(
      payloadOffset >= this.header.logStart.offset,
      `entry ${index} lies before the log`,
    );
    this.#indexer.add(entry);
    this.#next = advance(index, 1);
  }

  /** What was added and is not committed is in memory. */
  get isFull(): boolean {
    return this.#overlay.changeCount >= INSTALL_COMMIT_ROWS;
  }

  async commit(): Promise<void> {
    this.#indexer.writeDirty();
    await commit(this.#overlay, this.#store);
  }

  /** Entries up to this one are lost. Requires that the installer was told what is known of them. */
  lose(to: LogIndex): void {
    this.#indexer.lose();
    this.#next = advance(to, 1);
  }

  /**
   * @param next where the payload of the next entry lies, or would; needed when the last entries are lost
   * @returns which offsets are those of lost messages
   */
  async finish(next: PhysicalOffset | null = null): Promise<readonly LostOffsets[]> {
    const isWhole = this.#next === this.header.appliedIndex + 1;
    refuseUnless(isWhole, `entries from ${this.#next} on are missing`);
    const lost = this.#indexer.finish(next);
    await commit(this.#overlay, this.#store);
    this.#overlay.put(TABLE.meta, this.#meta);
    await commit(this.#overlay, this.#store);
    return lost;
  }
}

interface LoadedRows {
  readonly header: SnapshotHeader;
  readonly meta: Uint8Array;
}

async function loadRows(
  overlay: Overlay,
  store: KvStore,
  chunks: AsyncIterable<Uint8Array>,
): Promise<LoadedRows> {
  let header: SnapshotHeader | null = null;
  let meta: Uint8Array | null = null;
  for await (const part of readSnapshot(chunks)) {
    if (part.kind === 'header') {
      header = part.header;
      continue;
    }
    for (const { key, value } of part.rows) {
      refuseUnless(SNAPSHOT_TABLES.has(key.charAt(0)), 'a row of a table that no snapshot has');
      if (key === TABLE.meta) meta = value;
      else overlay.put(key, value);
    }
    if (overlay.changeCount >= INSTALL_COMMIT_ROWS) await commit(overlay, store);
  }
  refuseUnless(header !== null && meta !== null, 'no header, or no meta row');
  refuseUnless(describes(meta, header), 'the rows are not those announced');
  await commit(overlay, store);
  return { header, meta };
}

function describes(metaRow: Uint8Array, header: SnapshotHeader): boolean {
  const meta = decodeMeta(metaRow);
  return (
    !('foreignVersion' in meta) &&
    meta.appliedIndex === header.appliedIndex &&
    meta.appliedTerm === header.appliedTerm &&
    meta.logStart.index === header.logStart.index &&
    meta.logStart.offset === header.logStart.offset &&
    meta.digest.high === header.digest.high &&
    meta.digest.low === header.digest.low
  );
}

async function commit(overlay: Overlay, store: KvStore): Promise<void> {
  await store.commit(overlay.freeze());
  overlay.thaw();
}

function assertEmpty(store: KvStore): void {
  for (const _row of store.range(FIRST_KEY, END_KEY)) {
    assert(false, 'a snapshot is installed into an empty store');
  }
}
