/**
 * An entry as bytes, the same on every disk and on the wire: docs/format/commit-log.md.
 *
 *     | header, 64 bytes | payload | zeros up to a multiple of 8 |
 *
 * The header carries its own CRC, so no length is believed before it is checked, and the CRC of the
 * payload. Its chain CRC covers the CRC of the header before it: two logs that agree in one chain
 * CRC agree, but for accidents, in everything before (Log Matching, Raft 5.3, over bytes).
 *
 * The chain CRC is taken over the own bytes first and the predecessor second. The other way round the
 * header CRC, which covers the chain CRC that was computed from the same bytes, would largely cancel
 * it out: CRCs are linear, and only 16 of the 32 bits would still depend on the header.
 *
 * A filler is a header only; the length it states reaches to the end of the segment, and those bytes
 * are zeros. Bytes may come from a peer or a damaged disk: nothing here throws on what they say.
 */
import { assert } from '../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  type EntryType,
  entrySizeBytes,
} from '../raft/entry.ts';

/** `MQR1` */
export const ENTRY_MAGIC = 0x4d515231;
export const ENTRY_FORMAT_VERSION = 1;

const MAGIC_AT = 0;
const TYPE_AT = MAGIC_AT + 4;
const FLAGS_AT = TYPE_AT + 1; // none defined: 0
const HEADER_SIZE_AT = FLAGS_AT + 1; // u8: 64
const VERSION_AT = HEADER_SIZE_AT + 1;
const TOTAL_SIZE_AT = VERSION_AT + 1; // header, payload and padding; filler: rest of the segment
const RESERVED_AT = TOTAL_SIZE_AT + 4; // 0
const INDEX_AT = RESERVED_AT + 4;
const TERM_AT = INDEX_AT + 8;
const PHYSICAL_OFFSET_AT = TERM_AT + 8;
const LEADER_COMMIT_AT = PHYSICAL_OFFSET_AT + 8;
const PAYLOAD_SIZE_AT = LEADER_COMMIT_AT + 8;
const PAYLOAD_CRC_AT = PAYLOAD_SIZE_AT + 4;
const CHAIN_CRC_AT = PAYLOAD_CRC_AT + 4;
const HEADER_CRC_AT = CHAIN_CRC_AT + 4;
assert(HEADER_CRC_AT + 4 === ENTRY_HEADER_SIZE_BYTES, 'an entry header is 64 bytes');

/** The table of docs/format/commit-log.md; a test compares the two. */
export const ENTRY_HEADER_LAYOUT = [
  { name: 'magic', at: MAGIC_AT, sizeBytes: 4 },
  { name: 'type', at: TYPE_AT, sizeBytes: 1 },
  { name: 'flags', at: FLAGS_AT, sizeBytes: 1 },
  { name: 'headerSize', at: HEADER_SIZE_AT, sizeBytes: 1 },
  { name: 'version', at: VERSION_AT, sizeBytes: 1 },
  { name: 'totalSize', at: TOTAL_SIZE_AT, sizeBytes: 4 },
  { name: 'reserved', at: RESERVED_AT, sizeBytes: 4 },
  { name: 'index', at: INDEX_AT, sizeBytes: 8 },
  { name: 'term', at: TERM_AT, sizeBytes: 8 },
  { name: 'physicalOffset', at: PHYSICAL_OFFSET_AT, sizeBytes: 8 },
  { name: 'leaderCommit', at: LEADER_COMMIT_AT, sizeBytes: 8 },
  { name: 'payloadSize', at: PAYLOAD_SIZE_AT, sizeBytes: 4 },
  { name: 'payloadCrc', at: PAYLOAD_CRC_AT, sizeBytes: 4 },
  { name: 'chainCrc', at: CHAIN_CRC_AT, sizeBytes: 4 },
  { name: 'headerCrc', at: HEADER_CRC_AT, sizeBytes: 4 },
] as const;

/** 0 is no type, so that zeros are never an entry. */
export const ENTRY_TYPE_CODE = { data: 1, noop: 2, config: 3, filler: 4 } as const;
const TYPE_OF_CODE: ReadonlyMap<number, EntryType> = new Map(
  (Object.keys(ENTRY_TYPE_CODE) as EntryType[]).map((type) => [ENTRY_TYPE_CODE[type], type]),
);

