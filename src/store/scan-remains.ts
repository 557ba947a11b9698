/**
 * What lies behind the place where a log's good entries end: nothing but zeros in the normal case, the
 * rest of an unfinished write after a crash, or good entries that damage has cut off. The extent of what is
 * not zero, every good header in it, and every run of good entries are the evidence recovery.ts decides on,
 * and what repair joins on to.
 */
import { advance, LogIndex, type PhysicalOffset } from '../base/units.ts';
import {
  decodeEntryHeader,
  ENTRY_MAGIC,
  type EntryHeader,
  payloadProblem,
  storedSizeBytes,
} from '../protocol/entry-codec.ts';
import { membershipsIn } from '../protocol/membership-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import { SCAN_WINDOW_SIZE_BYTES } from './limits.ts';
import { segmentStartOf } from './log-paths.ts';
import { type Region, RegionList } from './repair/region.ts';
import { readerOf, type ScanOptions } from './scan-options.ts';
import type { SegmentReader } from './segment-reader.ts';

export interface Remains {
  /** Bytes that are not zero, one range per segment, in order. */
  readonly ranges: readonly ByteRange[];
  /** Furthest header that is good in itself and in its place; null when there is none. */
  readonly lastHeader: { readonly index: LogIndex; readonly physicalOffset: PhysicalOffset } | null;
  /** Highest leader commit that those headers state; 0 when there is none. */
  readonly provenCommitIndex: LogIndex;
  /** Good entries, in order. What they mean for the log before them is not looked at. */
  readonly regions: readonly Region[];
  /** What the last good config entry among them says. */
  readonly membership: LoggedMembership | null;
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
  const { segmentSizeBytes } = options.identity;
  const search = new Search(segmentSizeBytes);
  for (const start of options.segments) {
    if (start < segmentStartOf(from, segmentSizeBytes)) continue;
    await search.examine(readerOf(options, start), start, Math.max(0, from - start));
  }
  const { ranges, lastHeader, provenCommitIndex, regions, membership } = search;
  if (ranges.length === 0) return null;
  return { ranges, lastHeader, provenCommitIndex, regions, membership };
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
  membership: LoggedMembership | null = null;
  readonly #list: RegionList;

  constructor(segmentSizeBytes: number) {
    this.#list = new RegionList(segmentSizeBytes);
  }

  get regions(): readonly Region[] {
    return this.#list.regions;
  }

  /** In order of the log: a run of entries goes on in the next segment. */
  async examine(reader: SegmentReader, start: PhysicalOffset, from: number): Promise<void> {
    let firstAt: number | null = null;
    let endAt = 0;
    let position = from;
    while (position < reader.sizeBytes) {
      const sizeBytes = Math.min(SCAN_WINDOW_SIZE_BYTES, reader.sizeBytes - position);
      await reader.load(position, sizeBytes);
      const bytes = reader.bytes(position, sizeBytes);
      const first = indexOfNonZero(bytes);
      if (first !== null) {
        firstAt ??= position + first;
        endAt = Math.max(endAt, position + endOfNonZero(bytes));
      }
      const windowAt = position;
      position += sizeBytes;
      // Inside a good entry there is none, whatever a message contains.
      let passedAt = windowAt;
      for (const place of first === null ? [] : placesOfMagic(bytes)) {
        const at = windowAt + place;
        if (at < passedAt) continue;
        const entry = await this.#entryAt(reader, start, at);
        if (entry === null) continue;
        passedAt = at + entry.desc.sizeBytes;
        endAt = Math.max(endAt, at + storedSizeBytes(entry.desc));
      }
      position = Math.max(position, passedAt);
    }
    if (firstAt === null) return;
    this.ranges.push({ from: advance(start, firstAt), to: advance(start, endAt) });
  }

  /** @returns null when no entry that is good and in its place starts here */
  async #entryAt(
    reader: SegmentReader,
    start: PhysicalOffset,
    position: number,
  ): Promise<EntryHeader | null> {
    const room = reader.sizeBytes - position;
    if (room < ENTRY_HEADER_SIZE_BYTES) return null;
    if (!reader.has(position, ENTRY_HEADER_SIZE_BYTES)) {
      await reader.load(position, ENTRY_HEADER_SIZE_BYTES);
    }
    const decoded = decodeEntryHeader(reader.bytes(position, ENTRY_HEADER_SIZE_BYTES));
    if (decoded.kind !== 'header') return null;
    const { header } = decoded;
    const { desc } = header;
    if (desc.physicalOffset !== start + position) return null;
    this.lastHeader = { index: desc.index, physicalOffset: desc.physicalOffset };
    if (header.leaderCommit > this.provenCommitIndex) this.provenCommitIndex = header.leaderCommit;
    const fits = desc.type === 'filler' ? desc.sizeBytes === room : desc.sizeBytes <= room;
    if (!fits) return null;
    const sizeBytes = storedSizeBytes(desc);
    if (!reader.has(position, sizeBytes)) await reader.load(position, sizeBytes);
    const bytes = reader.bytes(position, sizeBytes);
    if (payloadProblem(bytes, desc) !== null) return null;
    if (desc.type === 'filler') return this.#addFiller(reader, header, position);
    this.#list.add(header, bytes);
    if (desc.type === 'config') this.#rememberMembership(header, bytes);
    return header;
  }

  async #addFiller(
    reader: SegmentReader,
    header: EntryHeader,
    position: number,
  ): Promise<EntryHeader | null> {
    const zerosAt = position + ENTRY_HEADER_SIZE_BYTES;
    const bytes = reader.bytes(position, ENTRY_HEADER_SIZE_BYTES).slice();
    const nonZero = await firstNonZero(reader, zerosAt, position + header.desc.sizeBytes);
    if (nonZero !== null) return null;
    this.#list.add(header, bytes);
    return header;
  }

  /** For the addresses of peers: one that makes no sense is met again when the log is read in order. */
  #rememberMembership({ desc }: EntryHeader, bytes: Uint8Array): void {
    const decoded = membershipsIn([{ desc, bytes }]);
    if (decoded.kind === 'problem') return;
    this.membership = decoded.memberships.at(-1) ?? this.membership;
  }
}

/** Whole words at a time: this runs over a gigabyte at each start after a crash. */
export function indexOfNonZero(bytes: Uint8Array): number | null {
  const words = wordsOf(bytes);
  let word = 0;
  while (word < words.length && words[word] === 0) word++;
  for (let at = word * WORD_SIZE_BYTES; at < bytes.length; at++) {
    if (bytes[at] !== 0) return at;
  }
  return null;
}

/** One past the last byte that is not zero; 0 when all are. */
export function endOfNonZero(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

/** Where an entry header could start. */
export function placesOfMagic(bytes: Uint8Array): readonly number[] {
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
