/** Which bytes a cut must make zero: what was written, not the zeros of a filler, per segment. */
import type { LogIndex, PhysicalOffset } from '../base/units.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { EntryTable } from './entry-table.ts';
import { segmentStartOf } from './log-paths.ts';

export interface CutRange {
  readonly segment: PhysicalOffset;
  /** In the segment. */
  readonly position: number;
  readonly zeroSizeBytes: number;
}

/** From the last segment to the first, so that what a crash leaves is rather a prefix. */
export function rangesOfCut(
  table: EntryTable,
  from: LogIndex,
  segmentSizeBytes: number,
): readonly CutRange[] {
  const ends = new Map<PhysicalOffset, { position: number; end: number }>();
  for (let index = from; index <= table.lastIndex; index++) {
    const offset = table.offsetOf(index);
    const segment = segmentStartOf(offset, segmentSizeBytes);
    const position = offset - segment;
    const end = position + table.storedSizeOf(index);
    const known = ends.get(segment);
    // The first entry of its segment takes the header along: without it the segment is unused.
    const first = position === SEGMENT_HEADER_SIZE_BYTES ? 0 : position;
    ends.set(segment, { position: known?.position ?? first, end });
  }
  return [...ends.entries()]
    .map(([segment, { position, end }]) => ({ segment, position, zeroSizeBytes: end - position }))
    .sort((a, b) => b.segment - a.segment);
}