/** What stands for the header CRC of the entry before the first one. */
export const CHAIN_SEED = 0;

export interface EntryFields extends EntryDesc {
  /** The leader's commit index when it appended the entry: all up to it was committed (H3, H4). */
  readonly leaderCommit: LogIndex;
  /** Header CRC of the entry before; {@link CHAIN_SEED} for the first. */
  readonly prevHeaderCrc: number;
}

export interface EntryHeader {
  readonly desc: EntryDesc;
  readonly leaderCommit: LogIndex;
  readonly chainCrc: number;
  readonly headerCrc: number;
}

/**
 * `tooShort`: fewer bytes than the header, or than the header says. `badLength`: sizes that
 * contradict each other, or numbers beyond 2^53. `unknownType`: also an unknown flag or version.
 */
export type EntryHeaderProblem =
  | 'tooShort'
  | 'badMagic'
  | 'badHeaderCrc'
  | 'unknownType'
  | 'badLength';
export type EntryProblem = EntryHeaderProblem | 'badPayloadCrc' | 'badPadding';

export type EntryHeaderResult =
  | { readonly kind: 'header'; readonly header: EntryHeader }
  | { readonly kind: EntryHeaderProblem };
export type EntryResult =
  | { readonly kind: 'entry'; readonly header: EntryHeader }
  | { readonly kind: EntryProblem };

/** @returns the whole entry; of a filler the header only. */
export function encodeEntry(fields: EntryFields, payload: Uint8Array): Uint8Array {
  assert(payload.length === fields.payloadSizeBytes, 'the payload has the stated size');
  assert(fields.leaderCommit < fields.index, 'an entry is appended before it is committed');
  const isFiller = fields.type === 'filler';
  if (isFiller) assert(payload.length === 0, 'a filler has no payload');
  else assert(fields.sizeBytes === entrySizeBytes(payload.length), 'the entry has the stated size');

  const bytes = new Uint8Array(storedSizeBytes(fields));
  const view = viewOf(bytes);
  view.setUint32(MAGIC_AT, ENTRY_MAGIC);
  view.setUint8(TYPE_AT, ENTRY_TYPE_CODE[fields.type]);
  view.setUint8(HEADER_SIZE_AT, ENTRY_HEADER_SIZE_BYTES);
  view.setUint8(VERSION_AT, ENTRY_FORMAT_VERSION);
  view.setUint32(TOTAL_SIZE_AT, fields.sizeBytes);
  writeU64(view, INDEX_AT, fields.index);
  writeU64(view, TERM_AT, fields.term);
  writeU64(view, PHYSICAL_OFFSET_AT, fields.physicalOffset);
  writeU64(view, LEADER_COMMIT_AT, fields.leaderCommit);
  view.setUint32(PAYLOAD_SIZE_AT, payload.length);
  view.setUint32(PAYLOAD_CRC_AT, fields.payloadCrc);
  view.setUint32(CHAIN_CRC_AT, chainCrcOf(bytes, fields.prevHeaderCrc));
  view.setUint32(HEADER_CRC_AT, crc32(bytes.subarray(0, HEADER_CRC_AT)));
  bytes.set(payload, ENTRY_HEADER_SIZE_BYTES);
  return bytes;
}

/** Bytes of an entry that are written and sent: all of it, except the zeros of a filler. */
export function storedSizeBytes(desc: EntryDesc): number {
  return desc.type === 'filler' ? ENTRY_HEADER_SIZE_BYTES : desc.sizeBytes;
}

/** What the chain CRC of the entry starting at `at` must be after an entry with this header CRC. */
export function chainCrcOf(bytes: Uint8Array, prevHeaderCrc: number, at = 0): number {
  const prev = new Uint8Array(4);
  viewOf(prev).setUint32(0, prevHeaderCrc);
  return crc32(prev, crc32(bytes.subarray(at, at + CHAIN_CRC_AT)));
}

/** The stored header CRC of an entry that is known to be good. */
export function headerCrcOf(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(HEADER_CRC_AT);
}

