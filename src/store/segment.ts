/**
 * A segment: one file of the commit log, named by its first physical offset in 20 digits, and the
 * header in its first 4 KiB. docs/format/commit-log.md.
 *
 * The header says which log this is and what precedes the segment, so a segment can be checked
 * without the one before it, and a file under a wrong name is found out (H5). It is written twice, at
 * 0 and in the middle of the 4 KiB, so that one rotten sector costs nothing. It is a function of the log and
 * identical on every replica; a prepared segment that no entry has reached yet is all zeros.
 */
import { assert } from '../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { CRC32_ALGORITHM_ID, crc32 } from '../base/crc32.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';

/** `MQSG` */
export const SEGMENT_MAGIC = 0x4d515347;
export const SEGMENT_FORMAT_VERSION = 1;
/** The oldest version whose reader understands this one. */
export const SEGMENT_MIN_READER = 1;
const NAME_SIZE_BYTES_MAX = 256;

const MAGIC_AT = 0;
const VERSION_AT = MAGIC_AT + 4;
const MIN_READER_AT = VERSION_AT + 2;
const CHECKSUM_AT = MIN_READER_AT + 2; // u16: algorithm id
const RESERVED_AT = CHECKSUM_AT + 2;
const START_OFFSET_AT = RESERVED_AT + 6;
const START_INDEX_AT = START_OFFSET_AT + 8;
const PREV_TERM_AT = START_INDEX_AT + 8;
const PREV_HEADER_CRC_AT = PREV_TERM_AT + 8;
const SEGMENT_SIZE_AT = PREV_HEADER_CRC_AT + 4;
const CLUSTER_ID_SIZE_AT = SEGMENT_SIZE_AT + 4;
const CLUSTER_ID_AT = CLUSTER_ID_SIZE_AT + 2;
const GROUP_ID_SIZE_AT = CLUSTER_ID_AT + NAME_SIZE_BYTES_MAX;
const GROUP_ID_AT = GROUP_ID_SIZE_AT + 2;
const COPY_SIZE_BYTES = SEGMENT_HEADER_SIZE_BYTES / 2;
const CRC_AT = COPY_SIZE_BYTES - 4;
assert(GROUP_ID_AT + NAME_SIZE_BYTES_MAX <= CRC_AT, 'a segment header fits in half of its block');

/** The table of docs/format/commit-log.md; a test compares the two. */
export const SEGMENT_HEADER_LAYOUT = [
  { name: 'magic', at: MAGIC_AT, sizeBytes: 4 },
  { name: 'version', at: VERSION_AT, sizeBytes: 2 },
  { name: 'minReader', at: MIN_READER_AT, sizeBytes: 2 },
  { name: 'checksum', at: CHECKSUM_AT, sizeBytes: 2 },
  { name: 'reserved', at: RESERVED_AT, sizeBytes: 6 },
  { name: 'startOffset', at: START_OFFSET_AT, sizeBytes: 8 },
  { name: 'startIndex', at: START_INDEX_AT, sizeBytes: 8 },
  { name: 'prevTerm', at: PREV_TERM_AT, sizeBytes: 8 },
  { name: 'prevHeaderCrc', at: PREV_HEADER_CRC_AT, sizeBytes: 4 },
  { name: 'segmentSize', at: SEGMENT_SIZE_AT, sizeBytes: 4 },
  { name: 'clusterIdSize', at: CLUSTER_ID_SIZE_AT, sizeBytes: 2 },
  { name: 'clusterId', at: CLUSTER_ID_AT, sizeBytes: NAME_SIZE_BYTES_MAX },
  { name: 'groupIdSize', at: GROUP_ID_SIZE_AT, sizeBytes: 2 },
  { name: 'groupId', at: GROUP_ID_AT, sizeBytes: NAME_SIZE_BYTES_MAX },
  { name: 'crc', at: CRC_AT, sizeBytes: 4 },
] as const;

export interface SegmentHeader {
  readonly clusterId: string;
  readonly groupId: string;
  /** Physical offset of the first byte of the file; entries start 4 KiB later. */
  readonly startOffset: PhysicalOffset;
  readonly segmentSizeBytes: number;
  /** The first entry of the segment. */
  readonly startIndex: LogIndex;
  /** Of the entry before it; 0 and the chain seed for the first segment. */
  readonly prevTerm: Term;
  readonly prevHeaderCrc: number;
}

export type SegmentHeaderResult =
  /** `damagedCopies`: 1 when one of the two is not what the other one says. */
  | { readonly kind: 'header'; readonly header: SegmentHeader; readonly damagedCopies: 0 | 1 }
  /** Prepared, not used. */
  | { readonly kind: 'zero' }
  | { readonly kind: 'damaged' };

