/**
 * Runs of good entries behind damage. Bounded in memory, whatever the disk looks like: of more runs than
 * are kept, the later ones are forgotten but for the last, and the holes between them become one.
 */
import { advance, type LogIndex, type PhysicalOffset, type Term } from '../../base/units.ts';
import { chainCrcOf, type EntryHeader } from '../../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc, skipSegmentHeader } from '../../raft/entry.ts';
import { MARK_STEP_SIZE_BYTES, REGION_COUNT_MAX } from '../limits.ts';

/** The last entry of something, as far as its successor must agree with it. Index 0: of nothing. */
export interface Tip {
  readonly index: LogIndex;
  /** One past its last byte. */
  readonly end: PhysicalOffset;
  readonly term: Term;
  readonly headerCrc: number;
}

/** Where an entry starts, so that those after it are found without reading all before. */
export interface Mark {
  readonly index: LogIndex;
  readonly physicalOffset: PhysicalOffset;
}

/** Entries that are good in themselves, in their place, and follow from each other. */
export interface Region {
  readonly firstIndex: LogIndex;
  readonly from: PhysicalOffset;
  readonly firstTerm: Term;
  /** A copy: what precedes the region must chain to it. */
  readonly firstHeader: Uint8Array;
  readonly tip: Tip;
  /** Ascending; the first is that of the first entry. */
  readonly marks: readonly Mark[];
}

interface GrowingRegion extends Region {
  tip: Tip;
  readonly marks: Mark[];
}

export class RegionList {
  readonly #regions: GrowingRegion[] = [];
  readonly #segmentSizeBytes: number;

  constructor(segmentSizeBytes: number) {
    this.#segmentSizeBytes = segmentSizeBytes;
  }

  get regions(): readonly Region[] {
    return this.#regions;
  }

  /** In the order of the log. `bytes` start with the header. */
  add(header: EntryHeader, bytes: Uint8Array): void {
    const last = this.#regions.at(-1);
    if (last !== undefined && follows(last.tip, header, bytes, this.#segmentSizeBytes)) {
      last.tip = tipOf(header.desc, header.headerCrc);
      const mark = last.marks.at(-1)?.physicalOffset ?? last.from;
      const { index, physicalOffset } = header.desc;
      if (physicalOffset - mark >= MARK_STEP_SIZE_BYTES) last.marks.push({ index, physicalOffset });
      return;
    }
    if (this.#regions.length === REGION_COUNT_MAX) this.#regions.pop();
    this.#regions.push(regionOf(header, bytes));
  }
}

/** A region of one entry. */
export function regionOf({ desc, headerCrc }: EntryHeader, bytes: Uint8Array): GrowingRegion {
  const { index, physicalOffset, term } = desc;
  return {
    firstIndex: index,
    from: physicalOffset,
    firstTerm: term,
    firstHeader: bytes.slice(0, ENTRY_HEADER_SIZE_BYTES),
    tip: tipOf(desc, headerCrc),
    marks: [{ index, physicalOffset }],
  };
}

export function tipOf(desc: EntryDesc, headerCrc: number): Tip {
  const { index, term, physicalOffset, sizeBytes } = desc;
  return { index, term, end: advance(physicalOffset, sizeBytes), headerCrc };
}

/** Whether the entry is the one that comes next after the tip: index, place, term, chain. */
export function follows(
  tip: Tip,
  { desc, chainCrc }: EntryHeader,
  bytes: Uint8Array,
  segmentSizeBytes: number,
): boolean {
  return (
    desc.index === tip.index + 1 &&
    desc.physicalOffset === skipSegmentHeader(tip.end, segmentSizeBytes) &&
    desc.term >= tip.term &&
    chainCrc === chainCrcOf(bytes, tip.headerCrc)
  );
}
