/**
 * Which messages are recent enough to be recognised when they are sent again: the last
 * DEDUP_WINDOW_COUNT_MAX of the log that are not older than DEDUP_WINDOW_MS, and in any case the last
 * DEDUP_WINDOW_COUNT_MIN. Time is store time from the log, so every replica has the same window at the
 * same index; it is made monotonic here, because the next leader's clock may be behind, and its
 * messages must not be old when they come.
 *
 * The window is a queue of (physical offset, store time) in log order; the ids are in the key index,
 * and an id is known when its message lies at or after {@link DedupWindow.startOffset}. So leaving the
 * window costs nothing but moving its start.
 */
import { assert } from '../../base/assert.ts';
import { readU64, viewOf, writeU64 } from '../../base/bytes.ts';
import type { PhysicalOffset } from '../../base/units.ts';
import { TABLE, u64Key } from './key-codec.ts';
import { DEDUP_WINDOW_COUNT_MAX, DEDUP_WINDOW_COUNT_MIN, DEDUP_WINDOW_MS } from './limits.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const PHYSICAL_OFFSET_AT = 0; // u64
const STORE_TIMESTAMP_AT = PHYSICAL_OFFSET_AT + 8; // u64
const UNIT_SIZE_BYTES = STORE_TIMESTAMP_AT + 8;
const UNITS_PER_CHUNK = 64;
const META_SIZE_BYTES = 24;

/** One chunk in memory; the window holds the first and the last. */
interface Chunk {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Tests use small windows; production uses the defaults, which are part of the format. */
export interface DedupWindowBounds {
  readonly countMin: number;
  readonly countMax: number;
  readonly ageMsMax: number;
}

export const DEDUP_WINDOW_BOUNDS: DedupWindowBounds = {
  countMin: DEDUP_WINDOW_COUNT_MIN,
  countMax: DEDUP_WINDOW_COUNT_MAX,
  ageMsMax: DEDUP_WINDOW_MS,
};

export class DedupWindow {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #bounds: DedupWindowBounds;
  /** Numbers of messages in log order: the window is [head, next). */
  #head = 0;
  #next = 0;
  #newestStoreTimestampMs = 0;
  #headChunk: Chunk | null = null;
  #tailChunk: Chunk | null = null;
  #startOffset = Number.POSITIVE_INFINITY;
  #dirty = false;

  constructor(overlay: Overlay, rows: RowWriter, bounds: DedupWindowBounds) {
    this.#overlay = overlay;
    this.#rows = rows;
    this.#bounds = bounds;
    const meta = overlay.get(TABLE.windowMeta);
    if (meta === null) return;
    const row = new RowReader(meta);
    this.#head = row.u64();
    this.#next = row.u64();
    this.#newestStoreTimestampMs = row.u64();
    row.end();
    if (this.#head < this.#next) this.#startOffset = this.#headNumber(PHYSICAL_OFFSET_AT);
  }

  /** Messages from here on are in the window; infinite when it is empty. */
  get startOffset(): number {
    return this.#startOffset;
  }

  /** The next message of the log. */
  append(physicalOffset: PhysicalOffset, storeTimestampMs: number): void {
    const tail = this.#tail();
    const at = (this.#next % UNITS_PER_CHUNK) * UNIT_SIZE_BYTES;
    writeU64(tail.view, at + PHYSICAL_OFFSET_AT, physicalOffset);
    this.#newestStoreTimestampMs = Math.max(this.#newestStoreTimestampMs, storeTimestampMs);
    writeU64(tail.view, at + STORE_TIMESTAMP_AT, this.#newestStoreTimestampMs);
    this.#next++;
    this.#dirty = true;
    if (this.#next % UNITS_PER_CHUNK === 0) this.#overlay.put(keyOf(tail.number), tail.bytes);
    this.#evict();
  }

  /** Puts what is only in memory into the overlay; before every flush. */
  writeDirty(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const meta = this.#rows
      .begin(META_SIZE_BYTES)
      .u64(this.#head)
      .u64(this.#next)
      .u64(this.#newestStoreTimestampMs)
      .finish();
    this.#overlay.put(TABLE.windowMeta, meta);
    const unitCount = this.#next % UNITS_PER_CHUNK;
    if (unitCount === 0) return;
    const tail = this.#tail();
    this.#overlay.put(keyOf(tail.number), tail.bytes.subarray(0, unitCount * UNIT_SIZE_BYTES));
  }

  #evict(): void {
    const { countMin, countMax, ageMsMax } = this.#bounds;
    const oldestMs = this.#newestStoreTimestampMs - ageMsMax;
    for (;;) {
      // Ends: the newest message is never too old, nor one too many.
      const count = this.#next - this.#head;
      const isOld = count > countMin && this.#headNumber(STORE_TIMESTAMP_AT) < oldestMs;
      if (count <= countMax && !isOld) break;
      this.#head++;
      if (this.#head % UNITS_PER_CHUNK === 0) {
        this.#overlay.delete(keyOf(this.#head / UNITS_PER_CHUNK - 1));
      }
    }
    this.#startOffset = this.#headNumber(PHYSICAL_OFFSET_AT);
  }

  #headNumber(fieldAt: number): number {
    const number = Math.floor(this.#head / UNITS_PER_CHUNK);
    if (this.#headChunk?.number !== number) {
      this.#headChunk = this.#tailChunk?.number === number ? this.#tailChunk : this.#load(number);
    }
    const at = (this.#head % UNITS_PER_CHUNK) * UNIT_SIZE_BYTES;
    return readU64(this.#headChunk.view, at + fieldAt);
  }

  #tail(): Chunk {
    const number = Math.floor(this.#next / UNITS_PER_CHUNK);
    if (this.#tailChunk?.number === number) return this.#tailChunk;
    // One buffer for both roles: what is appended must be seen when the head gets there.
    this.#tailChunk = this.#headChunk?.number === number ? this.#headChunk : this.#load(number);
    return this.#tailChunk;
  }

  #load(number: number): Chunk {
    const bytes = new Uint8Array(UNITS_PER_CHUNK * UNIT_SIZE_BYTES);
    const stored = this.#overlay.get(keyOf(number));
    if (stored !== null) bytes.set(stored);
    else assert(number * UNITS_PER_CHUNK === this.#next, 'a missing chunk is a new one');
    return { number, bytes, view: viewOf(bytes) };
  }
}

function keyOf(chunkNumber: number): string {
  return TABLE.windowChunk + u64Key(chunkNumber);
}