/** @returns the 4 KiB at the start of a segment. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_SIZE_BYTES);
  const copy = bytes.subarray(0, COPY_SIZE_BYTES);
  const view = viewOf(copy);
  view.setUint32(MAGIC_AT, SEGMENT_MAGIC);
  view.setUint16(VERSION_AT, SEGMENT_FORMAT_VERSION);
  view.setUint16(MIN_READER_AT, SEGMENT_MIN_READER);
  view.setUint16(CHECKSUM_AT, CRC32_ALGORITHM_ID);
  writeU64(view, START_OFFSET_AT, header.startOffset);
  writeU64(view, START_INDEX_AT, header.startIndex);
  writeU64(view, PREV_TERM_AT, header.prevTerm);
  view.setUint32(PREV_HEADER_CRC_AT, header.prevHeaderCrc);
  view.setUint32(SEGMENT_SIZE_AT, header.segmentSizeBytes);
  writeName(copy, CLUSTER_ID_SIZE_AT, header.clusterId);
  writeName(copy, GROUP_ID_SIZE_AT, header.groupId);
  view.setUint32(CRC_AT, crc32(copy.subarray(0, CRC_AT)));
  bytes.set(copy, COPY_SIZE_BYTES);
  return bytes;
}

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeaderResult {
  assert(bytes.length === SEGMENT_HEADER_SIZE_BYTES, 'a segment header is 4 KiB');
  const first = decodeCopy(bytes.subarray(0, COPY_SIZE_BYTES));
  const second = decodeCopy(bytes.subarray(COPY_SIZE_BYTES));
  const header = first ?? second;
  if (header !== null) {
    // Two good copies that differ cannot come from one write: trust neither.
    const differ = first !== null && second !== null && !sameHeader(first, second);
    if (differ) return { kind: 'damaged' };
    return { kind: 'header', header, damagedCopies: first === null || second === null ? 1 : 0 };
  }
  return bytes.every((byte) => byte === 0) ? { kind: 'zero' } : { kind: 'damaged' };
}

export function sameHeader(a: SegmentHeader, b: SegmentHeader): boolean {
  return (
    a.clusterId === b.clusterId &&
    a.groupId === b.groupId &&
    a.startOffset === b.startOffset &&
    a.segmentSizeBytes === b.segmentSizeBytes &&
    a.startIndex === b.startIndex &&
    a.prevTerm === b.prevTerm &&
    a.prevHeaderCrc === b.prevHeaderCrc
  );
}

/** A cluster or group name that a header can hold. */
export function isStorableName(name: string): boolean {
  const sizeBytes = new TextEncoder().encode(name).length;
  return sizeBytes > 0 && sizeBytes <= NAME_SIZE_BYTES_MAX;
}

const NAME_DIGITS = 20;
const NAME_SUFFIX = '.seg';

export function segmentFileName(startOffset: PhysicalOffset): string {
  return String(startOffset).padStart(NAME_DIGITS, '0') + NAME_SUFFIX;
}

/** @returns null for the name of any other file. */
export function parseSegmentFileName(name: string): PhysicalOffset | null {
  if (!/^\d{20}\.seg$/.test(name)) return null;
  const offset = Number(name.slice(0, NAME_DIGITS));
  return Number.isSafeInteger(offset) ? PhysicalOffset(offset) : null;
}

function decodeCopy(copy: Uint8Array): SegmentHeader | null {
  const view = viewOf(copy);
  if (view.getUint32(MAGIC_AT) !== SEGMENT_MAGIC) return null;
  if (crc32(copy.subarray(0, CRC_AT)) !== view.getUint32(CRC_AT)) return null;
  if (view.getUint16(MIN_READER_AT) > SEGMENT_FORMAT_VERSION) return null;
  if (view.getUint16(CHECKSUM_AT) !== CRC32_ALGORITHM_ID) return null;
  const startOffset = tryReadU64(view, START_OFFSET_AT);
  const startIndex = tryReadU64(view, START_INDEX_AT);
  const prevTerm = tryReadU64(view, PREV_TERM_AT);
  const clusterId = readName(copy, CLUSTER_ID_SIZE_AT);
  const groupId = readName(copy, GROUP_ID_SIZE_AT);
  if (startOffset === null || startIndex === null || prevTerm === null) return null;
  if (clusterId === null || groupId === null) return null;
  return {
    clusterId,
    groupId,
    startOffset: PhysicalOffset(startOffset),
    segmentSizeBytes: view.getUint32(SEGMENT_SIZE_AT),
    startIndex: LogIndex(startIndex),
    prevTerm: Term(prevTerm),
    prevHeaderCrc: view.getUint32(PREV_HEADER_CRC_AT),
  };
}

function writeName(copy: Uint8Array, sizeAt: number, name: string): void {
  assert(isStorableName(name), 'a name fits in the segment header', () => ({ name }));
  const bytes = new TextEncoder().encode(name);
  viewOf(copy).setUint16(sizeAt, bytes.length);
  copy.set(bytes, sizeAt + 2);
}

function readName(copy: Uint8Array, sizeAt: number): string | null {
  const sizeBytes = viewOf(copy).getUint16(sizeAt);
  if (sizeBytes > NAME_SIZE_BYTES_MAX) return null;
  return new TextDecoder().decode(copy.subarray(sizeAt + 2, sizeAt + 2 + sizeBytes));
}
