/**
 * The log as it lies on the device, against what is known of it: every byte of every durable entry, its
 * segment's header, and the zeros of fillers. What is known is the table of entries in memory, whose header
 * CRCs were checked when the entries came; so an old entry with good checksums of its own is found as
 * well (H5). Reads go past the tail cache and, where the platform can, past the page cache.
 *
 * The log changes meanwhile: entries are cut, and what was cut is no damage. So a stretch is judged only
 * when the table still says after the read what it said before.
 */
import { assert } from '../../base/assert.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../../base/units.ts';
import { type Disk, DiskError } from '../../io/disk.ts';
import { chainCrcOf, verifyEntry } from '../../protocol/entry-codec.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { StoreIdentity } from '../commit-log.ts';
import type { EntryTable } from '../entry-table.ts';
import { type LogPaths, segmentStartOf } from '../log-paths.ts';
import { indexOfNonZero } from '../scan-remains.ts';
import { encodeSegmentHeader } from '../segment.ts';
import { SCRUB_READ_ENTRIES_MAX } from './limits.ts';

/** What there is of a segment that is durable. */
export interface SegmentExtent {
  readonly startOffset: PhysicalOffset;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** From its first byte to the end of that entry. */
  readonly sizeBytes: number;
}

export interface LogDamage {
  /** `device`: the system still remembers good bytes, so readers get those. */
  readonly extent: 'device' | 'everywhere';
  readonly path: string;
  /** In the file. */
  readonly position: number;
  /** The entry, or the first one behind a segment header. */
  readonly index: LogIndex;
  readonly found: string;
}

export type CheckOutcome =
  | {
      readonly kind: 'good';
      readonly lastIndex: LogIndex;
      readonly sizeBytes: number;
      readonly isFromDevice: boolean;
      /** The first read was bad and the second was not: the way from the device, not what is on it. */
      readonly wasFlaky: boolean;
      /** The entries as they are on every disk, fillers by their headers; valid until the next check. */
      readonly entries: readonly Uint8Array[];
    }
  | {
      readonly kind: 'damaged';
      readonly lastIndex: LogIndex;
      readonly sizeBytes: number;
      /** At least one, in the order of their places. */
      readonly damages: readonly LogDamage[];
    }
  /** Cut or removed meanwhile. */
  | { readonly kind: 'gone' };

/** The port of scrubbing and verifying to the log. */
export interface LogOnDisk {
  /** Ascending. */
  segments(): readonly SegmentExtent[];
  /**
   * Reads and checks entries from `from` on, at least one, at most to `to`, to the end of the segment, and
   * about `sizeBytesMax`; with the first entry of a segment also its header.
   * @throws DiskError when the disk says something else than that it cannot read these bytes
   */
  check(from: LogIndex, to: LogIndex, sizeBytesMax: number): Promise<CheckOutcome>;
}

export interface LogOnDiskParts {
  readonly disk: Pick<Disk, 'read' | 'readPastCache'>;
  /** Of the log of now: another one may take its place (H18). */
  readonly paths: () => LogPaths;
  readonly identity: StoreIdentity;
  readonly table: EntryTable;
  readonly durableIndex: () => LogIndex;
}

/** What the table says of a stretch, before it is read. */
interface Stretch {
  readonly path: string;
  readonly segment: PhysicalOffset;
  readonly position: number;
  readonly sizeBytes: number;
  /** What its first bytes must be; empty but at the start of a segment. */
  readonly head: Uint8Array;
  readonly prevHeaderCrc: number;
  readonly entries: readonly KnownEntry[];
}

interface KnownEntry {
  readonly index: LogIndex;
  /** In the stretch. */
  readonly at: number;
  readonly sizeBytes: number;
  readonly storedSizeBytes: number;
  readonly headerCrc: number;
}

interface Problem {
  /** In the stretch. */
  readonly at: number;
  readonly index: LogIndex;
  readonly found: string;
}

interface Look {
  /** In the order of their places; none: all is good. */
  readonly problems: readonly Problem[];
  readonly entries: readonly Uint8Array[];
  readonly isFromDevice: boolean;
}

