/**
 * All messages of the log in their order: where each lies, and under which ids and keys it is indexed.
 * It answers what the other tables cannot: which rows belong to a stretch of the log. That is needed
 * when the stretch leaves the de-duplication window, or is deleted.
 *
 * Messages are numbered from 0 for ever. Store times are made monotonic here: the next leader's clock
 * may be behind.
 *
 * Invariant: bytes of a chunk never change once written, so a chunk may be committed while it is filled.
 */
import { assert } from '../../base/assert.ts';
import { readU64, viewOf, writeU64 } from '../../base/bytes.ts';
import { PhysicalOffset, QueueOffset } from '../../base/units.ts';
import { TABLE, u64Key } from './key-codec.ts';
import { JOURNAL_CACHE_MAX } from './limits.ts';
import { LruCache } from './lru-cache.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

/** What the journal keeps of a message. Id and keys as `indexedKey` makes them. */
export interface JournalUnit {
  readonly physicalOffset: PhysicalOffset;
  /** The highest so far. */
  readonly storeTimestampMs: number;
  readonly topicNumber: number;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly id: string | null;
  readonly keys: readonly string[];
}

const PHYSICAL_OFFSET_AT = 0; // u64
const STORE_TIMESTAMP_AT = PHYSICAL_OFFSET_AT + 8; // u64
const TOPIC_NUMBER_AT = STORE_TIMESTAMP_AT + 8; // u32
const QUEUE_ID_AT = TOPIC_NUMBER_AT + 4; // u32
const QUEUE_OFFSET_AT = QUEUE_ID_AT + 4; // u64
const HAS_ID_AT = QUEUE_OFFSET_AT + 8; // u8
const KEY_COUNT_AT = HAS_ID_AT + 1; // u16
const TEXTS_AT = KEY_COUNT_AT + 2; // id, then keys
const KEY_COUNT_MAX = 0xffff;
/** Of an indexed key: kind, length, then so many bytes. */
const TEXT_LENGTH_AT = 1;
const TEXT_HEADER_SIZE_BYTES = 2;

export const JOURNAL_UNITS_PER_CHUNK = 64;
const CHUNK_SIZE_BYTES_FIRST = 8 * 1024;
const META_SIZE_BYTES = 32;

interface Chunk {
  readonly number: number;
  bytes: Buffer;
  view: DataView;
  /** Where its units begin, and, last, where they end. */
  readonly unitAt: number[];
}

