/**
 * The consume queues: where the n-th message of a queue lies in the log. Units are kept in chunks; the
 * last chunk of a queue is filled in memory and written with every flush.
 *
 * Invariants: the next offset of a queue equals the number of units ever appended (density); a byte of
 * a chunk never changes once its unit is appended, so a chunk may be committed while it is filled.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { advance, QueueOffset } from '../../base/units.ts';
import type { QueueUnit } from './derived-state.ts';
import { prefixEnd, readU32Key, TABLE, u32Key, u64Key } from './key-codec.ts';
import { CHUNK_CACHE_MAX, HOT_TAILS_MAX } from './limits.ts';
import { LruCache } from './lru-cache.ts';
import type { Overlay } from './overlay.ts';
import {
  QUEUE_CHUNK_SIZE_BYTES,
  QUEUE_UNIT_SIZE_BYTES,
  readQueueUnit,
  UNITS_PER_CHUNK,
  writeQueueUnit,
} from './queue-unit.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

export interface QueueRange {
  readonly min: QueueOffset;
  readonly next: QueueOffset;
}

/** The last, unfinished chunk of a queue. */
interface Tail {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface Queue {
  readonly topicNumber: number;
  readonly queueId: number;
  min: QueueOffset;
  next: QueueOffset;
  /** null when not in memory, or when the last chunk is full. */
  tail: Tail | null;
  /** Appended to since the last flush. */
  dirty: boolean;
}

const EMPTY_RANGE: QueueRange = { min: QueueOffset(0), next: QueueOffset(0) };
const RANGE_ROW_SIZE_BYTES = 16;
const TOPIC_NUMBER_AT = TABLE.queueRange.length;
const QUEUE_ID_AT = TOPIC_NUMBER_AT + 4;

export class ConsumeQueues {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  /** By topic number, then queue id; only queues that ever had a message. */
  readonly #topics = new Map<number, Map<number, Queue>>();
  readonly #dirty = new Set<Queue>();
  readonly #fullChunks = new LruCache<string, Uint8Array>(CHUNK_CACHE_MAX);
  readonly #hotTails = new Set<Queue>();

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
    for (const { key, value } of overlay.range(TABLE.queueRange, prefixEnd(TABLE.queueRange))) {
      const row = new RowReader(value);
      const queue = this.#createQueue(
        readU32Key(key, TOPIC_NUMBER_AT),
        readU32Key(key, QUEUE_ID_AT),
      );
      queue.min = QueueOffset(row.u64());
      queue.next = QueueOffset(row.u64());
      row.end();
    }
  }

  range(topicNumber: number, queueId: number): QueueRange {
    const queue = this.#topics.get(topicNumber)?.get(queueId);
    return queue === undefined ? EMPTY_RANGE : { min: queue.min, next: queue.next };
  }

  nextOffset(topicNumber: number, queueId: number): QueueOffset {
    return this.#topics.get(topicNumber)?.get(queueId)?.next ?? EMPTY_RANGE.next;
  }

  unit(topicNumber: number, queueId: number, at: QueueOffset): QueueUnit | null {
    const queue = this.#topics.get(topicNumber)?.get(queueId);
    if (queue === undefined || at < queue.min || at >= queue.next) return null;
    const chunkNumber = Math.floor(at / UNITS_PER_CHUNK);
    const unitAt = (at % UNITS_PER_CHUNK) * QUEUE_UNIT_SIZE_BYTES;
    const chunk =
      chunkNumber === Math.floor(queue.next / UNITS_PER_CHUNK)
        ? this.#tailOf(queue).bytes
        : this.#fullChunk(queue, chunkNumber);
    return readQueueUnit(chunk, unitAt);
  }

  append(topicNumber: number, queueId: number, at: QueueOffset, unit: QueueUnit): void {
    const queue =
      this.#topics.get(topicNumber)?.get(queueId) ?? this.#createQueue(topicNumber, queueId);
    assert(at === queue.next, 'a queue has no gap and no double', () => ({
      topicNumber,
      queueId,
      at,
      next: queue.next,
    }));
    const tail = this.#tailOf(queue);
    const unitNumber = at % UNITS_PER_CHUNK;
    writeQueueUnit(tail.view, unitNumber * QUEUE_UNIT_SIZE_BYTES, unit);
    queue.next = advance(queue.next, 1);
    if (unitNumber === UNITS_PER_CHUNK - 1) {
      this.#overlay.put(chunkKey(queue, Math.floor(at / UNITS_PER_CHUNK)), tail.bytes);
      this.#forgetTail(queue);
    }
    if (queue.dirty) return;
    queue.dirty = true;
    this.#dirty.add(queue);
  }

  /** Puts what is only in memory into the overlay; before every flush. */
  writeDirty(): void {
    for (const queue of this.#dirty) this.#write(queue);
    this.#dirty.clear();
    if (this.#hotTails.size <= HOT_TAILS_MAX) return;
    for (const queue of this.#hotTails) queue.tail = null;
    this.#hotTails.clear();
  }

  /**
   * Forgets the queues of a deleted topic. Their rows are written first: how many rows there are to
   * purge must not depend on when this replica flushed.
   */
  drop(topicNumber: number): void {
    for (const queue of this.#topics.get(topicNumber)?.values() ?? []) {
      if (this.#dirty.delete(queue)) this.#write(queue);
      this.#forgetTail(queue);
    }
    this.#topics.delete(topicNumber);
  }

  #createQueue(topicNumber: number, queueId: number): Queue {
    const queue: Queue = {
      topicNumber,
      queueId,
      ...EMPTY_RANGE,
      tail: null,
      dirty: false,
    };
    const queues = this.#topics.get(topicNumber) ?? new Map<number, Queue>();
    queues.set(queueId, queue);
    this.#topics.set(topicNumber, queues);
    return queue;
  }

  #write(queue: Queue): void {
    queue.dirty = false;
    const range = this.#rows.begin(RANGE_ROW_SIZE_BYTES).u64(queue.min).u64(queue.next).finish();
    this.#overlay.put(rangeKey(queue), range);
    const unitCount = queue.next % UNITS_PER_CHUNK;
    if (unitCount === 0) return;
    const tail = this.#tailOf(queue);
    const written = tail.bytes.subarray(0, unitCount * QUEUE_UNIT_SIZE_BYTES);
    this.#overlay.put(chunkKey(queue, Math.floor(queue.next / UNITS_PER_CHUNK)), written);
  }

  #tailOf(queue: Queue): Tail {
    if (queue.tail !== null) return queue.tail;
    // A buffer of its own size, never pooled: its bytes are committed while it is being filled.
    const bytes = new Uint8Array(QUEUE_CHUNK_SIZE_BYTES);
    const unitCount = queue.next % UNITS_PER_CHUNK;
    if (unitCount > 0) {
      const stored = this.#overlay.get(chunkKey(queue, Math.floor(queue.next / UNITS_PER_CHUNK)));
      assert(
        stored !== null && stored.length === unitCount * QUEUE_UNIT_SIZE_BYTES,
        'the last chunk ends where the queue ends',
      );
      bytes.set(stored);
    }
    queue.tail = { bytes, view: viewOf(bytes) };
    this.#hotTails.add(queue);
    return queue.tail;
  }

  #forgetTail(queue: Queue): void {
    queue.tail = null;
    this.#hotTails.delete(queue);
  }

  #fullChunk(queue: Queue, chunkNumber: number): Uint8Array {
    const key = chunkKey(queue, chunkNumber);
    const cached = this.#fullChunks.get(key);
    if (cached !== undefined) return cached;
    const chunk = this.#overlay.get(key);
    assert(chunk?.length === QUEUE_CHUNK_SIZE_BYTES, 'a chunk below the last is full');
    this.#fullChunks.set(key, chunk);
    return chunk;
  }
}

function rangeKey(queue: Queue): string {
  return TABLE.queueRange + u32Key(queue.topicNumber) + u32Key(queue.queueId);
}

function chunkKey(queue: Queue, chunkNumber: number): string {
  return TABLE.queueChunk + u32Key(queue.topicNumber) + u32Key(queue.queueId) + u64Key(chunkNumber);
}
