/**
 * Numbers of log entries in typed arrays, 21 bytes per entry: a log of ten million entries must not
 * be ten million objects. Grows by chunks and is forgotten by chunks, so that nothing is ever copied.
 *
 * A row keeps its number for ever, also when rows before it are forgotten.
 *
 * Not here: terms (term-runs.ts) and what an index means (log-view.ts).
 */
import { assert } from '../base/assert.ts';
import { PhysicalOffset } from '../base/units.ts';
import type { EntryDesc, EntryType } from './entry.ts';

/** 21 KiB per chunk: small for a test's short log, and a thousand chunks for a million entries. */
const CHUNK_ENTRY_COUNT = 1024;

/** Position in this list is the number kept in memory; it is written nowhere. */
const ENTRY_TYPES: readonly EntryType[] = ['data', 'noop', 'config', 'filler'];

interface Chunk {
  readonly physicalOffset: Float64Array;
  readonly sizeBytes: Uint32Array;
  readonly payloadSizeBytes: Uint32Array;
  readonly payloadCrc: Uint32Array;
  readonly type: Uint8Array;
}

export type EntryColumn = Pick<
  EntryDesc,
  'type' | 'physicalOffset' | 'sizeBytes' | 'payloadSizeBytes' | 'payloadCrc'
>;

export class EntryColumns {
  /** Chunk `i` holds the rows from `(#firstChunkNumber + i) * CHUNK_ENTRY_COUNT` on. */
  readonly #chunks: Chunk[] = [];
  #firstChunkNumber: number;
  #firstRow: number;
  #endRow: number;

  constructor(firstRow: number) {
    this.#firstChunkNumber = chunkNumberOf(firstRow);
    this.#firstRow = firstRow;
    this.#endRow = firstRow;
  }

  /** One past the last row; the first row when there are none. */
  get endRow(): number {
    return this.#endRow;
  }

  /** What is allocated: the memory of this object in units of CHUNK_ENTRY_COUNT. */
  get chunkCount(): number {
    return this.#chunks.length;
  }

  push(entry: EntryColumn): void {
    const row = this.#endRow;
    const slot = row % CHUNK_ENTRY_COUNT;
    if (chunkNumberOf(row) === this.#firstChunkNumber + this.#chunks.length) {
      this.#chunks.push(emptyChunk());
    }
    this.#endRow += 1;
    const chunk = this.#chunkOf(row);
    chunk.physicalOffset[slot] = entry.physicalOffset;
    chunk.sizeBytes[slot] = entry.sizeBytes;
    chunk.payloadSizeBytes[slot] = entry.payloadSizeBytes;
    chunk.payloadCrc[slot] = entry.payloadCrc;
    chunk.type[slot] = ENTRY_TYPES.indexOf(entry.type);
    assert(chunk.sizeBytes[slot] === entry.sizeBytes, 'an entry size is a u32', () => entry);
    assert(chunk.payloadCrc[slot] === entry.payloadCrc, 'a payload CRC is a u32', () => entry);
  }

  /** Drops the rows from `endRow` on. */
  shrinkTo(endRow: number): void {
    assert(endRow >= this.#firstRow, 'a cut keeps what is forgotten', () => ({ endRow }));
    assert(endRow <= this.#endRow, 'a cut does not grow the log', () => ({ endRow }));
    this.#endRow = endRow;
    this.#chunks.length = Math.ceil(endRow / CHUNK_ENTRY_COUNT) - this.#firstChunkNumber;
  }

  /** Releases whole chunks before `firstRow`: at most one chunk of forgotten rows stays. */
  forgetBefore(firstRow: number): void {
    assert(firstRow >= this.#firstRow, 'what is forgotten stays so', () => ({ firstRow }));
    assert(firstRow <= this.#endRow, 'only rows are forgotten', () => ({ firstRow }));
    const chunkNumber = chunkNumberOf(firstRow);
    this.#chunks.splice(0, chunkNumber - this.#firstChunkNumber);
    this.#firstChunkNumber = chunkNumber;
    this.#firstRow = firstRow;
  }

  /** Requires a row between the first and the end, as do the others. */
  at(row: number): EntryColumn {
    const chunk = this.#chunkOf(row);
    const slot = row % CHUNK_ENTRY_COUNT; // below the length of every array
    return {
      type: ENTRY_TYPES[chunk.type[slot]!]!, // pushed from this list
      physicalOffset: chunk.physicalOffset[slot]! as PhysicalOffset, // pushed as one
      sizeBytes: chunk.sizeBytes[slot]!,
      payloadSizeBytes: chunk.payloadSizeBytes[slot]!,
      payloadCrc: chunk.payloadCrc[slot]!,
    };
  }

  sizeBytesAt(row: number): number {
    return this.#chunkOf(row).sizeBytes[row % CHUNK_ENTRY_COUNT]!;
  }

  isFillerAt(row: number): boolean {
    return ENTRY_TYPES[this.#chunkOf(row).type[row % CHUNK_ENTRY_COUNT]!] === 'filler';
  }

  /** One past the last byte of the entry. */
  endOffsetAt(row: number): PhysicalOffset {
    const slot = row % CHUNK_ENTRY_COUNT;
    const chunk = this.#chunkOf(row);
    return PhysicalOffset(chunk.physicalOffset[slot]! + chunk.sizeBytes[slot]!);
  }

  #chunkOf(row: number): Chunk {
    const chunk = this.#chunks[chunkNumberOf(row) - this.#firstChunkNumber];
    const isInside = row >= this.#firstRow && row < this.#endRow;
    assert(isInside && chunk !== undefined, 'a row is inside the columns', () => ({
      row,
      firstRow: this.#firstRow,
      endRow: this.#endRow,
    }));
    return chunk;
  }
}

function chunkNumberOf(row: number): number {
  return Math.floor(row / CHUNK_ENTRY_COUNT);
}

function emptyChunk(): Chunk {
  return {
    physicalOffset: new Float64Array(CHUNK_ENTRY_COUNT),
    sizeBytes: new Uint32Array(CHUNK_ENTRY_COUNT),
    payloadSizeBytes: new Uint32Array(CHUNK_ENTRY_COUNT),
    payloadCrc: new Uint32Array(CHUNK_ENTRY_COUNT),
    type: new Uint8Array(CHUNK_ENTRY_COUNT),
  };
}
