/**
 * The log as this replica holds it in memory: every entry it has appended, durable or not.
 *
 * Invariants (N4):
 * - Indices are contiguous from 1, terms do not decrease.
 * - Each entry starts where its predecessor ends, after the segment header at the start of a
 *   segment, and lies in one segment.
 *
 * Not here: what is durable (durability.ts), committed (core-state.ts) or justified to cut (rules.ts).
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, PhysicalOffset, type Term } from '../base/units.ts';
import type { TermLookup } from './core-types.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  type EntryId,
  type Placement,
  placeEntry,
  skipSegmentHeader,
} from './entry.ts';
import { EntryColumns } from './entry-columns.ts';
import { TermRuns } from './term-runs.ts';

export class LogView {
  readonly #segmentSizeBytes: number;
  readonly #columns = new EntryColumns();
  readonly #terms = new TermRuns();

  constructor(segmentSizeBytes: number, entries: readonly EntryDesc[]) {
    this.#segmentSizeBytes = segmentSizeBytes;
    for (const entry of entries) this.append(entry);
  }

  get lastIndex(): LogIndex {
    return this.#columns.count as LogIndex; // a count of entries from 1 on
  }

  get lastTerm(): Term {
    return this.#terms.lastTerm;
  }

  get last(): EntryId {
    return { term: this.lastTerm, index: this.lastIndex };
  }

  /** One past the last byte of the last entry; 0 for an empty log. */
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
    assert(index >= 1 && index <= this.lastIndex, 'a cut is inside the log', () => ({ index }));
    this.#terms.truncateFrom(index);
    this.#columns.shrinkTo(index - 1);
  }

  termAt(index: LogIndex): TermLookup {
    return index <= this.lastIndex ? this.#terms.termOf(index) : 'absent';
  }

  /** Requires an index of the log, or 0 for the place before it. */
  idAt(index: LogIndex): EntryId {
    assert(index <= this.lastIndex, 'the index is in the log', () => ({ index }));
    return { term: this.#terms.termOf(index), index };
  }

  entryAt(index: LogIndex): EntryDesc | null {
    if (index < 1 || index > this.lastIndex) return null;
    return { index, term: this.#terms.termOf(index), ...this.#columns.at(index - 1) };
  }

  /** One past the last byte of the entry; 0 for the place before the log. */
  endOffsetOf(index: LogIndex): PhysicalOffset {
    return index === 0 ? PhysicalOffset(0) : PhysicalOffset(this.#columns.endOffsetAt(index - 1));
  }

  /** What the entry counts in a window of entries without an outcome: a filler is never proposed. */
  proposedSizeBytesOf(index: LogIndex): number {
    return this.#columns.isFillerAt(index - 1) ? 0 : this.#columns.sizeBytesAt(index - 1);
  }

  /** Entries from `from` on: at least one if there is one, else as many as the limit allows. */
  entriesFrom(from: LogIndex, sizeBytesMax: number): readonly EntryDesc[] {
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

  /** Where two logs may agree at most, given that the other has `term` at `index` (Raft 5.3). */
  hintFor(other: EntryId): EntryId {
    const bound = LogIndex(Math.min(other.index, this.lastIndex));
    return this.idAt(this.#terms.lastIndexAtMost(other.term, bound));
  }
}

/** What an entry costs on the wire: a filler travels as its header, the rest being zeros. */
export function carriedSizeBytes(entry: EntryDesc): number {
  return entry.type === 'filler' ? ENTRY_HEADER_SIZE_BYTES : entry.sizeBytes;
}