export class SegmentedLogOnDisk implements LogOnDisk {
  readonly #parts: LogOnDiskParts;

  constructor(parts: LogOnDiskParts) {
    this.#parts = parts;
  }

  segments(): readonly SegmentExtent[] {
    const { table, identity, durableIndex } = this.#parts;
    const { segmentSizeBytes } = identity;
    const durable = durableIndex();
    const extents: SegmentExtent[] = [];
    let firstIndex = table.firstIndex;
    while (firstIndex <= durable) {
      const startOffset = segmentStartOf(table.offsetOf(firstIndex), segmentSizeBytes);
      const next = table.indexAt(advance(startOffset, segmentSizeBytes - 1));
      const lastIndex = Math.min(next ?? durable, durable) as LogIndex;
      const sizeBytes = table.endOf(lastIndex) - startOffset;
      extents.push({ startOffset, firstIndex, lastIndex, sizeBytes });
      firstIndex = advance(lastIndex, 1);
    }
    return extents;
  }

  async check(from: LogIndex, to: LogIndex, sizeBytesMax: number): Promise<CheckOutcome> {
    const stretch = this.#stretchOf(from, to, sizeBytesMax);
    const last = stretch?.entries.at(-1);
    if (stretch === null || last === undefined) return { kind: 'gone' };
    const read = { lastIndex: last.index, sizeBytes: stretch.sizeBytes };
    const first = await this.#look(stretch, 'device');
    if (!this.#isCurrent(stretch)) return { kind: 'gone' };
    const { isFromDevice } = first;
    if (first.problems.length === 0) {
      return { kind: 'good', ...read, isFromDevice, wasFlaky: false, entries: first.entries };
    }
    const second = await this.#look(stretch, 'device');
    const remembered = await this.#look(stretch, 'system');
    if (!this.#isCurrent(stretch)) return { kind: 'gone' };
    if (second.problems.length === 0) {
      return { kind: 'good', ...read, isFromDevice, wasFlaky: true, entries: second.entries };
    }
    const { path, position } = stretch;
    const damages = second.problems.map(({ at, index, found }): LogDamage => {
      const isRemembered = !remembered.problems.some((problem) => problem.at === at);
      const extent = isRemembered ? 'device' : 'everywhere';
      return { extent, path, position: position + at, index, found };
    });
    return { kind: 'damaged', ...read, damages };
  }

  #stretchOf(from: LogIndex, to: LogIndex, sizeBytesMax: number): Stretch | null {
    const { table, identity, paths, durableIndex } = this.#parts;
    const end = Math.min(to, durableIndex(), from + SCRUB_READ_ENTRIES_MAX - 1);
    if (!table.has(from) || from > end) return null;
    const { segmentSizeBytes } = identity;
    const offset = table.offsetOf(from);
    const segment = segmentStartOf(offset, segmentSizeBytes);
    const isFirst = offset === segment + SEGMENT_HEADER_SIZE_BYTES;
    const start = isFirst ? segment : offset;
    const entries: KnownEntry[] = [];
    let sizeBytes = offset - start;
    for (let index = from; index <= end; index = advance(index, 1)) {
      const entrySizeBytes = table.sizeOf(index);
      const isOther = table.offsetOf(index) >= segment + segmentSizeBytes;
      if (isOther || (index > from && sizeBytes + entrySizeBytes > sizeBytesMax)) break;
      const sizes = {
        sizeBytes: entrySizeBytes,
        storedSizeBytes: table.storedSizeOf(index),
      };
      entries.push({ index, at: sizeBytes, ...sizes, headerCrc: table.headerCrcOf(index) });
      sizeBytes += entrySizeBytes;
    }
    const prevHeaderCrc = table.headerCrcOf((from - 1) as LogIndex);
    const head = isFirst ? this.#segmentHeader(segment, from) : new Uint8Array(0);
    const path = paths().segment(segment);
    const position = start - segment;
    return { path, segment, position, sizeBytes, head, prevHeaderCrc, entries };
  }

  #segmentHeader(startOffset: PhysicalOffset, startIndex: LogIndex): Uint8Array {
    const { table, identity } = this.#parts;
    const { clusterId, groupId, segmentSizeBytes } = identity;
    const prev = (startIndex - 1) as LogIndex;
    return encodeSegmentHeader({
      ...{ clusterId, groupId, startOffset, segmentSizeBytes, startIndex },
      prevTerm: table.termOf(prev),
      prevHeaderCrc: table.headerCrcOf(prev),
    });
  }

