/**
 * The base: what the log of this replica stands on, and which generation of the data directory holds it.
 * docs/format/base.md.
 *
 *     | copy | zeros to 4 KiB | the same again |
 *
 * The file is written anew as a whole, so it says one thing or the other, never half (H8). It is there
 * twice so that one rotten sector costs nothing. Everything that is removed of a log is removed because
 * this file says that it does not belong to it any more: it names the store, and a file of another store
 * is refused.
 */
import { assert } from '../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { CHAIN_SEED } from '../protocol/entry-codec.ts';
import { decodeMembership, encodeMembership } from '../protocol/membership-codec.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import type { LogBase } from './commit-log.ts';
import type { Tip } from './repair/region.ts';

/** `MQLB` */
export const BASE_MAGIC = 0x4d514c42;
export const BASE_FORMAT_VERSION = 1;

const MAGIC_AT = 0;
const CRC_AT = MAGIC_AT + 4;
const VERSION_AT = CRC_AT + 4;
const STORE_UUID_SIZE_AT = VERSION_AT + 2;
const MEMBERSHIP_SIZE_AT = STORE_UUID_SIZE_AT + 2;
const GENERATION_AT = MEMBERSHIP_SIZE_AT + 4;
const FIRST_NOTE_AT = GENERATION_AT + 8;
const LAST_INDEX_AT = FIRST_NOTE_AT + 8;
const LAST_TERM_AT = LAST_INDEX_AT + 8;
const END_OFFSET_AT = LAST_TERM_AT + 8;
const HEADER_CRC_AT = END_OFFSET_AT + 8;
const MEMBERSHIP_INDEX_AT = HEADER_CRC_AT + 4;
const BODY_AT = MEMBERSHIP_INDEX_AT + 8;
const CHECKED_FROM = CRC_AT + 4;
/** Copies start on pages: what one page loses the other one has. */
const COPY_STEP_SIZE_BYTES = 4 * KIB;
export const BASE_COPY_COUNT = 2;

/** The table of docs/format/base.md; a test compares the two. */
export const BASE_LAYOUT = [
  { name: 'magic', at: MAGIC_AT, sizeBytes: 4 },
  { name: 'crc', at: CRC_AT, sizeBytes: 4 },
  { name: 'version', at: VERSION_AT, sizeBytes: 2 },
  { name: 'storeUuidSize', at: STORE_UUID_SIZE_AT, sizeBytes: 2 },
  { name: 'membershipSize', at: MEMBERSHIP_SIZE_AT, sizeBytes: 4 },
  { name: 'generation', at: GENERATION_AT, sizeBytes: 8 },
  { name: 'firstNote', at: FIRST_NOTE_AT, sizeBytes: 8 },
  { name: 'lastIndex', at: LAST_INDEX_AT, sizeBytes: 8 },
  { name: 'lastTerm', at: LAST_TERM_AT, sizeBytes: 8 },
  { name: 'endOffset', at: END_OFFSET_AT, sizeBytes: 8 },
  { name: 'headerCrc', at: HEADER_CRC_AT, sizeBytes: 4 },
  { name: 'membershipIndex', at: MEMBERSHIP_INDEX_AT, sizeBytes: 8 },
] as const;

/** What the file says. */
export interface BaseRecord {
  readonly storeUuid: string;
  /** How many snapshots were installed: each log has a directory of its own. */
  readonly generation: number;
  /** Notes of the durable ring with a lower sequence speak of the log before the last installation. */
  readonly firstNote: number;
  readonly base: LogBase;
}

export type DecodedBase =
  /** `damagedCopies`: 1 when only one of the two can be read. */
  | { readonly kind: 'base'; readonly record: BaseRecord; readonly damagedCopies: 0 | 1 }
  | { readonly kind: 'damaged' };

export const ORIGIN: LogBase = { desc: null, headerCrc: CHAIN_SEED };

export const ORIGIN_TIP: Tip = {
  index: LogIndex(0),
  end: PhysicalOffset(0),
  term: Term(0),
  headerCrc: CHAIN_SEED,
};

/** What a new store begins with. */
export function originRecord(storeUuid: string): BaseRecord {
  return { storeUuid, generation: 0, firstNote: 0, base: ORIGIN };
}

/** The base as the entry before the first one. */
export function tipOfBase({ desc, headerCrc }: LogBase): Tip {
  if (desc === null) return ORIGIN_TIP;
  return { index: desc.last.index, end: desc.endOffset, term: desc.last.term, headerCrc };
}

export function sameBase(a: LogBase, b: LogBase): boolean {
  const [x, y] = [tipOfBase(a), tipOfBase(b)];
  return x.index === y.index && x.term === y.term && x.end === y.end && a.headerCrc === b.headerCrc;
}

