/**
 * Numbers of log entries in typed arrays, 21 bytes per entry: a log of ten million entries must not
 * be ten million objects. Grows by chunks, so that nothing is ever copied.
 *
 * Not here: terms (term-runs.ts) and what an index means (log-view.ts).
 */
import { assert } from '../base/assert.ts';
import type { PhysicalOffset } from '../base/units.ts';
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
  readonly #chunks: Chunk[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(entry: EntryColumn): void {
    const slot = this.#count % CHUNK_ENTRY_COUNT;
    if (slot === 0) this.#chunks.push(emptyChunk());
    const chunk = this.#chunkOf(this.#count);
    chunk.physicalOffset[slot] = entry.physicalOffset;
    chunk.sizeBytes[slot] = entry.sizeBytes;
    chunk.payloadSizeBytes[slot] = entry.payloadSizeBytes;
    chunk.payloadCrc[slot] = entry.payloadCrc;
    chunk.type[slot] = ENTRY_TYPES.indexOf(entry.type);
    assert(chunk.sizeBytes[slot] === entry.sizeBytes, 'an entry size is a u32', () => entry);
    assert(chunk.payloadCrc[slot] === entry.payloadCrc, 'a payload CRC is a u32', () => entry);
    this.#count += 1;
  }

  shrinkTo(count: number): void {
    assert(count <= this.#count, 'a cut does not grow the log', () => ({ count }));
    this.#count = count;
    this.#chunks.length = Math.ceil(count / CHUNK_ENTRY_COUNT);
  }

  /** Requires `row < count`, as do the others. */
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
  endOffsetAt(row: number): number {
    const slot = row % CHUNK_ENTRY_COUNT;
    const chunk = this.#chunkOf(row);
    return chunk.physicalOffset[slot]! + chunk.sizeBytes[slot]!;
  }

  #chunkOf(row: number): Chunk {
    const chunk = this.#chunks[Math.floor(row / CHUNK_ENTRY_COUNT)];
    assert(chunk !== undefined, 'a row is inside the columns', () => ({ row, count: this.#count }));
    return chunk;
  }
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
