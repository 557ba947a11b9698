/**
 * The consume queues: where the n-th message of a queue lies in the log. Units are kept in chunks; the
 * last chunk of a queue is filled in memory and written with every flush.
 *
 * Invariants: the next offset of a queue equals the number of units ever appended (density); a byte of
 * a chunk never changes once its unit is appended, so a chunk may be committed while it is filled; units
 * below the first offset are zeros, in a chunk that has others too.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { advance, type PhysicalOffset, QueueOffset } from '../../base/units.ts';
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

/** A queue whose first offset has moved. */
export interface AdvancedQueue {
  readonly queueId: number;
  readonly min: QueueOffset;
  /** How many messages it lost. */
  readonly messageCount: number;
}

export interface QueueRange {
  readonly min: QueueOffset;
  readonly next: QueueOffset;
}

/** The last, unfinished chunk of a queue. */
interface Tail {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface QueueName {
  readonly topicNumber: number;
  readonly queueId: number;
}

/** A queue that ends before the offset at which it should. */
export interface QueueShortage extends QueueName {
  readonly next: QueueOffset;
  readonly wanted: QueueOffset;
}

interface Queue extends QueueName {
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
      const topicNumber = readU32Key(key, TOPIC_NUMBER_AT);
      const queue = this.#createQueue(topicNumber, readU32Key(key, QUEUE_ID_AT));
      queue.min = QueueOffset(row.u64());
      queue.next = QueueOffset(row.u64());
      row.end();
    }
  }

  range(topicNumber: number, queueId: number): QueueRange {
    const queue = this.#topics.get(topicNumber)?.get(queueId);
    return queue === undefined ? EMPTY_RANGE : { min: queue.min, next: queue.next };
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
    this.#markDirty(queue);
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

  /**
   * Messages of the topic before the offset are gone. The rows of their chunks are dead from here on;
   * {@link removeChunkEndingWith} takes them.
   */
  advanceMin(topicNumber: number, logStart: PhysicalOffset): readonly AdvancedQueue[] {
    const advanced: AdvancedQueue[] = [];
    for (const queue of this.#topics.get(topicNumber)?.values() ?? []) {
      const min = this.#firstFrom(queue, logStart);
      if (min === queue.min) continue;
      advanced.push({ queueId: queue.queueId, min, messageCount: min - queue.min });
      this.#setMin(queue, min);
    }
    return advanced;
  }

  /** The message is dead, and with it its chunk, if it is the last one there. */
  removeChunkEndingWith(unit: QueueName & { readonly queueOffset: QueueOffset }): void {
    if (unit.queueOffset % UNITS_PER_CHUNK !== UNITS_PER_CHUNK - 1) return;
    this.#overlay.delete(chunkKey(unit, Math.floor(unit.queueOffset / UNITS_PER_CHUNK)));
  }

  /**
   * Back to the first offset of every queue, to append all units again.
   * @returns which queues are not where they were before
   */
  rewind(): () => readonly QueueShortage[] {
    const wanted = new Map<Queue, QueueOffset>();
    for (const queues of this.#topics.values()) {
      for (const queue of queues.values()) {
        wanted.set(queue, queue.next);
        queue.next = queue.min;
        if (queue.next % UNITS_PER_CHUNK > 0) this.#setTail(queue, emptyTail());
        this.#markDirty(queue);
      }
    }
    return () => {
      const shortages: QueueShortage[] = [];
      for (const queues of this.#topics.values()) {
        for (const queue of queues.values()) {
          // A queue that was not there before is one too many: it should have no message.
          const end = wanted.get(queue) ?? QueueOffset(0);
          const { topicNumber, queueId, next } = queue;
          if (end !== next) shortages.push({ topicNumber, queueId, next, wanted: end });
        }
      }
      return shortages;
    };
  }

  #firstFrom(queue: Queue, logStart: PhysicalOffset): QueueOffset {
    const isKept = (at: number) => {
      const unit = this.unit(queue.topicNumber, queue.queueId, QueueOffset(at));
      return unit === null || unit.physicalOffset >= logStart;
    };
    // Steps that double, then halves: the start moves little, and the queue may be long.
    let step = 1;
    while (!isKept(queue.min + step - 1)) step *= 2;
    let low = queue.min + Math.floor(step / 2);
    let high = Math.min(queue.min + step - 1, queue.next);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isKept(middle)) high = middle;
      else low = middle + 1;
    }
    return QueueOffset(low);
  }

  #setMin(queue: Queue, min: QueueOffset): void {
    queue.min = min;
    this.#markDirty(queue);
    const goneBytes = (min % UNITS_PER_CHUNK) * QUEUE_UNIT_SIZE_BYTES;
    if (goneBytes === 0) return;
    const chunkNumber = Math.floor(min / UNITS_PER_CHUNK);
    // Copies: what was there may be on its way into the database.
    if (chunkNumber === Math.floor(queue.next / UNITS_PER_CHUNK)) {
      const bytes = this.#tailOf(queue).bytes.slice().fill(0, 0, goneBytes);
      this.#setTail(queue, { bytes, view: viewOf(bytes) });
      return;
    }
    const bytes = this.#fullChunk(queue, chunkNumber).slice().fill(0, 0, goneBytes);
    const key = chunkKey(queue, chunkNumber);
    this.#overlay.put(key, bytes);
    this.#fullChunks.set(key, bytes);
  }

  #markDirty(queue: Queue): void {
    if (queue.dirty) return;
    queue.dirty = true;
    this.#dirty.add(queue);
  }

  #setTail(queue: Queue, tail: Tail): Tail {
    queue.tail = tail;
    this.#hotTails.add(queue);
    return tail;
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
    const tail = emptyTail();
    const unitCount = queue.next % UNITS_PER_CHUNK;
    if (unitCount > 0) {
      const stored = this.#overlay.get(chunkKey(queue, Math.floor(queue.next / UNITS_PER_CHUNK)));
      assert(
        stored !== null && stored.length === unitCount * QUEUE_UNIT_SIZE_BYTES,
        'the last chunk ends where the queue ends',
      );
      tail.bytes.set(stored);
    }
    return this.#setTail(queue, tail);
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

/** A buffer of its own size, never pooled: its bytes are committed while it is being filled. */
function emptyTail(): Tail {
  const bytes = new Uint8Array(QUEUE_CHUNK_SIZE_BYTES);
  return { bytes, view: viewOf(bytes) };
}

function rangeKey(queue: QueueName): string {
  return TABLE.queueRange + u32Key(queue.topicNumber) + u32Key(queue.queueId);
}

function chunkKey(queue: QueueName, chunkNumber: number): string {
  return TABLE.queueChunk + u32Key(queue.topicNumber) + u32Key(queue.queueId) + u64Key(chunkNumber);
}
