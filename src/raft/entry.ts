/**
 * Log entries as the core sees them: descriptors, never payload bytes. The driver moves the bytes,
 * found by (index, term), from socket to disk and from disk to socket.
 *
 * Placement is part of consensus, because the log is byte-identical on every replica: see
 * docs/format/commit-log.md. All sizes include header and padding.
 */
import { assert } from '../base/assert.ts';
import { KIB } from '../base/sizes.ts';
import { advance, LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import type { LoggedMembership, Membership } from './membership.ts';

/** Identifies an entry and, by the Log Matching property, all before it (Raft 5.3). */
export interface EntryId {
  readonly term: Term;
  readonly index: LogIndex;
}

/**
 * `data`: records. `noop`: first entry of a term. `config`: membership. `filler`: rest of a segment,
 * no payload. Wire and disk numbers are in protocol/entry-codec.ts.
 */
export type EntryType = 'data' | 'noop' | 'config' | 'filler';

export interface EntryDesc {
  readonly index: LogIndex;
  readonly term: Term;
  readonly type: EntryType;
  /** Where the entry's header starts. */
  readonly physicalOffset: PhysicalOffset;
  /** Header, payload and zero padding; a multiple of 8. */
  readonly sizeBytes: number;
  readonly payloadSizeBytes: number;
  readonly payloadCrc: number;
}

/**
 * Stands for all entries up to `last`: they were committed and are summed up in a snapshot of derived
 * state. The log goes on at `endOffset` as if they were there.
 */
export interface SnapshotDesc {
  readonly last: EntryId;
  /** One past the last byte of the last entry. */
  readonly endOffset: PhysicalOffset;
  /** The newest membership at or below `last`. */
  readonly membership: LoggedMembership;
}

export const ENTRY_HEADER_SIZE_BYTES = 64;
export const SEGMENT_HEADER_SIZE_BYTES = 4 * KIB;
const ENTRY_ALIGNMENT_BYTES = 8;

/** Where a log begins from which nothing was ever removed. */
export function logOrigin(membership: Membership): SnapshotDesc {
  return {
    last: { term: Term(0), index: LogIndex(0) },
    endOffset: PhysicalOffset(0),
    membership: { index: LogIndex(0), membership },
  };
}

export function entrySizeBytes(payloadSizeBytes: number): number {
  const unpadded = ENTRY_HEADER_SIZE_BYTES + payloadSizeBytes;
  return Math.ceil(unpadded / ENTRY_ALIGNMENT_BYTES) * ENTRY_ALIGNMENT_BYTES;
}

/**
 * Largest payload. In an empty segment its entry leaves room for one more header: an entry that left
 * less could not be followed by a filler, and an empty segment has no better place to offer.
 */
export function payloadSizeBytesMax(segmentSizeBytes: number): number {
  return segmentSizeBytes - SEGMENT_HEADER_SIZE_BYTES - 2 * ENTRY_HEADER_SIZE_BYTES;
}

export interface Placement {
  /** Size of the filler that must precede the entry, at `end`; 0 when it fits. */
  readonly fillerSizeBytes: number;
  readonly physicalOffset: PhysicalOffset;
  readonly sizeBytes: number;
}

/**
 * Where the next entry goes when the log ends at `end`. An entry never straddles segments, and what
 * it leaves of its segment is either nothing or room for another header, so that a filler always fits.
 *
 * @param end one past the last byte of the last entry; 0 for an empty log
 */
export function placeEntry(
  end: PhysicalOffset,
  payloadSizeBytes: number,
  segmentSizeBytes: number,
): Placement {
  const sizeBytes = entrySizeBytes(payloadSizeBytes);
  assert(
    payloadSizeBytes <= payloadSizeBytesMax(segmentSizeBytes),
    'an entry fits in a segment',
    () => ({ payloadSizeBytes, segmentSizeBytes }),
  );
  const start = skipSegmentHeader(end, segmentSizeBytes);
  const room = segmentSizeBytes - (start % segmentSizeBytes);
  const rest = room - sizeBytes;
  if (rest === 0 || rest >= ENTRY_HEADER_SIZE_BYTES) {
    return { fillerSizeBytes: 0, physicalOffset: start, sizeBytes };
  }
  const next = skipSegmentHeader(advance(start, room), segmentSizeBytes);
  return { fillerSizeBytes: room, physicalOffset: next, sizeBytes };
}

/** The end of a full segment is the start of the next one, where its header lies. */
export function skipSegmentHeader(end: PhysicalOffset, segmentSizeBytes: number): PhysicalOffset {
  return end % segmentSizeBytes === 0 ? advance(end, SEGMENT_HEADER_SIZE_BYTES) : end;
}