/** @returns the whole file */
export function encodeBaseFile(record: BaseRecord): Uint8Array {
  const copy = encodeCopy(record);
  const copySizeBytes = Math.ceil(copy.length / COPY_STEP_SIZE_BYTES) * COPY_STEP_SIZE_BYTES;
  const file = new Uint8Array(BASE_COPY_COUNT * copySizeBytes);
  for (let i = 0; i < BASE_COPY_COUNT; i++) file.set(copy, i * copySizeBytes);
  return file;
}

export function decodeBaseFile(file: Uint8Array): DecodedBase {
  const [first = null, second = null] = baseCopies(file);
  const record = first ?? second;
  if (record === null) return { kind: 'damaged' };
  // Two good copies that differ cannot come from one write: trust neither.
  if (first !== null && second !== null && !sameRecord(first, second)) return { kind: 'damaged' };
  return { kind: 'base', record, damagedCopies: first === null || second === null ? 1 : 0 };
}

/** Both copies, null where it is damaged. */
export function baseCopies(file: Uint8Array): readonly (BaseRecord | null)[] {
  // A file of another length was cut or grew: its first copy is where it was.
  const middle = Math.floor(file.length / BASE_COPY_COUNT);
  return [decodeCopy(file.subarray(0, middle)), decodeCopy(file.subarray(middle))];
}

function encodeCopy({ storeUuid, generation, firstNote, base }: BaseRecord): Uint8Array {
  const { desc } = base;
  const uuid = new TextEncoder().encode(storeUuid);
  const membership =
    desc === null ? new Uint8Array(0) : encodeMembership(desc.membership.membership);
  const copy = new Uint8Array(BODY_AT + uuid.length + membership.length);
  const view = viewOf(copy);
  const tip = tipOfBase(base);
  view.setUint32(MAGIC_AT, BASE_MAGIC);
  view.setUint16(VERSION_AT, BASE_FORMAT_VERSION);
  view.setUint16(STORE_UUID_SIZE_AT, uuid.length);
  view.setUint32(MEMBERSHIP_SIZE_AT, membership.length);
  writeU64(view, GENERATION_AT, generation);
  writeU64(view, FIRST_NOTE_AT, firstNote);
  writeU64(view, LAST_INDEX_AT, tip.index);
  writeU64(view, LAST_TERM_AT, tip.term);
  writeU64(view, END_OFFSET_AT, tip.end);
  view.setUint32(HEADER_CRC_AT, tip.headerCrc);
  writeU64(view, MEMBERSHIP_INDEX_AT, desc?.membership.index ?? 0);
  copy.set(uuid, BODY_AT);
  copy.set(membership, BODY_AT + uuid.length);
  view.setUint32(CRC_AT, crc32(copy.subarray(CHECKED_FROM)));
  return copy;
}

/** @returns null when it is damaged, or written by a version we do not know */
function decodeCopy(copy: Uint8Array): BaseRecord | null {
  if (copy.length < BODY_AT) return null;
  const view = viewOf(copy);
  const uuidEnd = BODY_AT + view.getUint16(STORE_UUID_SIZE_AT);
  const end = uuidEnd + view.getUint32(MEMBERSHIP_SIZE_AT);
  if (view.getUint32(MAGIC_AT) !== BASE_MAGIC || end > copy.length) return null;
  if (crc32(copy.subarray(CHECKED_FROM, end)) !== view.getUint32(CRC_AT)) return null;
  if (view.getUint16(VERSION_AT) !== BASE_FORMAT_VERSION) return null;
  if (copy.subarray(end).some((byte) => byte !== 0)) return null;
  const desc = descOf(view, copy.subarray(uuidEnd, end));
  if (desc === 'damaged') return null;
  return {
    storeUuid: new TextDecoder().decode(copy.subarray(BODY_AT, uuidEnd)),
    generation: numberAt(view, GENERATION_AT),
    firstNote: numberAt(view, FIRST_NOTE_AT),
    base: { desc, headerCrc: view.getUint32(HEADER_CRC_AT) },
  };
}

function descOf(view: DataView, membership: Uint8Array): SnapshotDesc | null | 'damaged' {
  const index = LogIndex(numberAt(view, LAST_INDEX_AT));
  if (index === 0) return null;
  const decoded = decodeMembership(membership);
  if (decoded.kind === 'problem') return 'damaged';
  return {
    last: { index, term: Term(numberAt(view, LAST_TERM_AT)) },
    endOffset: PhysicalOffset(numberAt(view, END_OFFSET_AT)),
    membership: {
      index: LogIndex(numberAt(view, MEMBERSHIP_INDEX_AT)),
      membership: decoded.membership,
    },
  };
}

function numberAt(view: DataView, at: number): number {
  const value = tryReadU64(view, at);
  assert(value !== null, 'a verified base holds safe integers', () => ({ at }));
  return value;
}

function sameRecord(a: BaseRecord, b: BaseRecord): boolean {
  return Buffer.compare(encodeCopy(a), encodeCopy(b)) === 0;
}
