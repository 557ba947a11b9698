/**
 * What lies behind the place where a log's good entries end: nothing but zeros in the normal case, the
 * rest of an unfinished write after a crash, or good entries that damage has cut off. The extent of what is
 * not zero, and every good header in it, is the evidence recovery.ts decides on.
 */
import { advance, LogIndex, type PhysicalOffset } from '../base/units.ts';
import { decodeEntryHeader, ENTRY_MAGIC } from '../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import { SCAN_WINDOW_SIZE_BYTES } from './limits.ts';
import { segmentStartOf } from './log-paths.ts';
import type { ScanOptions } from './scan-options.ts';
import { SegmentReader } from './segment-reader.ts';

export interface Remains {
  /** Bytes that are not zero, one range per segment, in order. */
  readonly ranges: readonly ByteRange[];
  /** Furthest header that is good in itself and in its place; null when there is none. */
  readonly lastHeader: { readonly index: LogIndex; readonly physicalOffset: PhysicalOffset } | null;
  /** Highest leader commit that those headers state; 0 when there is none. */
  readonly provenCommitIndex: LogIndex;
}

export interface ByteRange {
  readonly from: PhysicalOffset;
  /** Exclusive. */
  readonly to: PhysicalOffset;
}

/** Entries start at multiples of 8, which is two words. */
const WORD_SIZE_BYTES = 4;
const WORDS_PER_PLACE = 2;
const MAGIC_WORD = new Int32Array(magicBytes().buffer)[0];

/** @returns null when every byte from `from` to the end of the last segment is zero. */
export async function scanRemains(
  options: ScanOptions,
  from: PhysicalOffset,
): Promise<Remains | null> {
  const search = new Search();
  const { disk, paths, segments, identity } = options;
  for (const start of segments) {
    if (start < segmentStartOf(from, identity.segmentSizeBytes)) continue;
    const reader = new SegmentReader(disk, paths.segment(start), identity.segmentSizeBytes);
    await search.examine(reader, start, Math.max(0, from - start));
  }
  const { ranges, lastHeader, provenCommitIndex } = search;
  return ranges.length === 0 ? null : { ranges, lastHeader, provenCommitIndex };
}

/** @returns the position of the first byte in [from, to) that is not zero. */
export async function firstNonZero(
  reader: SegmentReader,
  from: number,
  to: number,
): Promise<number | null> {
  for (let position = from; position < to; position += SCAN_WINDOW_SIZE_BYTES) {
    const sizeBytes = Math.min(SCAN_WINDOW_SIZE_BYTES, to - position);
    await reader.load(position, sizeBytes);
    const at = indexOfNonZero(reader.bytes(position, sizeBytes));
    if (at !== null) return position + at;
  }
  return null;
}

export function isZero(bytes: Uint8Array): boolean {
  return indexOfNonZero(bytes) === null;
}

class Search {
  readonly ranges: ByteRange[] = [];
  lastHeader: Remains['lastHeader'] = null;
  provenCommitIndex = LogIndex(0);

  async examine(reader: SegmentReader, start: PhysicalOffset, from: number): Promise<void> {
    let firstAt: number | null = null;
    let endAt = 0;
    for (let position = from; position < reader.sizeBytes; position += SCAN_WINDOW_SIZE_BYTES) {
      const sizeBytes = Math.min(SCAN_WINDOW_SIZE_BYTES, reader.sizeBytes - position);
      await reader.load(position, sizeBytes);
      const bytes = reader.bytes(position, sizeBytes);
      const first = indexOfNonZero(bytes);
      if (first === null) continue;
      firstAt ??= position + first;
      endAt = position + endOfNonZero(bytes);
      for (const place of placesOfMagic(bytes)) {
        await this.#considerHeader(reader, start, position + place);
      }
    }
    if (firstAt === null) return;
    this.ranges.push({ from: advance(start, firstAt), to: advance(start, endAt) });
  }

  async #considerHeader(
    reader: SegmentReader,
    start: PhysicalOffset,
    position: number,
  ): Promise<void> {
    if (position + ENTRY_HEADER_SIZE_BYTES > reader.sizeBytes) return;
    if (!reader.has(position, ENTRY_HEADER_SIZE_BYTES)) {
      await reader.load(position, ENTRY_HEADER_SIZE_BYTES);
    }
    const decoded = decodeEntryHeader(reader.bytes(position, ENTRY_HEADER_SIZE_BYTES));
    if (decoded.kind !== 'header') return;
    const { desc, leaderCommit } = decoded.header;
    if (desc.physicalOffset !== start + position) return;
    this.lastHeader = { index: desc.index, physicalOffset: desc.physicalOffset };
    if (leaderCommit > this.provenCommitIndex) this.provenCommitIndex = leaderCommit;
  }
}

/** Whole words at a time: this runs over a gigabyte at each start after a crash. */
function indexOfNonZero(bytes: Uint8Array): number | null {
  const words = wordsOf(bytes);
  let word = 0;
  while (word < words.length && words[word] === 0) word++;
  for (let at = word * WORD_SIZE_BYTES; at < bytes.length; at++) {
    if (bytes[at] !== 0) return at;
  }
  return null;
}

function endOfNonZero(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function placesOfMagic(bytes: Uint8Array): readonly number[] {
  const words = wordsOf(bytes);
  const places: number[] = [];
  for (let word = 0; word < words.length; word += WORDS_PER_PLACE) {
    if (words[word] === MAGIC_WORD) places.push(word * WORD_SIZE_BYTES);
  }
  return places;
}

/** A view where the platform allows one; what does not fill a word at the end is left out. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const wordCount = Math.floor(bytes.length / WORD_SIZE_BYTES);
  const isAligned = bytes.byteOffset % WORD_SIZE_BYTES === 0;
  const aligned = isAligned ? bytes : bytes.slice();
  return new Int32Array(aligned.buffer, aligned.byteOffset, wordCount);
}

/** The magic as it lies in a file, to be compared as a word of this machine. */
function magicBytes(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(WORD_SIZE_BYTES);
  new DataView(bytes.buffer).setUint32(0, ENTRY_MAGIC);
  return bytes;
}
