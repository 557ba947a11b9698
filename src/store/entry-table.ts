/**
 * What the commit log remembers of every entry behind its base, in columns: where it is and the CRC of its
 * header, which identifies its content and all before it. 25 bytes per entry, so that finding and checking
 * an entry needs no second file (H6).
 *
 * Grows by chunks and is forgotten by chunks, so that nothing is ever copied. Of the base, the entry before
 * the first one, is known what a successor must agree with.
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc } from '../raft/entry.ts';
import { ORIGIN_TIP } from './log-base.ts';
import type { Tip } from './repair/region.ts';

/** 25 KiB per chunk: small for a test's short log, and a thousand chunks for a million entries. */
const CHUNK_ENTRY_COUNT = 1024;

interface Chunk {
  readonly offsets: Float64Array;
  readonly sizes: Uint32Array;
  readonly terms: Float64Array;
  readonly headerCrcs: Uint32Array;
  readonly fillers: Uint8Array;
}

export class EntryTable {
  // Row i is the entry with index i + 1, whatever was forgotten before it.
  #chunks: Chunk[] = [];
  #firstChunk = 0;
  #base: Tip;
  #lastIndex: LogIndex;

  constructor(base: Tip = ORIGIN_TIP) {
    this.#base = base;
    this.#lastIndex = base.index;
    this.#firstChunk = chunkNumberOf(base.index);
  }

  /** What the first entry goes on from; index 0 when it is the first of all. */
  get base(): Tip {
    return this.#base;
  }