  #isCurrent({ entries }: Stretch): boolean {
    const { table } = this.#parts;
    // The chain covers what is before: when the last entry is the same, all of them are.
    const last = entries.at(-1);
    return (
      last !== undefined &&
      table.has(last.index) &&
      table.headerCrcOf(last.index) === last.headerCrc
    );
  }

  async #look(stretch: Stretch, way: 'device' | 'system'): Promise<Look> {
    const { disk } = this.#parts;
    const { path, position, sizeBytes } = stretch;
    try {
      const { bytes, isFromDevice } =
        way === 'device'
          ? await disk.readPastCache(path, position, sizeBytes)
          : { bytes: await disk.read(path, position, sizeBytes), isFromDevice: false };
      return { ...judge(stretch, bytes), isFromDevice };
    } catch (error) {
      if (!(error instanceof DiskError) || !READ_TROUBLE.has(error.code)) throw error;
      const found = `nothing: the disk cannot read it (${error.code})`;
      const problems = [{ at: 0, index: firstIndexOf(stretch), found }];
      return { problems, entries: [], isFromDevice: way === 'device' };
    }
  }
}

/** What a disk says of bytes that are lost: a sector, or the file. */
const READ_TROUBLE: ReadonlySet<string> = new Set(['EIO', 'ENOENT']);

function firstIndexOf({ entries }: Stretch): LogIndex {
  const [first] = entries;
  assert(first !== undefined, 'a stretch has an entry');
  return first.index;
}

function judge(stretch: Stretch, bytes: Uint8Array): Pick<Look, 'problems' | 'entries'> {
  const { head, entries } = stretch;
  const firstIndex = firstIndexOf(stretch);
  if (bytes.length < stretch.sizeBytes) {
    const found = `the end of the file, ${stretch.sizeBytes - bytes.length} bytes too early`;
    return { problems: [{ at: bytes.length, index: firstIndex, found }], entries: [] };
  }
  const problems: Problem[] = [];
  const differsAt = head.findIndex((byte, at) => bytes[at] !== byte);
  if (differsAt >= 0) {
    problems.push({ at: differsAt, index: firstIndex, found: 'another segment header' });
  }
  const good: Uint8Array[] = [];
  let prevHeaderCrc = stretch.prevHeaderCrc;
  for (const entry of entries) {
    const { at, sizeBytes, storedSizeBytes, index, headerCrc } = entry;
    const stored = bytes.subarray(at, at + storedSizeBytes);
    const problem = problemOf(entry, stored, prevHeaderCrc);
    const nonZero = indexOfNonZero(bytes.subarray(at + storedSizeBytes, at + sizeBytes));
    if (problem !== null) problems.push({ at, index, found: problem });
    else if (nonZero === null) good.push(stored);
    else {
      const found = 'a byte that is not zero behind a filler';
      problems.push({ at: at + storedSizeBytes + nonZero, index, found });
    }
    prevHeaderCrc = headerCrc;
  }
  return { problems, entries: good };
}

function problemOf(
  { index, headerCrc }: KnownEntry,
  stored: Uint8Array,
  prevHeaderCrc: number,
): string | null {
  const verified = verifyEntry(stored);
  if (verified.kind !== 'entry') return `bytes that are not entry ${index} (${verified.kind})`;
  const { header } = verified;
  if (header.headerCrc !== headerCrc) return `another entry, ${header.desc.index}`;
  if (header.chainCrc !== chainCrcOf(stored, prevHeaderCrc)) {
    return `entry ${index}, which does not follow the one before it`;
  }
  return null;
}

export function damageText({ path, position, index, found, extent }: LogDamage): string {
  const where = extent === 'device' ? ' on the device, though the system remembers it right' : '';
  return `entry ${index} in ${path} at byte ${position} is damaged${where}: found ${found}`;
}
