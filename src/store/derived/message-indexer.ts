/**
 * Makes the tables that no snapshot carries out of the messages of the log: consume queues, keys and journal, behind
 * the rows of a snapshot, whose end they must reach.
 *
 * Messages may be lost (recover/): then there is a place where the log does not follow from itself. The snapshot
 * says how many messages there were in all and where each queue ends, so journal and queues are as long
 * as they were; what stands for a lost message has no id, no key and leads nowhere.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { advance, PhysicalOffset, QueueOffset } from '../../base/units.ts';
import { messageIndexFieldsAt } from '../../protocol/message-index-fields.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { journalUnitOf } from './apply.ts';
import { ConsumeQueues, type QueueShortage } from './consume-queues.ts';
import { DEDUP_WINDOW_BOUNDS, DedupWindow } from './dedup-window.ts';
import type { CommittedEntry } from './derived-state.ts';
import { KeyIndex } from './key-index.ts';
import { MessageJournal } from './message-journal.ts';
import type { Overlay } from './overlay.ts';
import { RowWriter } from './row-codec.ts';
import { RowTrim } from './row-trim.ts';
import { refuseUnless } from './snapshot-format.ts';
import { TopicPlaces } from './topic-places.ts';

/** Numbers of topics begin far below and only grow: whoever looks for what belongs to this one finds nothing. */
const NO_TOPIC = 0xffff_ffff;

/**
 * What is known of messages that nobody can read any more: the snapshot counts them, and what they did beside
 * being messages is in its rows (recover/). Their ids and keys are lost.
 */
export interface LostMessages {
  readonly messageCount: number;
  /** Not 0: one of them had it, the highest of all. */
  readonly newestStoreTimestampMs: number;
}

/** Offsets of a queue, the last one not included. */
export interface LostOffsets {
  readonly topicNumber: number;
  readonly queueId: number;
  readonly from: QueueOffset;
  readonly to: QueueOffset;
}

/** Appends the messages of the log to the tables that no snapshot carries. */
export class MessageIndexer {
  readonly #overlay: Overlay;
  readonly #logStart: PhysicalOffset;
  readonly #rows = new RowWriter();
  readonly #topics: TopicPlaces;
  readonly #queues: ConsumeQueues;
  readonly #keys: KeyIndex;
  readonly #journal: MessageJournal;
  readonly #shortages: () => readonly QueueShortage[];
  readonly #wanted: { readonly next: number; readonly newestStoreTimestampMs: number };

  readonly #lost: LostMessages | null;
  readonly #lostOffsets: LostOffsets[] = [];
  /** Where the newest lost messages lay, at the latest; null: none were lost so far. */
  #lostAt: PhysicalOffset | null = null;
  /** Messages are lost before the next entry. */
  #isBehindLoss = false;

  constructor(overlay: Overlay, logStart: PhysicalOffset, lost: LostMessages | null) {
    this.#logStart = logStart;
    this.#lost = lost;
    this.#overlay = overlay;
    this.#topics = new TopicPlaces(overlay);
    this.#queues = new ConsumeQueues(overlay, this.#rows);
    this.#keys = new KeyIndex(overlay, this.#rows);
    this.#journal = new MessageJournal(overlay, this.#rows);
    this.#shortages = this.#queues.rewind();
    this.#wanted = this.#journal.rewind();
  }

  add({ type, payload, payloadOffset }: CommittedEntry): void {
    this.#endLoss(payloadOffset);
    if (type !== 'data') return;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const view = viewOf(payload);
    for (let at = 0; at < payload.length; ) {
      const place = recordPlaceAt(view, at);
      if (place.kind === 'message') this.#addMessage(bytes, view, at, advance(payloadOffset, at));
      at += place.sizeBytes;
    }
  }

  /** What comes next does not follow from what came. */
  lose(): void {
    assert(this.#lost !== null, 'what is known of lost messages was told');
    this.#isBehindLoss = true;
  }

  /**
   * Of several such places the first stands for all messages that are lost: which of them lay where is not known,
   * and nobody finds one by its place. Their end is what counts: a log that begins among them keeps them.
   */
  #endLoss(payloadOffset: PhysicalOffset): void {
    if (!this.#isBehindLoss || this.#lost === null) return;
    this.#isBehindLoss = false;
    const isFirst = this.#lostAt === null;
    // Before the header of whatever follows, which may be where a log begins.
    const physicalOffset = PhysicalOffset(payloadOffset - ENTRY_HEADER_SIZE_BYTES - 1);
    this.#lostAt = physicalOffset;
    if (!isFirst) return;
    const { messageCount, newestStoreTimestampMs: storeTimestampMs } = this.#lost;
    const nobodys = { topicNumber: NO_TOPIC, queueId: 0, queueOffset: QueueOffset(0) };
    for (let i = 0; i < messageCount; i++) {
      this.#journal.append({ ...nobodys, physicalOffset, storeTimestampMs, id: null, keys: [] });
    }
  }

  writeDirty(): void {
    this.#queues.writeDirty();
    this.#journal.writeDirty();
  }

  /** @param nextOffset where the payload of the next entry lies, or would */
  finish(nextOffset: PhysicalOffset | null): readonly LostOffsets[] {
    if (nextOffset !== null) this.#endLoss(nextOffset);
    for (const { topicNumber, queueId, next, wanted } of this.#shortages()) {
      if (next < wanted) this.#fillQueue(topicNumber, queueId, next, wanted);
    }
    const { next, newestStoreTimestampMs } = this.#journal;
    refuseUnless(
      this.#shortages().length === 0 &&
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
    return this.#lostOffsets;
  }

  /** Units that lead nowhere, for messages that are lost: a queue has no gap. */
  #fillQueue(topicNumber: number, queueId: number, from: QueueOffset, to: QueueOffset): void {
    const physicalOffset = this.#lostAt;
    if (physicalOffset === null) return;
    const unit = { physicalOffset, sizeBytes: 0, tagsCode: 0, storeTimestampMs: 0 };
    for (let at = from; at < to; at = advance(at, 1)) {
      this.#queues.append(topicNumber, queueId, at, unit);
    }
    this.#lostOffsets.push({ topicNumber, queueId, from, to });
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
    if (queueOffset > next) this.#fillQueue(found.number, queueId, next, queueOffset);
    const isNext = queueOffset === this.#queues.range(found.number, queueId).next;
    refuseUnless(isNext, 'a message of another place in its queue');
    this.#queues.append(found.number, queueId, queueOffset, message);
    if (unit.id !== null) {
      this.#keys.addIdAgain(found.number, unit.id, message, this.#logStart);
    }
    this.#keys.addKeys(found.number, unit);
  }
}