export class MessageJournal {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  #next = 0;
  #newestStoreTimestampMs = 0;
  #first = 0;
  /** Highest store time of the messages before the first. */
  #floorStoreTimestampMs = 0;
  #tail: Chunk | null = null;
  readonly #chunks = new LruCache<number, Chunk>(JOURNAL_CACHE_MAX);
  #dirty = false;

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
    const meta = overlay.get(TABLE.journalMeta);
    if (meta === null) return;
    const row = decodeJournalMeta(meta);
    this.#next = row.next;
    this.#newestStoreTimestampMs = row.newestStoreTimestampMs;
    this.#first = row.first;
    this.#floorStoreTimestampMs = row.floorStoreTimestampMs;
  }

  /** Number of the next message. */
  get next(): number {
    return this.#next;
  }

  /** Number of the first message at or behind the start of the log. */
  get first(): number {
    return this.#first;
  }

  get newestStoreTimestampMs(): number {
    return this.#newestStoreTimestampMs;
  }

  append(unit: JournalUnit): void {
    const tail = this.#tailChunk();
    this.#newestStoreTimestampMs = Math.max(this.#newestStoreTimestampMs, unit.storeTimestampMs);
    writeUnit(tail, unit, this.#newestStoreTimestampMs);
    this.#next++;
    this.#dirty = true;
    if (this.#next % JOURNAL_UNITS_PER_CHUNK === 0) this.#putTail(tail);
  }

  physicalOffset(number: number): PhysicalOffset {
    const { chunk, at } = this.#place(number);
    return PhysicalOffset(readU64(chunk.view, at + PHYSICAL_OFFSET_AT));
  }

  storeTimestampMs(number: number): number {
    const { chunk, at } = this.#place(number);
    return readU64(chunk.view, at + STORE_TIMESTAMP_AT);
  }

  unit(number: number): JournalUnit {
    const { chunk, at } = this.#place(number);
    return readUnit(chunk, at);
  }

  /** Number of the first message of the log at or behind the offset; `next` when there is none. */
  numberAt(offset: PhysicalOffset): number {
    let low = this.#first;
    let high = this.#next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.physicalOffset(middle) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Of the first message at or behind the offset, or the newest of all; null before any message. */
  storeTimeFrom(offset: PhysicalOffset): number | null {
    const number = this.numberAt(offset);
    if (number < this.#next) return this.storeTimestampMs(number);
    return this.#next === 0 ? null : this.#newestStoreTimestampMs;
  }

  /** The log begins at the offset from now on. */
  advanceFirst(offset: PhysicalOffset): void {
    const first = this.numberAt(offset);
    if (first === this.#first) return;
    this.#floorStoreTimestampMs = this.storeTimestampMs(first - 1);
    this.#first = first;
    this.#dirty = true;
  }

  /** Puts what is only in memory into the overlay; before every flush. */
  writeDirty(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const meta = this.#rows
      .begin(META_SIZE_BYTES)
      .u64(this.#next)
      .u64(this.#newestStoreTimestampMs)
      .u64(this.#first)
      .u64(this.#floorStoreTimestampMs)
      .finish();
    this.#overlay.put(TABLE.journalMeta, meta);
    if (this.#next % JOURNAL_UNITS_PER_CHUNK !== 0) this.#putTail(this.#tailChunk());
  }

  /** All messages of the chunk are dead. */
  deleteChunk(chunkNumber: number): void {
    this.#overlay.delete(journalChunkKey(chunkNumber));
  }

  /**
   * Back to before the first message that the log still has, to append all of them again.
   * @returns what must be there in the end
   */
  rewind(): { readonly next: number; readonly newestStoreTimestampMs: number } {
    const wanted = { next: this.#next, newestStoreTimestampMs: this.#newestStoreTimestampMs };
    assert(this.#tail === null, 'only a journal that was just opened is rewound');
    this.#next = this.#first;
    this.#newestStoreTimestampMs = this.#floorStoreTimestampMs;
    this.#dirty = wanted.next > 0;
    return wanted;
  }

  #putTail(tail: Chunk): void {
    const sizeBytes = tail.unitAt.at(-1) ?? 0;
    this.#overlay.put(journalChunkKey(tail.number), tail.bytes.subarray(0, sizeBytes));
  }

  #place(number: number): { readonly chunk: Chunk; readonly at: number } {
    const chunk = this.#chunk(Math.floor(number / JOURNAL_UNITS_PER_CHUNK));
    const at = chunk.unitAt[number % JOURNAL_UNITS_PER_CHUNK];
    assert(number < this.#next && at !== undefined, 'a message before the next is known', () => ({
      number,
      next: this.#next,
    }));
    return { chunk, at };
  }

  #chunk(number: number): Chunk {
    if (this.#tail?.number === number) return this.#tail;
    const cached = this.#chunks.get(number);
    if (cached !== undefined) return cached;
    const chunk = this.#load(number);
    this.#chunks.set(number, chunk);
    return chunk;
  }

  #tailChunk(): Chunk {
    const number = Math.floor(this.#next / JOURNAL_UNITS_PER_CHUNK);
    if (this.#tail?.number === number) return this.#tail;
    if (this.#tail !== null) this.#chunks.set(this.#tail.number, this.#tail);
    this.#tail =
      this.#next % JOURNAL_UNITS_PER_CHUNK === 0 ? emptyChunk(number) : this.#load(number);
    return this.#tail;
  }

  /** With bytes of its own: the last chunk is written to. */
  #load(number: number): Chunk {
    const stored = this.#overlay.get(journalChunkKey(number));
    assert(stored !== null, 'a chunk of messages that are not dead is there', () => ({ number }));
    const bytes = Buffer.allocUnsafeSlow(stored.length);
    bytes.set(stored);
    return { number, bytes, view: viewOf(bytes), unitAt: unitPlaces(bytes) };
  }
}

export function decodeJournalMeta(value: Uint8Array) {
  const row = new RowReader(value);
  const meta = {
    next: row.u64(),
    newestStoreTimestampMs: row.u64(),
    first: row.u64(),
    floorStoreTimestampMs: row.u64(),
  };
  row.end();
  return meta;
}

export function journalChunkKey(chunkNumber: number): string {
  return TABLE.journalChunk + u64Key(chunkNumber);
}

/** Where the units of a chunk begin, and, last, where they end. */
export function unitPlaces(chunk: Uint8Array): number[] {
  const view = viewOf(chunk);
  const places = [0];
  for (let at = 0; at < chunk.length; places.push(at)) {
    let textCount = view.getUint8(at + HAS_ID_AT) + view.getUint16(at + KEY_COUNT_AT);
    for (at += TEXTS_AT; textCount > 0; textCount--) {
      at += TEXT_HEADER_SIZE_BYTES + view.getUint8(at + TEXT_LENGTH_AT);
    }
  }
  assert(places.at(-1) === chunk.length, 'a chunk ends with a unit');
  return places;
}

/** The units of a chunk's row, in order. */
export function journalUnitsOf(row: Uint8Array): readonly JournalUnit[] {
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.length);
  const view = viewOf(row);
  return unitPlaces(row)
    .slice(0, -1)
    .map((at) => readUnit({ bytes, view }, at));
}

function emptyChunk(number: number): Chunk {
  const bytes = Buffer.allocUnsafeSlow(CHUNK_SIZE_BYTES_FIRST);
  return { number, bytes, view: viewOf(bytes), unitAt: [0] };
}

function writeUnit(chunk: Chunk, unit: JournalUnit, storeTimestampMs: number): void {
  const { id, keys } = unit;
  assert(keys.length <= KEY_COUNT_MAX, 'keys fit their count');
  let sizeBytes = TEXTS_AT + (id?.length ?? 0);
  for (const key of keys) sizeBytes += key.length;
  const at = chunk.unitAt.at(-1) ?? 0;
  makeRoom(chunk, at, sizeBytes);
  const { bytes, view } = chunk;
  writeU64(view, at + PHYSICAL_OFFSET_AT, unit.physicalOffset);
  writeU64(view, at + STORE_TIMESTAMP_AT, storeTimestampMs);
  view.setUint32(at + TOPIC_NUMBER_AT, unit.topicNumber);
  view.setUint32(at + QUEUE_ID_AT, unit.queueId);
  writeU64(view, at + QUEUE_OFFSET_AT, unit.queueOffset);
  view.setUint8(at + HAS_ID_AT, id === null ? 0 : 1);
  view.setUint16(at + KEY_COUNT_AT, keys.length);
  let textAt = at + TEXTS_AT;
  if (id !== null) textAt += bytes.write(id, textAt, 'latin1');
  for (const key of keys) textAt += bytes.write(key, textAt, 'latin1');
  chunk.unitAt.push(textAt);
}

/** What was handed out before stays as it is: a commit may still be reading it. */
function makeRoom(chunk: Chunk, usedBytes: number, sizeBytes: number): void {
  if (usedBytes + sizeBytes <= chunk.bytes.length) return;
  const larger = Buffer.allocUnsafeSlow(2 * (usedBytes + sizeBytes));
  larger.set(chunk.bytes.subarray(0, usedBytes));
  chunk.bytes = larger;
  chunk.view = viewOf(larger);
}

function readUnit({ bytes, view }: Pick<Chunk, 'bytes' | 'view'>, at: number): JournalUnit {
  let textAt = at + TEXTS_AT;
  const nextText = () => {
    const end = textAt + TEXT_HEADER_SIZE_BYTES + view.getUint8(textAt + TEXT_LENGTH_AT);
    const text = bytes.toString('latin1', textAt, end);
    textAt = end;
    return text;
  };
  return {
    physicalOffset: PhysicalOffset(readU64(view, at + PHYSICAL_OFFSET_AT)),
    storeTimestampMs: readU64(view, at + STORE_TIMESTAMP_AT),
    topicNumber: view.getUint32(at + TOPIC_NUMBER_AT),
    queueId: view.getUint32(at + QUEUE_ID_AT),
    queueOffset: QueueOffset(readU64(view, at + QUEUE_OFFSET_AT)),
    id: view.getUint8(at + HAS_ID_AT) === 1 ? nextText() : null,
    keys: Array.from({ length: view.getUint16(at + KEY_COUNT_AT) }, nextText),
  };
}
