/** A segment's header against what precedes the segment. */
import type { LogIndex, Term } from '../../base/units.ts';
import { advance } from '../../base/units.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { encodeSegmentHeader, type SegmentHeader } from '../segment.ts';
import { hex32 } from './damage.ts';
import type { LogNames, SegmentFile } from './store-view.ts';

/** The entry before a place, as far as it is known. */
export interface Predecessor {
  /** When the CRC is not known: the lowest that it can be. */
  readonly index: LogIndex;
  readonly term: Term;
  /** null: that entry is lost or damaged. */
  readonly headerCrc: number | null;
}

/** @returns what the header says otherwise, as a pair of sentences; null when nothing. */
export function headerContradiction(
  header: SegmentHeader,
  file: SegmentFile,
  names: LogNames,
  before: Predecessor,
): { readonly expected: string; readonly found: string } | null {
  const { clusterId, groupId, segmentSizeBytes } = names;
  const own = [
    ['cluster', header.clusterId, clusterId],
    ['group', header.groupId, groupId],
    ['segment size', header.segmentSizeBytes, segmentSizeBytes],
    ['start offset', header.startOffset, file.startOffset],
  ] as const;
  const chain = [
    ['first entry', header.startIndex, advance(before.index, 1)],
    ['term before', header.prevTerm, before.term],
    ['CRC before', hex32(header.prevHeaderCrc), hex32(before.headerCrc ?? 0)],
  ] as const;
  const facts = before.headerCrc === null ? own : [...own, ...chain];
  const wrong = facts.filter(([, found, expected]) => found !== expected);
  if (wrong.length === 0) return null;
  return {
    expected: wrong.map(([name, , expected]) => `${name} ${expected}`).join(', '),
    found: wrong.map(([name, found]) => `${name} ${found}`).join(', '),
  };
}

/** Where the damaged one of two copies differs from what both should be. */
export function damagedCopy(
  bytes: Uint8Array,
  header: SegmentHeader,
): { readonly position: number; readonly sizeBytes: number } {
  const wanted = encodeSegmentHeader(header);
  let first = 0;
  while (first < SEGMENT_HEADER_SIZE_BYTES - 1 && bytes[first] === wanted[first]) first++;
  let end = SEGMENT_HEADER_SIZE_BYTES;
  while (end > first + 1 && bytes[end - 1] === wanted[end - 1]) end--;
  return { position: first, sizeBytes: end - first };
}
