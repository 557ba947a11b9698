/**
 * Reads a whole log and says what is there: entries as far as they are good and follow from each other, and
 * what lies beyond the first place where they are not. It changes nothing and judges nothing; that is
 * recovery.ts.
 *
 * Good means: header CRC, payload CRC, zero padding, the place the header names is the place it was read
 * from, index and term follow, the chain CRC follows from the entry before, and the segment header says the
 * same, as far as it can be read. Only then can neither a stale nor a misdirected write pass for the entry (H5).
 */
import { assert } from '../base/assert.ts';
import { CorruptionError } from '../base/errors.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../base/units.ts';
import {
  chainCrcOf,
  decodeEntryHeader,
  type EntryHeader,
  payloadProblem,
  storedSizeBytes,
} from '../protocol/entry-codec.ts';
import { membershipsIn } from '../protocol/membership-codec.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  SEGMENT_HEADER_SIZE_BYTES,
} from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import { EntryTable } from './entry-table.ts';
import { readerOf, type ScanOptions } from './scan-options.ts';
import { firstNonZero, isZero, type Remains, scanRemains } from './scan-remains.ts';
import { decodeSegmentHeader, type SegmentHeader, sameHeader } from './segment.ts';
import type { SegmentReader } from './segment-reader.ts';

/** Where the good entries end. */
export interface ScanStop {
  readonly path: string;
  readonly position: number;
  readonly physicalOffset: PhysicalOffset;
  readonly expected: string;
  readonly found: string;
}

export interface ScanFindings {
  readonly table: EntryTable;
  readonly entries: readonly EntryDesc[];
  /** What the config entries among them say. */
  readonly memberships: readonly LoggedMembership[];
  /** Highest leader commit in the headers of `entries`; at least the base. */
  readonly provenCommitIndex: LogIndex;
  /** null: only zeros follow the last entry, as after every orderly end. */
  readonly stop: ScanStop | null;
  /** What is not zero behind the stop; null when nothing is. */
  readonly remains: Remains | null;
  /** Segments of which a copy of the header is damaged, or both are, with what it should be. */
  readonly damagedHeaders: readonly SegmentHeader[];
}

/** @throws CorruptionError when a good config entry holds no membership that makes sense. */
export async function scanLog(options: ScanOptions): Promise<ScanFindings> {
  const walk = new Walk(options);
  const stop = await walk.run();
  const { table, entries, memberships, provenCommitIndex, damagedHeaders } = walk;
  const findings = { table, entries, memberships, provenCommitIndex, damagedHeaders };
  const endsCleanly = stop.found === ZEROS && table.end === options.cleanEnd;
  if (endsCleanly) return { ...findings, stop: null, remains: null };
  const remains = await scanRemains(options, stop.physicalOffset);
  if (stop.found === ZEROS && remains === null) return { ...findings, stop: null, remains };
  return { ...findings, stop, remains };
}

const ZEROS = 'zeros';

class Walk {
  readonly table: EntryTable;
  readonly entries: EntryDesc[] = [];
  readonly memberships: LoggedMembership[] = [];
  readonly damagedHeaders: SegmentHeader[] = [];
  provenCommitIndex: LogIndex;
  readonly #options: ScanOptions;

  constructor(options: ScanOptions) {
    this.#options = options;
    this.table = new EntryTable(options.base);
    this.provenCommitIndex = options.base.index;
  }

