/**
 * The log as this replica holds it in memory: every entry it has appended, durable or not, above the
 * base. The base is the last entry of what a snapshot stands for: of it we know the term and where it
 * ends, of those before it nothing but that they were committed.
 *
 * Invariants (N4, H16):
 * - Indices are contiguous from `baseIndex + 1`, terms do not decrease, from the base on.
 * - Each entry starts where its predecessor ends, after the segment header at the start of a
 *   segment, and lies in one segment. The first one starts where the base ends.
 * - An entry that is gone and an entry that never was are never the same answer.
 *
 * Not here: what is durable (durability.ts), committed (core-state.ts) or justified to cut (rules.ts).
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, type PhysicalOffset, type Term } from '../base/units.ts';
import type { TermLookup } from './core-types.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  type EntryId,
  type Placement,
  placeEntry,
  type SnapshotDesc,
  skipSegmentHeader,
} from './entry.ts';
import { EntryColumns } from './entry-columns.ts';
import { TermRuns } from './term-runs.ts';

export class LogView {
  readonly #segmentSizeBytes: number;
  #columns: EntryColumns;
  #terms: TermRuns;
  #baseIndex: LogIndex;
  #baseEndOffset: PhysicalOffset;

  constructor(segmentSizeBytes: number, base: SnapshotDesc, entries: readonly EntryDesc[]) {
    this.#segmentSizeBytes = segmentSizeBytes;
    this.#baseIndex = base.last.index;
    this.#baseEndOffset = base.endOffset;
    this.#columns = new EntryColumns(rowOf(this.firstIndex));
    this.#terms = new TermRuns(base.last);
    for (const entry of entries) this.append(entry);
  }

  /** Where the log stands on: the entries up to here are gone. 0: nothing was ever removed. */
  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  /** Of the first entry, there or to come. */
  get firstIndex(): LogIndex {
    return advance(this.#baseIndex, 1);
  }

  /** The base for an empty log. */
  get lastIndex(): LogIndex {
    return this.#columns.endRow as LogIndex; // the row of the entry to come is one below its index
  }

  /** The term of the base for an empty log. */
  get lastTerm(): Term {
    return this.#terms.lastTerm;
  }

  get last(): EntryId {
    return { term: this.lastTerm, index: this.lastIndex };
  }

  /** One past the last byte of the last entry; of the base for an empty log. */
  get endOffset(): PhysicalOffset {
    return this.endOffsetOf(this.lastIndex);
  }

  /** Where the next header starts. */
  get nextOffset(): PhysicalOffset {
    return skipSegmentHeader(this.endOffset, this.#segmentSizeBytes);
  }

  /** Where a payload of this size would go now. */
  place(payloadSizeBytes: number): Placement {
    return placeEntry(this.endOffset, payloadSizeBytes, this.#segmentSizeBytes);
  }

  append(entry: EntryDesc): void {
    const { index, physicalOffset, sizeBytes } = entry;
    assert(index === this.lastIndex + 1, 'entries are contiguous', () => entry);
    assert(
      physicalOffset === this.nextOffset,
      'an entry starts at the end of the log',
      () => entry,
    );
    assert(sizeBytes >= ENTRY_HEADER_SIZE_BYTES, 'an entry has a header', () => entry);
    const room = this.#segmentSizeBytes - (physicalOffset % this.#segmentSizeBytes);
    assert(sizeBytes <= room, 'an entry lies in one segment', () => entry);

    this.#terms.append(index, entry.term);
    this.#columns.push(entry);
  }

  /** Drops `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    const isInside = index > this.#baseIndex && index <= this.lastIndex;
    assert(isInside, 'a cut is inside the log', () => ({ index, baseIndex: this.#baseIndex }));
    this.#terms.truncateFrom(index);
    this.#columns.shrinkTo(rowOf(index));
  }

  /** Forgets the entries up to `through`, which becomes the base; nothing if they are gone already. */
  compactTo(through: LogIndex): void {
    if (through <= this.#baseIndex) return;
    const endOffset = this.endOffsetOf(through);
    this.#columns.forgetBefore(rowOf(advance(through, 1)));
    this.#terms.forgetBefore(through);
    this.#baseIndex = through;
    this.#baseEndOffset = endOffset;
  }

  /** Replaces the whole log, what lies above the new base as well. */
  resetTo(base: SnapshotDesc): void {
    this.#baseIndex = base.last.index;
    this.#baseEndOffset = base.endOffset;
    this.#columns = new EntryColumns(rowOf(this.firstIndex));
    this.#terms = new TermRuns(base.last);
  }

  termAt(index: LogIndex): TermLookup {
    if (index < this.#baseIndex) return 'compacted';
    return index <= this.lastIndex ? this.#terms.termOf(index) : 'absent';
  }

  /** Requires an index of the log, or the base. */
  idAt(index: LogIndex): EntryId {
    this.#assertKnown(index);
    return { term: this.#terms.termOf(index), index };
  }

  entryAt(index: LogIndex): EntryDesc | null {
    if (index <= this.#baseIndex || index > this.lastIndex) return null;
    return { index, term: this.#terms.termOf(index), ...this.#columns.at(rowOf(index)) };
  }

  /** One past the last byte of the entry. Requires an index of the log, or the base. */
  endOffsetOf(index: LogIndex): PhysicalOffset {
    this.#assertKnown(index);
    if (index === this.#baseIndex) return this.#baseEndOffset;
    return this.#columns.endOffsetAt(rowOf(index));
  }

  /** What the entry counts in a window of entries without an outcome: a filler is never proposed. */
  proposedSizeBytesOf(index: LogIndex): number {
    const row = rowOf(index);
    return this.#columns.isFillerAt(row) ? 0 : this.#columns.sizeBytesAt(row);
  }

  /** Entries from `from` on: at least one if there is one, else as many as the limit allows. */
  entriesFrom(from: LogIndex, sizeBytesMax: number): readonly EntryDesc[] {
    assert(from > this.#baseIndex, 'what is gone cannot be sent', () => ({ from }));
    const entries: EntryDesc[] = [];
    let sizeBytes = 0;
    for (let index = from; index <= this.lastIndex; index = advance(index, 1)) {
      const entry = this.entryAt(index)!; // at or below lastIndex
      sizeBytes += carriedSizeBytes(entry);
      if (entries.length > 0 && sizeBytes > sizeBytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  /**
   * Where two logs may agree at most, given that the other has `term` at `index` (Raft 5.3). Never
   * below the base: we do not know what lies there. For a follower that is exact, since its base is
   * committed and so in every leader's log. For a leader the base means "there, or further down": if
   * the peer then has no entry equal to the base, only a snapshot helps.
   */
  hintFor(other: EntryId): EntryId {
    const bound = LogIndex(Math.min(other.index, this.lastIndex));
    return this.idAt(this.#terms.lastIndexAtMost(other.term, bound));
  }

  #assertKnown(index: LogIndex): void {
    assert(index >= this.#baseIndex && index <= this.lastIndex, 'the index is in the log', () => ({
      index,
      baseIndex: this.#baseIndex,
      lastIndex: this.lastIndex,
    }));
  }
}

/** Rows are numbered from 0, entries from 1. */
function rowOf(index: LogIndex): number {
  return index - 1;
}

/** What an entry costs on the wire: a filler travels as its header, the rest being zeros. */
export function carriedSizeBytes(entry: EntryDesc): number {
  return entry.type === 'filler' ? ENTRY_HEADER_SIZE_BYTES : entry.sizeBytes;
}
