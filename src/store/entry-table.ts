/**
 * What the commit log remembers of every entry, in columns: where it is and the CRC of its header, which
 * identifies its content and all before it. 25 bytes per entry, so that finding and checking an entry
 * needs no second file (H6).
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { CHAIN_SEED } from '../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc } from '../raft/entry.ts';

const CAPACITY_AT_START = 1024;

export class EntryTable {
  // Row i is the entry with index i + 1.
  #offsets = new Float64Array(CAPACITY_AT_START);
  #sizes = new Uint32Array(CAPACITY_AT_START);
  #terms = new Float64Array(CAPACITY_AT_START);
  #headerCrcs = new Uint32Array(CAPACITY_AT_START);
  #fillers = new Uint8Array(CAPACITY_AT_START);
  #count = 0;

  /** Of the first entry that is here, or will be. */
  get firstIndex(): LogIndex {
    return LogIndex(1);
  }

  /** 0 when there is none. */
  get lastIndex(): LogIndex {
    return LogIndex(this.#count);
  }

  /** One past the last byte of the last entry; 0 when there is none. */
  get end(): PhysicalOffset {
    return this.endOf(this.lastIndex);
  }

  append(desc: EntryDesc, headerCrc: number): void {
    assert(desc.index === this.#count + 1, 'entries are appended without a gap', () => ({
      index: desc.index,
      lastIndex: this.#count,
    }));
    if (this.#count === this.#offsets.length) this.#grow();
    const row = this.#count;
    this.#offsets[row] = desc.physicalOffset;
    this.#sizes[row] = desc.sizeBytes;
    this.#terms[row] = desc.term;
    this.#headerCrcs[row] = headerCrc;
    this.#fillers[row] = desc.type === 'filler' ? 1 : 0;
    this.#count += 1;
  }

  truncateFrom(index: LogIndex): void {
    assert(index >= 1, 'entries start at 1');
    assert(index <= this.#count, 'only what is there can be cut');
    this.#count = index - 1;
  }

  has(index: LogIndex): boolean {
    return index >= 1 && index <= this.#count;
  }

  offsetOf(index: LogIndex): PhysicalOffset {
    return PhysicalOffset(this.#offsets[this.#rowOf(index)]!); // row checked
  }

  /** Bytes in the log. */
  sizeOf(index: LogIndex): number {
    return this.#sizes[this.#rowOf(index)]!; // row checked
  }

  /** Bytes that are written: of a filler the header only. */
  storedSizeOf(index: LogIndex): number {
    const row = this.#rowOf(index);
    return this.#fillers[row] === 1 ? ENTRY_HEADER_SIZE_BYTES : this.#sizes[row]!; // row checked
  }

  /** Index 0 stands for "before the first entry". */
  endOf(index: LogIndex): PhysicalOffset {
    if (index === 0) return PhysicalOffset(0);
    return advance(this.offsetOf(index), this.sizeOf(index));
  }

  /** 0 for index 0. */
  termOf(index: LogIndex): Term {
    return index === 0 ? Term(0) : Term(this.#terms[this.#rowOf(index)]!); // row checked
  }

  /** The chain seed for index 0. */
  headerCrcOf(index: LogIndex): number {
    return index === 0 ? CHAIN_SEED : this.#headerCrcs[this.#rowOf(index)]!; // row checked
  }

  /** The last entry that starts at or before `offset`; null when none does. */
  indexAt(offset: PhysicalOffset): LogIndex | null {
    let low = 0; // rows below start at or before the offset
    let high = this.#count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : LogIndex(low);
  }

  #rowOf(index: LogIndex): number {
    assert(this.has(index), 'the entry is in the log', () => ({ index, lastIndex: this.#count }));
    return index - 1;
  }

  #grow(): void {
    const capacity = this.#offsets.length * 2;
    this.#offsets = copied(this.#offsets, new Float64Array(capacity));
    this.#sizes = copied(this.#sizes, new Uint32Array(capacity));
    this.#terms = copied(this.#terms, new Float64Array(capacity));
    this.#headerCrcs = copied(this.#headerCrcs, new Uint32Array(capacity));
    this.#fillers = copied(this.#fillers, new Uint8Array(capacity));
  }
}

function copied<Column extends Float64Array | Uint32Array | Uint8Array>(
  from: Column,
  to: Column,
): Column {
  to.set(from);
  return to;
}