/** Checks the header that starts at `at`: not the payload, nor its place or predecessor. */
export function decodeEntryHeader(bytes: Uint8Array, at = 0): EntryHeaderResult {
  if (at + ENTRY_HEADER_SIZE_BYTES > bytes.length) return { kind: 'tooShort' };
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, ENTRY_HEADER_SIZE_BYTES);
  if (view.getUint32(MAGIC_AT) !== ENTRY_MAGIC) return { kind: 'badMagic' };
  const headerCrc = view.getUint32(HEADER_CRC_AT);
  if (crc32(bytes.subarray(at, at + HEADER_CRC_AT)) !== headerCrc) return { kind: 'badHeaderCrc' };

  const type = TYPE_OF_CODE.get(view.getUint8(TYPE_AT));
  if (type === undefined || !hasKnownForm(view)) return { kind: 'unknownType' };

  const sizeBytes = view.getUint32(TOTAL_SIZE_AT);
  const payloadSizeBytes = view.getUint32(PAYLOAD_SIZE_AT);
  const payloadCrc = view.getUint32(PAYLOAD_CRC_AT);
  const index = tryReadU64(view, INDEX_AT);
  const term = tryReadU64(view, TERM_AT);
  const physicalOffset = tryReadU64(view, PHYSICAL_OFFSET_AT);
  const leaderCommit = tryReadU64(view, LEADER_COMMIT_AT);
  if (index === null || term === null || physicalOffset === null || leaderCommit === null) {
    return { kind: 'badLength' };
  }
  // The CRC can be right and the sender wrong: every number below is used in arithmetic later.
  if (index === 0 || leaderCommit >= index || !Number.isSafeInteger(physicalOffset + sizeBytes)) {
    return { kind: 'badLength' };
  }
  if (!sizesAgree(type, sizeBytes, payloadSizeBytes)) return { kind: 'badLength' };
  return {
    kind: 'header',
    header: {
      desc: {
        index: LogIndex(index),
        term: Term(term),
        type,
        physicalOffset: PhysicalOffset(physicalOffset),
        sizeBytes,
        payloadSizeBytes,
        payloadCrc,
      },
      leaderCommit: LogIndex(leaderCommit),
      chainCrc: view.getUint32(CHAIN_CRC_AT),
      headerCrc,
    },
  };
}

/** Checks a whole stored entry: `bytes` must be exactly it. */
export function verifyEntry(bytes: Uint8Array): EntryResult {
  const decoded = decodeEntryHeader(bytes);
  if (decoded.kind !== 'header') return decoded;
  const { header } = decoded;
  const storedSize = storedSizeBytes(header.desc);
  if (bytes.length < storedSize) return { kind: 'tooShort' };
  if (bytes.length > storedSize) return { kind: 'badLength' };
  const problem = payloadProblem(bytes, header.desc);
  return problem === null ? { kind: 'entry', header } : { kind: problem };
}

/** Checks payload and padding of an entry whose header is good and whose bytes are all there. */
export function payloadProblem(
  bytes: Uint8Array,
  desc: EntryDesc,
): 'badPayloadCrc' | 'badPadding' | null {
  const payloadEnd = ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes;
  const payload = bytes.subarray(ENTRY_HEADER_SIZE_BYTES, payloadEnd);
  if (crc32(payload) !== desc.payloadCrc) return 'badPayloadCrc';
  const paddedEnd = storedSizeBytes(desc);
  for (let at = payloadEnd; at < paddedEnd; at++) {
    if (bytes[at] !== 0) return 'badPadding';
  }
  return null;
}

function hasKnownForm(view: DataView): boolean {
  return (
    view.getUint8(FLAGS_AT) === 0 &&
    view.getUint8(HEADER_SIZE_AT) === ENTRY_HEADER_SIZE_BYTES &&
    view.getUint8(VERSION_AT) === ENTRY_FORMAT_VERSION &&
    view.getUint32(RESERVED_AT) === 0
  );
}

function sizesAgree(type: EntryType, sizeBytes: number, payloadSizeBytes: number): boolean {
  if (type !== 'filler') return sizeBytes === entrySizeBytes(payloadSizeBytes);
  return payloadSizeBytes === 0 && sizeBytes % 8 === 0 && sizeBytes >= ENTRY_HEADER_SIZE_BYTES;
}
