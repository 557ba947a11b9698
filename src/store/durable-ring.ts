/**
 * The durable ring: node-local notes of how far the log is known to be durable here, the better part
 * of recovery's watermark W, and which entry stood there (raft.md 5.5 calls it durable.ring).
 * docs/format/commit-log.md.
 *
 * A note is written after the fdatasync it speaks of, without a sync of its own, so the newest notes
 * may be lost, but none is premature. A cut is different: it makes earlier notes untrue, so a note
 * with the lower end is durable before the first byte is cut. The highest sequence counts, not the
 * highest end.
 *
 * Slots are reused in order. A sector therefore holds, in each slot, either what was synced last or
 * something newer: the durable note of a cut is never followed by the notes before it.
 */
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { CHAIN_SEED } from '../protocol/entry-codec.ts';
import type { EntryTable } from './entry-table.ts';
import type { Tip } from './repair/region.ts';

/** `MQDR` */
export const DURABLE_NOTE_MAGIC = 0x4d514452;
export const DURABLE_RING_SIZE_BYTES = 4 * KIB;

const MAGIC_AT = 0;
const SLOT_AT = MAGIC_AT + 4; // u32: own slot, against misdirected writes
const SEQUENCE_AT = SLOT_AT + 4;
const INDEX_AT = SEQUENCE_AT + 8;
const END_AT = INDEX_AT + 8;
const TERM_AT = END_AT + 8;
const HEADER_CRC_AT = TERM_AT + 8;
const CRC_AT = HEADER_CRC_AT + 4;
export const DURABLE_NOTE_SIZE_BYTES = 64; // the rest is zeros; no note straddles a sector
export const DURABLE_NOTE_COUNT = DURABLE_RING_SIZE_BYTES / DURABLE_NOTE_SIZE_BYTES;

/** The table of docs/format/commit-log.md; a test compares the two. */
export const DURABLE_NOTE_LAYOUT = [
  { name: 'magic', at: MAGIC_AT, sizeBytes: 4 },
  { name: 'slot', at: SLOT_AT, sizeBytes: 4 },
  { name: 'sequence', at: SEQUENCE_AT, sizeBytes: 8 },
  { name: 'index', at: INDEX_AT, sizeBytes: 8 },
  { name: 'end', at: END_AT, sizeBytes: 8 },
  { name: 'term', at: TERM_AT, sizeBytes: 8 },
  { name: 'headerCrc', at: HEADER_CRC_AT, sizeBytes: 4 },
  { name: 'crc', at: CRC_AT, sizeBytes: 4 },
] as const;

export interface DurableNote {
  readonly sequence: number;
  /** Last durable entry, and one past its last byte. */
  readonly index: LogIndex;
  readonly end: PhysicalOffset;
  readonly term: Term;
  /** Of that entry; it identifies the entry and, by the chain, all before it (adr/0006). */
  readonly headerCrc: number;
}

/** What a store is made with: nothing is durable yet. */
export const FIRST_NOTE: DurableNote = {
  sequence: 0,
  index: LogIndex(0),
  end: PhysicalOffset(0),
  term: Term(0),
  headerCrc: CHAIN_SEED,
};

/**
 * What is known of a log on this base by the newest note of its ring. Notes of an earlier log say nothing
 * about it; one that was left behind by a compaction says less than the base itself.
 */
export function noteOnBase(
  note: DurableNote | null,
  { firstNote, base }: { readonly firstNote: number; readonly base: Tip },
): DurableNote | null {
  if (note === null || base.index === 0) return note;
  if (note.sequence >= firstNote && note.index >= base.index) return note;
  return { sequence: Math.max(note.sequence, firstNote), ...base };
}

/** For a log of which everything is durable. */
export function noteOf(
  sequence: number,
  table: Pick<EntryTable, 'lastIndex' | 'end' | 'termOf' | 'headerCrcOf'>,
): DurableNote {
  const { lastIndex: index, end } = table;
  return { sequence, index, end, term: table.termOf(index), headerCrc: table.headerCrcOf(index) };
}

/** Where the note belongs in the file. */
export function notePosition(note: DurableNote): number {
  return (note.sequence % DURABLE_NOTE_COUNT) * DURABLE_NOTE_SIZE_BYTES;
}

export function encodeNote(note: DurableNote): Uint8Array {
  const bytes = new Uint8Array(DURABLE_NOTE_SIZE_BYTES);
  const view = viewOf(bytes);
  view.setUint32(MAGIC_AT, DURABLE_NOTE_MAGIC);
  view.setUint32(SLOT_AT, note.sequence % DURABLE_NOTE_COUNT);
  writeU64(view, SEQUENCE_AT, note.sequence);
  writeU64(view, INDEX_AT, note.index);
  writeU64(view, END_AT, note.end);
  writeU64(view, TERM_AT, note.term);
  view.setUint32(HEADER_CRC_AT, note.headerCrc);
  view.setUint32(CRC_AT, crc32(bytes.subarray(0, CRC_AT)));
  return bytes;
}

/** A ring file that holds one note. */
export function encodeRing(note: DurableNote): Uint8Array {
  const file = new Uint8Array(DURABLE_RING_SIZE_BYTES);
  file.set(encodeNote(note), notePosition(note));
  return file;
}

/** @returns the newest valid note; null when there is none, which proves nothing. */
export function newestNote(file: Uint8Array): DurableNote | null {
  let newest: DurableNote | null = null;
  for (let slot = 0; slot < DURABLE_NOTE_COUNT; slot++) {
    const at = slot * DURABLE_NOTE_SIZE_BYTES;
    const note = decodeNote(file.subarray(at, at + DURABLE_NOTE_SIZE_BYTES), slot);
    if (note === null) continue;
    if (newest === null || note.sequence > newest.sequence) newest = note;
  }
  return newest;
}

function decodeNote(bytes: Uint8Array, slot: number): DurableNote | null {
  if (bytes.length !== DURABLE_NOTE_SIZE_BYTES) return null;
  const view = viewOf(bytes);
  if (view.getUint32(MAGIC_AT) !== DURABLE_NOTE_MAGIC) return null;
  if (view.getUint32(SLOT_AT) !== slot) return null;
  if (crc32(bytes.subarray(0, CRC_AT)) !== view.getUint32(CRC_AT)) return null;
  const sequence = tryReadU64(view, SEQUENCE_AT);
  const index = tryReadU64(view, INDEX_AT);
  const end = tryReadU64(view, END_AT);
  const term = tryReadU64(view, TERM_AT);
  if (sequence === null || index === null || end === null || term === null) return null;
  return {
    sequence,
    index: LogIndex(index),
    end: PhysicalOffset(end),
    term: Term(term),
    headerCrc: view.getUint32(HEADER_CRC_AT),
  };
}
