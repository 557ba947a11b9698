/**
 * A store's directory as it is: the superblock's slots, the notes of the ring, which segments there are. Of
 * a directory in any state; what is wrong with it is store-damage.ts.
 */
import { InvariantError } from '../../base/assert.ts';
import type { PhysicalOffset } from '../../base/units.ts';
import { CodecError } from '../../protocol/schema.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import {
  DURABLE_NOTE_COUNT,
  DURABLE_NOTE_LAYOUT,
  DURABLE_NOTE_SIZE_BYTES,
  DURABLE_RING_SIZE_BYTES,
  type DurableNote,
  newestNote,
  noteOnBase,
} from '../durable-ring.ts';
import { SEGMENT_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES_MIN } from '../limits.ts';
import { ORIGIN_TIP, tipOfBase } from '../log-base.ts';
import { LogPaths } from '../log-paths.ts';
import type { Tip } from '../repair/region.ts';
import { isZero } from '../scan-remains.ts';
import { decodeSegmentHeader, parseSegmentFileName, type SegmentHeader } from '../segment.ts';
import {
  decodeSuperblock,
  SLOT_COUNT,
  SLOT_SIZE_BYTES,
  SUPERBLOCK_SIZE_BYTES,
  type Superblock,
} from '../superblock.ts';
import { type BaseView, beginOf, generationIn, viewBase } from './base-view.ts';
import { type DerivedView, viewDerived } from './derived-view.ts';
import { fileHead } from './file-head.ts';
import type { ReadDisk } from './read-disk.ts';

/** What the checksum of a note covers, and the checksum. */
const DURABLE_NOTE_END = DURABLE_NOTE_LAYOUT.reduce(
  (end, { at, sizeBytes }) => Math.max(end, at + sizeBytes),
  0,
);

export interface SegmentFile {
  readonly path: string;
  readonly startOffset: PhysicalOffset;
  readonly sizeBytes: number;
}

export interface SuperblockView {
  /** null: no such file. */
  readonly sizeBytes: number | null;
  /** null: damaged. */
  readonly slots: readonly (Superblock | null)[];
  /** What counts; null: nothing does. */
  readonly newest: Superblock | null;
}

export type RingSlot =
  | { readonly kind: 'unused' }
  /** `restIsZero`: nothing behind the note, where no checksum reaches. */
  | { readonly kind: 'note'; readonly note: DurableNote; readonly restIsZero: boolean }
  | { readonly kind: 'damaged' };

export interface RingView {
  readonly sizeBytes: number | null;
  readonly slots: readonly RingSlot[];
  readonly newest: DurableNote | null;
}

/** What every segment says of itself: from the superblock, or else from the segments. */
export interface LogNames {
  readonly clusterId: string;
  readonly groupId: string;
  readonly segmentSizeBytes: number;
}

export interface StoreView {
  /** Of the generation that is looked at. */
  readonly paths: LogPaths;
  readonly superblock: SuperblockView;
  readonly base: BaseView;
  /** What the log stands on; that of a log from its beginning when nobody knows. */
  readonly begin: Tip;
  readonly ring: RingView;
  /** The newest note, as far as it speaks of this log. */
  readonly note: DurableNote | null;
  /** In order, from the base on. */
  readonly segments: readonly SegmentFile[];
  /** null: neither the superblock nor any segment says. */
  readonly names: LogNames | null;
  /** Files in data/ that are no segments: left by a process that was killed, or by somebody. */
  readonly strays: readonly string[];
  /** What the base does not name: the next start removes it. */
  readonly leftovers: readonly string[];
  /** Bytes that recovery has cut off, as files. */
  readonly quarantine: readonly string[];
  readonly derived: DerivedView;
}

export async function viewStore(disk: ReadDisk, directory: string): Promise<StoreView> {
  const top = new LogPaths(directory);
  const superblock = await viewSuperblock(disk, top);
  const base = await viewBase(disk, top, superblock.newest?.identity.storeUuid ?? null);
  const paths = top.at(generationIn(base));
  const begin = beginOf(base) ?? ORIGIN_TIP;
  const names = await disk.list(paths.data);
  const segments: SegmentFile[] = [];
  const leftovers: string[] = [];
  for (const startOffset of names.map(parseSegmentFileName)) {
    if (startOffset === null) continue;
    const path = paths.segment(startOffset);
    if (startOffset < begin.end) leftovers.push(path);
    else segments.push({ path, startOffset, sizeBytes: (await disk.sizeOf(path)) ?? 0 });
  }
  if (base.found.kind === 'base') leftovers.push(...otherGenerations(base, paths));
  const ring = await viewRing(disk, paths);
  return {
    paths,
    superblock,
    base,
    begin,
    ring,
    note: noteIn(ring, base),
    segments,
    names: superblock.newest?.identity ?? (await namesIn(disk, segments)),
    strays: names.filter((name) => parseSegmentFileName(name) === null),
    leftovers,
    quarantine: await disk.list(paths.quarantine),
    derived: await viewDerived(disk, directory),
  };
}

