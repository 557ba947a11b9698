/**
 * The holes of a log: what is missing between its good entries, and what proves it (adr/0006).
 *
 * What must stand in a hole is known from its right side. A chain CRC determines the header CRC of the
 * entry before, so the first good entry behind a hole names the last missing one, that names the one
 * before it, and so on down to the left side. The durable note names an entry in the same way. Only
 * behind the last of these nothing is named: what was committed there by the word of a peer is right,
 * because two different entries are never committed in one place (Raft 5.4.3).
 */
import { advance, LogIndex } from '../../base/units.ts';
import { chainCrcOf, decodeEntryHeader } from '../../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, skipSegmentHeader } from '../../raft/entry.ts';
import type { DurableNote } from '../durable-ring.ts';
import type { Region, Tip } from './region.ts';

/** What names the last missing entry: its successor, or the note about itself. */
export type RightSide =
  | { readonly kind: 'region'; readonly region: Region }
  | { readonly kind: 'note'; readonly note: DurableNote };

export interface Hole {
  /** What precedes it. */
  readonly left: Tip;
  /**
   * Of the last missing entry. It can be that of the left side or below: then the two sides do not
   * follow from each other, and the left one may be stale.
   */
  readonly lastIndex: LogIndex;
  /** null: nothing names what is missing. Such a hole is the last one. */
  readonly right: RightSide | null;
}

export interface HoleEvidence {
  /** What the log stands on: committed, so whatever does not go on from it is no part of the log. */
  readonly base: Tip;
  /** The good entries from the beginning on. */
  readonly prefix: Tip;
  /** The entry before the noted one, when the prefix reaches it. */
  readonly beforeNote: Tip | null;
  /** Whether the prefix holds the noted entry; null: it does not reach so far. */
  readonly noteFits: boolean | null;
  readonly regions: readonly Region[];
  readonly note: DurableNote | null;
  /** Everything up to here must be there. */
  readonly watermark: LogIndex;
  readonly segmentSizeBytes: number;
}

/** In the order of the log. */
export function findHoles(evidence: HoleEvidence): readonly Hole[] {
  const { regions, note, watermark, segmentSizeBytes } = evidence;
  const holes: Hole[] = [];
  let left = evidence.prefix;
  let pending = note;
  if (note !== null && evidence.noteFits === false && evidence.beforeNote !== null) {
    const right = { kind: 'note', note } as const;
    holes.push({ left: evidence.beforeNote, lastIndex: note.index, right });
    left = note;
    pending = null;
  }
  const passNote = (): void => {
    if (pending === null || pending.index <= left.index) return;
    holes.push({ left, lastIndex: pending.index, right: { kind: 'note', note: pending } });
    left = pending;
    pending = null;
  };
  for (const region of regions) {
    if (pending !== null && pending.end <= region.from && pending.index < region.firstIndex) {
      passNote();
    }
    if (!isPlausible(region, left, segmentSizeBytes)) continue;
    const isFirst = region.firstIndex === evidence.base.index + 1;
    if (isFirst && !names(region, evidence.base, segmentSizeBytes)) continue;
    const lastIndex = LogIndex(region.firstIndex - 1);
    if (!names(region, left, segmentSizeBytes)) {
      holes.push({ left, lastIndex, right: { kind: 'region', region } });
    }
    left = region.tip;
  }
  passNote();
  if (watermark > left.index) holes.push({ left, lastIndex: watermark, right: null });
  return holes;
}

/** Whether this is the entry that the right side says must be the last of the hole. */
export function fitsRight(right: RightSide, entry: Tip, segmentSizeBytes: number): boolean {
  switch (right.kind) {
    case 'region':
      return names(right.region, entry, segmentSizeBytes);
    case 'note': {
      const { index, end, term, headerCrc } = right.note;
      return (
        entry.index === index &&
        entry.end === end &&
        entry.term === term &&
        entry.headerCrc === headerCrc
      );
    }
  }
}

/** `entries 4 to 9, entry 12`. */
export function textOfHoles(holes: readonly Hole[]): string {
  return holes.map(textOfHole).join(', ');
}

/** At least this many: of a hole whose sides contradict each other one is known to be missing. */
export function countOfMissing(holes: readonly Hole[]): number {
  let count = 0;
  for (const { left, lastIndex } of holes) count += Math.max(1, lastIndex - left.index);
  return count;
}

/** null: of one of them nobody says where it ends. */
export function sizeOfMissing(holes: readonly Hole[]): number | null {
  let sizeBytes = 0;
  for (const { left, right } of holes) {
    if (right === null) return null;
    const end = right.kind === 'region' ? right.region.from : right.note.end;
    sizeBytes += Math.max(0, end - left.end);
  }
  return sizeBytes;
}

/** `entry 4`, `entries 4 to 9`. */
export function textOfHole({ left, lastIndex }: Hole): string {
  const first = left.index + 1;
  return first < lastIndex ? `entries ${first} to ${lastIndex}` : `entry ${lastIndex}`;
}

/** Whether the region goes on exactly behind this entry: its chain CRC names it. */
export function names(region: Region, entry: Tip, segmentSizeBytes: number): boolean {
  const { firstHeader } = region;
  const decoded = decodeEntryHeader(firstHeader);
  return (
    decoded.kind === 'header' &&
    region.firstIndex === entry.index + 1 &&
    region.from === skipSegmentHeader(entry.end, segmentSizeBytes) &&
    region.firstTerm >= entry.term &&
    decoded.header.chainCrc === chainCrcOf(firstHeader, entry.headerCrc)
  );
}

/**
 * Old entries can lie where a newer one should, and a damaged message may contain anything: what cannot
 * lie between its neighbours is no part of the log.
 */
function isPlausible(region: Region, left: Tip, segmentSizeBytes: number): boolean {
  const missing = region.firstIndex - left.index - 1;
  const room = region.from - skipSegmentHeader(left.end, segmentSizeBytes);
  return (
    missing >= 0 &&
    room >= missing * ENTRY_HEADER_SIZE_BYTES &&
    region.firstTerm >= left.term &&
    region.firstIndex >= advance(left.index, 1)
  );
}
