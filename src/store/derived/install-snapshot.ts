/**
 * Makes derived state at an index out of a snapshot and the entries that the log still has: the rows of
 * the snapshot as they are, and consume queues, keys and journal from the messages of the entries, whose
 * commands are not applied again. The rows are those of a replica that has applied everything.
 *
 * The meta row comes last: a store without it is nobody's, whatever else is in it.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../../base/units.ts';
import { messageIndexFieldsAt } from '../../protocol/message-index-fields.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import { journalUnitOf } from './apply.ts';
import { ConsumeQueues } from './consume-queues.ts';
import { DEDUP_WINDOW_BOUNDS, DedupWindow } from './dedup-window.ts';
import type { CommittedEntry } from './derived-state.ts';
import { END_KEY, FIRST_KEY, TABLE } from './key-codec.ts';
import { KeyIndex } from './key-index.ts';
import type { KvStore } from './kv-store.ts';
import { INSTALL_COMMIT_ROWS } from './limits.ts';
import { MessageJournal } from './message-journal.ts';
import { decodeMeta } from './meta-row.ts';
import { Overlay } from './overlay.ts';
import { readSnapshot } from './read-snapshot.ts';
import { RowWriter } from './row-codec.ts';
import { RowTrim } from './row-trim.ts';
import { refuseUnless, type SnapshotHeader } from './snapshot-format.ts';
import { TopicPlaces } from './topic-places.ts';

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
  const overlay = new Overlay(store);
  assertEmpty(store);
  const { header, meta } = await loadRows(overlay, store, source.chunks());
  const { logStart, appliedIndex } = header;
  const indexer = new Indexer(overlay, logStart.offset);
  let next = logStart.index;
  for await (const entry of source.entries(logStart.index, appliedIndex)) {
    refuseUnless(entry.index === next, `entry ${entry.index} in the place of ${next}`);
    refuseUnless(entry.payloadOffset >= logStart.offset, `entry ${next} lies before the log`);
    indexer.add(entry);
    next = advance(next, 1);
    if (overlay.changeCount >= INSTALL_COMMIT_ROWS) {
      indexer.writeDirty();
      await commit(overlay, store);
    }
  }
  refuseUnless(next === appliedIndex + 1, `entries from ${next} on are missing`);
  indexer.finish();
  await commit(overlay, store);
  overlay.put(TABLE.meta, meta);
  await commit(overlay, store);
  return header;
}

async function loadRows(
  overlay: Overlay,
  store: KvStore,
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly header: SnapshotHeader; readonly meta: Uint8Array }> {
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

/** Appends the messages of the log to the tables that no snapshot carries. */
class Indexer {
  readonly #overlay: Overlay;
  readonly #logStart: PhysicalOffset;
  readonly #rows = new RowWriter();
  readonly #topics: TopicPlaces;
  readonly #queues: ConsumeQueues;
  readonly #keys: KeyIndex;
  readonly #journal: MessageJournal;
  readonly #areQueuesWhole: () => boolean;
  readonly #wanted: { readonly next: number; readonly newestStoreTimestampMs: number };

  constructor(overlay: Overlay, logStart: PhysicalOffset) {
    this.#logStart = logStart;
    this.#overlay = overlay;
    this.#topics = new TopicPlaces(overlay);
    this.#queues = new ConsumeQueues(overlay, this.#rows);
    this.#keys = new KeyIndex(overlay, this.#rows);
    this.#journal = new MessageJournal(overlay, this.#rows);
    this.#areQueuesWhole = this.#queues.rewind();
    this.#wanted = this.#journal.rewind();
  }

  add({ type, payload, payloadOffset }: CommittedEntry): void {
    if (type !== 'data') return;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const view = viewOf(payload);
    for (let at = 0; at < payload.length; ) {
      const place = recordPlaceAt(view, at);
      if (place.kind === 'message') this.#addMessage(bytes, view, at, advance(payloadOffset, at));
      at += place.sizeBytes;
    }
  }

  writeDirty(): void {
    this.#queues.writeDirty();
    this.#journal.writeDirty();
  }

  finish(): void {
    const { next, newestStoreTimestampMs } = this.#journal;
    refuseUnless(
      this.#areQueuesWhole() &&
        next === this.#wanted.next &&
        newestStoreTimestampMs === this.#wanted.newestStoreTimestampMs,
      'the entries do not hold the messages that the snapshot counts',
    );
    this.writeDirty();
    const trim = new RowTrim(this.#overlay, this.#rows, {
      journal: this.#journal,
      window: new DedupWindow(this.#overlay, this.#rows, this.#journal, DEDUP_WINDOW_BOUNDS),
      keys: this.#keys,
      queues: this.#queues,
    });
    trim.startClean();
    trim.writeDirty();
  }

  #addMessage(bytes: Buffer, view: DataView, at: number, placedAt: PhysicalOffset): void {
    const message = messageIndexFieldsAt(bytes, view, at);
    const { topic, queueId, queueOffset, physicalOffset } = message;
    refuseUnless(physicalOffset === placedAt, 'a message of another place in the log');
    const found = this.#topics.find(topic, placedAt);
    refuseUnless(found !== null, 'a message of a topic that the snapshot does not know');
    const unit = journalUnitOf(found.number, message);
    this.#journal.append(unit);
    if (!found.isLive) return;
    const { next } = this.#queues.range(found.number, queueId);
    refuseUnless(queueOffset === next, 'a message of another place in its queue');
    this.#queues.append(found.number, queueId, queueOffset, message);
    if (unit.id !== null) {
      this.#keys.addIdAgain(found.number, unit.id, message, this.#logStart);
    }
    this.#keys.addKeys(found.number, unit);
  }
}

function assertEmpty(store: KvStore): void {
  for (const _row of store.range(FIRST_KEY, END_KEY)) {
    assert(false, 'a snapshot is installed into an empty store');
  }
}