function otherGenerations({ generations }: BaseView, paths: LogPaths): readonly string[] {
  const others = generations.filter((generation) => generation !== paths.generation);
  return others.map((generation) => paths.at(generation).data);
}

/** As start-up takes it. */
export function noteIn({ newest }: RingView, { found }: BaseView): DurableNote | null {
  if (found.kind === 'refuse') return newest;
  return noteOnBase(newest, { ...found.record, base: tipOfBase(found.record.base) });
}

/** Whether anything says that a store was here. */
export function isStore({ superblock, segments }: StoreView): boolean {
  return superblock.sizeBytes !== null || segments.length > 0;
}

export async function viewSuperblock(disk: ReadDisk, paths: LogPaths): Promise<SuperblockView> {
  const { sizeBytes, bytes } = await fileHead(disk, paths.superblock, SUPERBLOCK_SIZE_BYTES);
  const slots = Array.from({ length: SLOT_COUNT }, (_, slot) =>
    slotIn(bytes.subarray(slot * SLOT_SIZE_BYTES, (slot + 1) * SLOT_SIZE_BYTES)),
  );
  const newest = slots.reduce((best, slot) => {
    if (slot === null) return best;
    return best === null || slot.sequence > best.sequence ? slot : best;
  }, null);
  return { sizeBytes, slots, newest };
}

function slotIn(bytes: Uint8Array): Superblock | null {
  try {
    return decodeSuperblock(bytes);
  } catch (error) {
    // A good checksum over fields that no version of ours writes.
    const isForged =
      error instanceof SyntaxError ||
      error instanceof InvariantError ||
      error instanceof CodecError;
    if (!isForged) throw error;
    return null;
  }
}

export async function viewRing(disk: ReadDisk, paths: LogPaths): Promise<RingView> {
  const { sizeBytes, bytes } = await fileHead(disk, paths.durableRing, DURABLE_RING_SIZE_BYTES);
  const file = new Uint8Array(DURABLE_RING_SIZE_BYTES);
  file.set(bytes);
  const slots = Array.from({ length: DURABLE_NOTE_COUNT }, (_, slot) => ringSlotIn(file, slot));
  return { sizeBytes, slots, newest: newestNote(file) };
}

function ringSlotIn(file: Uint8Array, slot: number): RingSlot {
  const at = slot * DURABLE_NOTE_SIZE_BYTES;
  const bytes = file.subarray(at, at + DURABLE_NOTE_SIZE_BYTES);
  if (isZero(bytes)) return { kind: 'unused' };
  // The one note of a file that has no other.
  const alone = new Uint8Array(DURABLE_RING_SIZE_BYTES);
  alone.set(bytes, at);
  const note = newestNote(alone);
  if (note === null) return { kind: 'damaged' };
  return { kind: 'note', note, restIsZero: isZero(bytes.subarray(DURABLE_NOTE_END)) };
}

async function namesIn(disk: ReadDisk, segments: readonly SegmentFile[]): Promise<LogNames | null> {
  for (const segment of segments) {
    const header = await segmentHeaderIn(disk, segment);
    if (header !== null && hasPossibleSize(header)) return header;
  }
  return null;
}

/** null: unused, damaged or not readable. */
export async function segmentHeaderIn(
  disk: ReadDisk,
  { path }: SegmentFile,
): Promise<SegmentHeader | null> {
  const { bytes } = await fileHead(disk, path, SEGMENT_HEADER_SIZE_BYTES);
  if (bytes.length < SEGMENT_HEADER_SIZE_BYTES) return null;
  const result = decodeSegmentHeader(bytes);
  return result.kind === 'header' ? result.header : null;
}

function hasPossibleSize({ segmentSizeBytes }: SegmentHeader): boolean {
  return segmentSizeBytes >= SEGMENT_SIZE_BYTES_MIN && segmentSizeBytes <= SEGMENT_SIZE_BYTES_MAX;
}
