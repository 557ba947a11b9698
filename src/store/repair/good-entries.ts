/**
 * Reads entries of a damaged log where they are good: in its beginning, of which every entry is known, and
 * in the runs behind its holes, of which places are known here and there.
 */
import { CorruptionError } from '../../base/errors.ts';
import { advance, LogIndex, type PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { decodeEntryHeader, storedSizeBytes, verifyEntry } from '../../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, skipSegmentHeader } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { EntryTable } from '../entry-table.ts';
import { type LogPaths, segmentStartOf } from '../log-paths.ts';
import type { ScanFindings } from '../scan.ts';
import { SegmentReader } from '../segment-reader.ts';
import type { Mark, Region } from './region.ts';
import {
  NOTHING_COMMITTED,
  type RepairAnswer,
  type RepairRange,
  unlessRotten,
} from './repair-source.ts';

export interface GoodEntriesParts {
  readonly disk: Pick<Disk, 'read'>;
  readonly paths: LogPaths;
  readonly segmentSizeBytes: number;
}

export class GoodEntries {
  readonly #parts: GoodEntriesParts;

  constructor(parts: GoodEntriesParts) {
    this.#parts = parts;
  }

  /** What a peer gets. A run behind a hole may be stale: only by its chain can it be of use. */
  async answer(
    { table, provenCommitIndex }: Pick<ScanFindings, 'table' | 'provenCommitIndex'>,
    regions: readonly Region[],
    range: RepairRange,
  ): Promise<RepairAnswer> {
    const { firstIndex } = table;
    const anchor = range.anchor === 'first' ? range.from : range.to;
    if (anchor > table.lastIndex) {
      const region = regions.find(({ tip }) => tip.index >= anchor);
      const entries = await unlessRotten(async () =>
        region === undefined ? [] : this.#ofRegion(region, range),
      );
      return { entries, committed: NOTHING_COMMITTED, firstIndex };
    }
    const index = LogIndex(Math.min(provenCommitIndex, table.lastIndex));
    const committed = { index, term: table.termOf(index) };
    const entries = await unlessRotten(() => this.#ofPrefix(table, range));
    return { entries, committed, firstIndex };
  }

  async #ofPrefix(table: EntryTable, range: RepairRange): Promise<readonly StoredEntry[]> {
    let from = Math.max(range.from, table.firstIndex) as LogIndex;
    if (range.anchor === 'first' && from !== range.from) return [];
    const to = Math.min(range.to, table.lastIndex) as LogIndex;
    if (range.anchor === 'last') {
      if (to !== range.to || to < from) return [];
      from = firstWithin(table, from, to, range.sizeBytesMax);
    }
    if (from > to) return [];
    const mark = { index: from, physicalOffset: table.offsetOf(from) };
    return this.#walk(mark, { ...range, from, to });
  }

  async #ofRegion(region: Region, range: RepairRange): Promise<readonly StoredEntry[]> {
    const anchor = range.anchor === 'first' ? range.from : range.to;
    if (anchor < region.firstIndex || anchor > region.tip.index) return [];
    const mark = region.marks.findLast(({ index }) => index <= anchor);
    if (mark === undefined) return [];
    const to = Math.min(range.to, region.tip.index) as LogIndex;
    const from = Math.max(range.from, mark.index) as LogIndex;
    return this.#walk(mark, { ...range, from, to });
  }

  /** From entry to entry, each checked; of more than fit those next to the anchor. */
  async #walk(mark: Mark, range: RepairRange): Promise<readonly StoredEntry[]> {
    const { segmentSizeBytes } = this.#parts;
    const entries: StoredEntry[] = [];
    let sizeBytes = 0;
    let place = mark.physicalOffset;
    let reader = this.#readerAt(place);
    for (let index = mark.index; index <= range.to; index = advance(index, 1)) {
      const entry = await entryAt(reader, place, segmentSizeBytes);
      if (entry?.desc.index !== index) throw new CorruptionError(`Entry ${index} is not good`);
      const end = advance(place, entry.desc.sizeBytes);
      place = skipSegmentHeader(end, segmentSizeBytes);
      if (place !== end && index < range.to) reader = this.#readerAt(place);
      if (index < range.from) continue;
      sizeBytes += entry.bytes.length;
      if (sizeBytes > range.sizeBytesMax && entries.length > 0 && range.anchor === 'first') break;
      entries.push(entry);
      while (sizeBytes > range.sizeBytesMax && entries.length > 1) {
        sizeBytes -= entries.shift()?.bytes.length ?? 0;
      }
    }
    return entries;
  }

  #readerAt(place: PhysicalOffset): SegmentReader {
    const { disk, paths, segmentSizeBytes } = this.#parts;
    const path = paths.segment(segmentStartOf(place, segmentSizeBytes));
    return new SegmentReader(disk, { path, sizeBytes: segmentSizeBytes });
  }
}

/** @returns null when there is none that is good */
async function entryAt(
  reader: SegmentReader,
  place: PhysicalOffset,
  segmentSizeBytes: number,
): Promise<StoredEntry | null> {
  const position = place % segmentSizeBytes;
  const room = segmentSizeBytes - position;
  if (room < ENTRY_HEADER_SIZE_BYTES) return null;
  const header = await loaded(reader, position, ENTRY_HEADER_SIZE_BYTES);
  const decoded = decodeEntryHeader(header);
  if (decoded.kind !== 'header' || decoded.header.desc.physicalOffset !== place) return null;
  const { desc } = decoded.header;
  const sizeBytes = storedSizeBytes(desc);
  if (sizeBytes > room) return null;
  const bytes = (await loaded(reader, position, sizeBytes)).slice();
  return verifyEntry(bytes).kind === 'entry' ? { desc, bytes } : null;
}

async function loaded(
  reader: SegmentReader,
  position: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  if (!reader.has(position, sizeBytes)) await reader.load(position, sizeBytes);
  return reader.bytes(position, sizeBytes);
}

/** The first of the entries up to `to` that fit in the bound together; at least `to`. */
function firstWithin(
  table: EntryTable,
  from: LogIndex,
  to: LogIndex,
  sizeBytesMax: number,
): LogIndex {
  let first = to;
  let sizeBytes = table.storedSizeOf(to);
  while (first > from) {
    sizeBytes += table.storedSizeOf(advance(first, -1));
    if (sizeBytes > sizeBytesMax) break;
    first = advance(first, -1);
  }
  return first;
}