  async run(): Promise<ScanStop> {
    const { paths, segments } = this.#options;
    for (const start of segments) {
      const reader = readerOf(this.#options, start);
      const stop =
        (await this.#checkHeader(reader, start)) ?? (await this.#readEntries(reader, start));
      if (stop !== null) return stop;
    }
    const end = this.table.end;
    return {
      path: paths.segment(end),
      position: 0,
      physicalOffset: end,
      expected: '',
      found: ZEROS,
    };
  }

  async #checkHeader(reader: SegmentReader, start: PhysicalOffset): Promise<ScanStop | null> {
    const { clusterId, groupId, segmentSizeBytes } = this.#options.identity;
    const last = this.table.lastIndex;
    const wanted: SegmentHeader = {
      clusterId,
      groupId,
      startOffset: start,
      segmentSizeBytes,
      startIndex: advance(last, 1),
      prevTerm: this.table.termOf(last),
      prevHeaderCrc: this.table.headerCrcOf(last),
    };
    const expected = `a segment header for ${clusterId}/${groupId} starting with entry ${last + 1}`;
    const stop = { path: reader.path, position: 0, physicalOffset: start, expected };
    await reader.load(0, SEGMENT_HEADER_SIZE_BYTES);
    const result = decodeSegmentHeader(reader.bytes(0, SEGMENT_HEADER_SIZE_BYTES));
    if (result.kind !== 'header' || !sameHeader(result.header, wanted)) {
      // The header is a function of the log: an entry that goes on from the one before says it again.
      if (await this.#goesOn(reader, start)) {
        this.damagedHeaders.push(wanted);
        return null;
      }
      if (result.kind === 'zero') return { ...stop, found: ZEROS };
      if (result.kind === 'damaged') return { ...stop, found: 'a damaged header' };
      return { ...stop, found: `another header: ${JSON.stringify(result.header)}` };
    }
    if (result.damagedCopies > 0) this.damagedHeaders.push(wanted);
    return null;
  }

  async #goesOn(reader: SegmentReader, start: PhysicalOffset): Promise<boolean> {
    const position = SEGMENT_HEADER_SIZE_BYTES;
    if (!reader.has(position, ENTRY_HEADER_SIZE_BYTES)) {
      await reader.load(position, ENTRY_HEADER_SIZE_BYTES);
    }
    const bytes = reader.bytes(position, ENTRY_HEADER_SIZE_BYTES);
    const decoded = decodeEntryHeader(bytes);
    if (decoded.kind !== 'header') return false;
    const place = advance(start, position);
    if (this.#misfitOf(decoded.header, bytes, place, reader.sizeBytes) !== null) return false;
    return (await this.#problemOfBody(reader, position, decoded.header.desc)) === null;
  }

  /** @returns null at the end of a full segment. */
  async #readEntries(reader: SegmentReader, start: PhysicalOffset): Promise<ScanStop | null> {
    let position = SEGMENT_HEADER_SIZE_BYTES;
    while (position < reader.sizeBytes) {
      const stop = {
        path: reader.path,
        position,
        physicalOffset: advance(start, position),
        expected: `entry ${this.table.lastIndex + 1}`,
      };
      const headerSizeBytes = Math.min(ENTRY_HEADER_SIZE_BYTES, reader.sizeBytes - position);
      if (!reader.has(position, headerSizeBytes)) await reader.load(position, headerSizeBytes);
      const decoded = decodeEntryHeader(reader.bytes(position, headerSizeBytes));
      if (decoded.kind !== 'header') {
        const isEnd = isZero(reader.bytes(position, headerSizeBytes));
        return { ...stop, found: isEnd ? ZEROS : `bytes that are no entry (${decoded.kind})` };
      }
      const { header } = decoded;
      const headerBytes = reader.bytes(position, ENTRY_HEADER_SIZE_BYTES);
      const misfit = this.#misfitOf(header, headerBytes, stop.physicalOffset, reader.sizeBytes);
      if (misfit !== null) return { ...stop, found: misfit };
      const problem = await this.#problemOfBody(reader, position, header.desc);
      if (problem !== null) return { ...stop, found: `the entry with a damaged body (${problem})` };
      this.#rememberMembership(reader, position, header.desc);
      this.#accept(header);
      position += header.desc.sizeBytes;
    }
    assert(position === reader.sizeBytes, 'no entry straddles segments');
    return null;
  }

  /** What a good header says that does not follow from the entries before it. */
  #misfitOf(
    header: EntryHeader,
    headerBytes: Uint8Array,
    place: PhysicalOffset,
    segmentSizeBytes: number,
  ): string | null {
    const { desc } = header;
    const last = this.table.lastIndex;
    if (desc.physicalOffset !== place) return `an entry that belongs at ${desc.physicalOffset}`;
    if (desc.index !== last + 1) return `entry ${desc.index}`;
    if (desc.term < this.table.termOf(last)) return `an entry of the earlier term ${desc.term}`;
    if (header.chainCrc !== chainCrcOf(headerBytes, this.table.headerCrcOf(last))) {
      return 'an entry that does not follow the one before it';
    }
    const room = segmentSizeBytes - (place % segmentSizeBytes);
    if (desc.sizeBytes > room) return 'an entry that leaves its segment';
    if (desc.type === 'filler' && desc.sizeBytes !== room) return 'a filler of another size';
    return null;
  }

  async #problemOfBody(
    reader: SegmentReader,
    position: number,
    desc: EntryDesc,
  ): Promise<string | null> {
    const sizeBytes = storedSizeBytes(desc);
    if (!reader.has(position, sizeBytes)) await reader.load(position, sizeBytes);
    const problem = payloadProblem(reader.bytes(position, sizeBytes), desc);
    if (problem !== null) return this.#options.forgives?.(problem) === true ? null : problem;
    if (desc.type !== 'filler') return null;
    const nonZero = await firstNonZero(reader, position + sizeBytes, position + desc.sizeBytes);
    return nonZero === null ? null : 'badPadding';
  }

  /**
   * All checksums are right: somebody wrote it so, and cutting it off as torn would be a guess about
   * who votes.
   */
  #rememberMembership(reader: SegmentReader, position: number, desc: EntryDesc): void {
    if (desc.type !== 'config') return;
    const bytes = reader.bytes(position, storedSizeBytes(desc));
    const decoded = membershipsIn([{ desc, bytes }]);
    if (decoded.kind === 'problem') {
      const place = `${reader.path} at byte ${position}`;
      throw new CorruptionError(`Cannot read the log, ${place}: ${decoded.problem}`);
    }
    this.memberships.push(...decoded.memberships);
  }

  #accept(header: EntryHeader): void {
    this.table.append(header.desc, header.headerCrc);
    this.entries.push(header.desc);
    if (header.leaderCommit > this.provenCommitIndex) this.provenCommitIndex = header.leaderCommit;
  }
}