  /** Of the first entry, there or to come. */
  get firstIndex(): LogIndex {
    return advance(this.#base.index, 1);
  }

  /** That of the base when there is none. */
  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  /** One past the last byte of the last entry; the end of the base when there is none. */
  get end(): PhysicalOffset {
    return this.endOf(this.lastIndex);
  }

  /** What is allocated: the memory of this object in units of CHUNK_ENTRY_COUNT. */
  get chunkCount(): number {
    return this.#chunks.length;
  }

  append(desc: EntryDesc, headerCrc: number): void {
    assert(desc.index === this.#lastIndex + 1, 'entries are appended without a gap', () => ({
      index: desc.index,
      lastIndex: this.#lastIndex,
    }));
    const row = this.#lastIndex;
    if (chunkNumberOf(row) === this.#firstChunk + this.#chunks.length) {
      this.#chunks.push(emptyChunk());
    }
    const [chunk, slot] = this.#placeOf(row);
    chunk.offsets[slot] = desc.physicalOffset;
    chunk.sizes[slot] = desc.sizeBytes;
    chunk.terms[slot] = desc.term;
    chunk.headerCrcs[slot] = headerCrc;
    chunk.fillers[slot] = desc.type === 'filler' ? 1 : 0;
    this.#lastIndex = desc.index;
  }

  truncateFrom(index: LogIndex): void {
    assert(this.has(index), 'only what is there can be cut', () => ({ index }));
    this.#lastIndex = advance(index, -1);
    const chunkCount = chunkNumberOf(this.#lastIndex) - this.#firstChunk + 1;
    if (chunkCount < this.#chunks.length) this.#chunks.length = chunkCount;
  }

  /** Forgets the entries up to `index`, which becomes the base; nothing if they are gone already. */
  compactTo(index: LogIndex): void {
    if (index <= this.#base.index) return;
    const base = this.tipAt(index);
    const chunkNumber = chunkNumberOf(index);
    this.#chunks.splice(0, chunkNumber - this.#firstChunk);
    this.#firstChunk = chunkNumber;
    this.#base = base;
  }

  /** Nothing of the log is left; another one begins behind `base`. */
  resetTo(base: Tip): void {
    this.#chunks = [];
    this.#firstChunk = chunkNumberOf(base.index);
    this.#base = base;
    this.#lastIndex = base.index;
  }

  has(index: LogIndex): boolean {
    return index > this.#base.index && index <= this.#lastIndex;
  }

  /** Whether the table knows what a successor of the entry must agree with. */
  knows(index: LogIndex): boolean {
    return index >= this.#base.index && index <= this.#lastIndex;
  }

  tipAt(index: LogIndex): Tip {
    if (index === this.#base.index) return this.#base;
    const headerCrc = this.headerCrcOf(index);
    return { index, end: this.endOf(index), term: this.termOf(index), headerCrc };
  }

  offsetOf(index: LogIndex): PhysicalOffset {
    const [chunk, slot] = this.#rowOf(index);
    return PhysicalOffset(chunk.offsets[slot]!); // row checked
  }

  /** Bytes in the log. */
  sizeOf(index: LogIndex): number {
    const [chunk, slot] = this.#rowOf(index);
    return chunk.sizes[slot]!; // row checked
  }

  /** Bytes that are written: of a filler the header only. */
  storedSizeOf(index: LogIndex): number {
    const [chunk, slot] = this.#rowOf(index);
    return chunk.fillers[slot] === 1 ? ENTRY_HEADER_SIZE_BYTES : chunk.sizes[slot]!; // row checked
  }

  /** Of the base as well, as all that follow. */
  endOf(index: LogIndex): PhysicalOffset {
    if (index === this.#base.index) return this.#base.end;
    return advance(this.offsetOf(index), this.sizeOf(index));
  }

  termOf(index: LogIndex): Term {
    if (index === this.#base.index) return this.#base.term;
    const [chunk, slot] = this.#rowOf(index);
    return Term(chunk.terms[slot]!); // row checked
  }

  headerCrcOf(index: LogIndex): number {
    if (index === this.#base.index) return this.#base.headerCrc;
    const [chunk, slot] = this.#rowOf(index);
    return chunk.headerCrcs[slot]!; // row checked
  }

  /** The last entry that starts at or before `offset`; null when none does. */
  indexAt(offset: PhysicalOffset): LogIndex | null {
    const number = this.#chunkAt(offset);
    const { offsets } = this.#chunks[number - this.#firstChunk] ?? NO_CHUNK;
    const firstRow = number * CHUNK_ENTRY_COUNT;
    // Rows below start at or before the offset, or are gone.
    let low = Math.max(firstRow, this.#base.index) - firstRow;
    let high = Math.min(firstRow + CHUNK_ENTRY_COUNT, this.#lastIndex) - firstRow;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    const index = firstRow + low;
    return index <= this.#base.index ? null : LogIndex(index);
  }

  /** The last chunk whose first row starts at or before the offset; the first one when none does. */
  #chunkAt(offset: PhysicalOffset): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const number = this.#firstChunk + middle;
      const isUsed = number * CHUNK_ENTRY_COUNT < this.#lastIndex;
      if (isUsed && this.#chunks[middle]!.offsets[0]! <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#firstChunk + low;
  }

  #rowOf(index: LogIndex): readonly [Chunk, number] {
    assert(this.has(index), 'the entry is in the log', () => ({
      index,
      firstIndex: this.firstIndex,
      lastIndex: this.#lastIndex,
    }));
    return this.#placeOf(index - 1);
  }

  #placeOf(row: number): readonly [Chunk, number] {
    const chunk = this.#chunks[chunkNumberOf(row) - this.#firstChunk];
    assert(chunk !== undefined, 'the row has a chunk', () => ({ row }));
    return [chunk, row % CHUNK_ENTRY_COUNT];
  }
}

function chunkNumberOf(row: number): number {
  return Math.floor(row / CHUNK_ENTRY_COUNT);
}

function emptyChunk(entryCount = CHUNK_ENTRY_COUNT): Chunk {
  return {
    offsets: new Float64Array(entryCount),
    sizes: new Uint32Array(entryCount),
    terms: new Float64Array(entryCount),
    headerCrcs: new Uint32Array(entryCount),
    fillers: new Uint8Array(entryCount),
  };
}

/** Of a table without entries. */
const NO_CHUNK = emptyChunk(0);
