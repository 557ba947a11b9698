/**
 * Reads the segments of a backup from the first byte to the last and checks every one of them: segment headers,
 * headers and bodies of entries, padding, the zeros of fillers, places, and the chain from the base on. So a
 * walk that reaches the last entry has proven the whole log, whatever wrote the files.
 *
 * Bounded: holds one window, or one entry where that is larger.
 */
import { createHash, type Hash } from 'node:crypto';
import { viewOf } from '../../base/bytes.ts';
import { CorruptionError } from '../../base/errors.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import type { BackupBase } from '../../protocol/backup.ts';
import {
  decodeEntryHeader,
  type EntryHeader,
  payloadProblem,
  storedSizeBytes,
} from '../../protocol/entry-codec.ts';
import { decodeMembership } from '../../protocol/membership-codec.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES, SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import { tipOfBase } from '../log-base.ts';
import { follows, type Tip, tipOf } from '../repair/region.ts';
import { encodeSegmentHeader } from '../segment.ts';
import { SegmentReader } from '../segment-reader.ts';
import type { BackupIdentity } from './backup-facts.ts';
import { segmentName } from './backup-paths.ts';
import { BACKUP_PIECE_SIZE_BYTES } from './limits.ts';
import type { BackupFile } from './manifest.ts';

export interface WalkOptions {
  readonly disk: Pick<Disk, 'read' | 'sizeOf'>;
  /** Where the segment lies. */
  readonly pathOf: (start: PhysicalOffset) => Promise<string>;
  readonly identity: BackupIdentity;
  readonly base: BackupBase;
  /** Where the backup ends. */
  readonly lastIndex: LogIndex;
  readonly signal: AbortSignal;
  /** Every byte of every file, in order; a view that is valid until it resolves. */
  readonly onPiece: (piece: WalkedPiece) => Promise<void>;
}

export interface WalkedPiece {
  /** Of the segment. */
  readonly start: PhysicalOffset;
  readonly position: number;
  readonly bytes: Uint8Array;
}

export interface WalkedLog {
  readonly tip: Tip;
  /** Why it does not go on behind the tip; null: it reached the end. */
  readonly problem: string | null;
  readonly files: readonly BackupFile[];
  /** What the config entries say. */
  readonly memberships: readonly LoggedMembership[];
  readonly entryCount: number;
  readonly messageCount: number;
}

/** Rejects only with DiskError, or with what the signal was aborted with. */
export async function walkLog(options: WalkOptions): Promise<WalkedLog> {
  const walk = new Walk(options);
  try {
    await walk.run();
    return walk.outcome(null);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return walk.outcome(error.message);
  }
}

class Walk {
  readonly #options: WalkOptions;
  readonly #files: BackupFile[] = [];
  readonly #memberships: LoggedMembership[] = [];
  #tip: Tip;
  #entryCount = 0;
  #messageCount = 0;
  #hash: Hash = createHash('sha256');

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#tip = tipOfBase(options.base);
  }

  outcome(problem: string | null): WalkedLog {
    return {
      ...{ tip: this.#tip, problem, files: this.#files, memberships: this.#memberships },
      ...{ entryCount: this.#entryCount, messageCount: this.#messageCount },
    };
  }

  async run(): Promise<void> {
    while (this.#tip.index < this.#options.lastIndex) await this.#segment(this.#tip.end);
  }

  async #segment(start: PhysicalOffset): Promise<void> {
    const { disk, pathOf, identity, lastIndex, signal } = this.#options;
    const path = await pathOf(start);
    const sizeBytes = await disk.sizeOf(path);
    if (sizeBytes === null) throw new CorruptionError(`${path} is missing`);
    const wholeSizeBytes = Math.min(sizeBytes, identity.segmentSizeBytes);
    const reader = new SegmentReader(disk, { path, sizeBytes: wholeSizeBytes });
    this.#hash = createHash('sha256');
    await this.#header(reader, start);
    let position = SEGMENT_HEADER_SIZE_BYTES;
    while (position < identity.segmentSizeBytes && this.#tip.index < lastIndex) {
      signal.throwIfAborted();
      position += await this.#entry(reader, start, position);
    }
    if (sizeBytes !== position) {
      throw new CorruptionError(`${path} has ${sizeBytes} bytes, its entries end at ${position}`);
    }
    this.#files.push({ path: segmentName(start), sizeBytes, sha256: this.#hash.digest('hex') });
  }

  async #header(reader: SegmentReader, start: PhysicalOffset): Promise<void> {
    const { identity } = this.#options;
    const wanted = headerAfter(this.#tip, identity, start);
    const bytes = await bytesAt(reader, 0, SEGMENT_HEADER_SIZE_BYTES);
    if (Buffer.compare(bytes, wanted) !== 0) {
      throw new CorruptionError(
        `${reader.path} has no header of ${identity.clusterId}/${identity.groupId} for entry ${this.#tip.index + 1}`,
      );
    }
    await this.#piece(start, 0, bytes);
  }

  /** @returns its size */
  async #entry(reader: SegmentReader, start: PhysicalOffset, position: number): Promise<number> {
    const { segmentSizeBytes } = this.#options.identity;
    const what = `${reader.path} at ${position}: entry ${this.#tip.index + 1}`;
    const head = await bytesAt(reader, position, ENTRY_HEADER_SIZE_BYTES);
    const decoded = decodeEntryHeader(head);
    if (decoded.kind !== 'header')
      throw new CorruptionError(`${what} is damaged (${decoded.kind})`);
    const { header } = decoded;
    const fits =
      header.desc.physicalOffset === start + position &&
      position + header.desc.sizeBytes <= segmentSizeBytes &&
      follows(this.#tip, header, head, segmentSizeBytes);
    if (!fits) throw new CorruptionError(`${what} does not follow from the one before`);
    const storedBytes = storedSizeBytes(header.desc);
    const bytes = await bytesAt(reader, position, storedBytes);
    const problem = payloadProblem(bytes, header.desc);
    if (problem !== null) throw new CorruptionError(`${what} is damaged (${problem})`);
    this.#count(header, bytes);
    await this.#piece(start, position, bytes);
    await this.#zeros(reader, start, position + storedBytes, header.desc.sizeBytes - storedBytes);
    this.#tip = tipOf(header.desc, header.headerCrc);
    this.#entryCount += 1;
    return header.desc.sizeBytes;
  }

  /** Behind a filler. */
  async #zeros(
    reader: SegmentReader,
    start: PhysicalOffset,
    from: number,
    sizeBytes: number,
  ): Promise<void> {
    for (let at = 0; at < sizeBytes; at += BACKUP_PIECE_SIZE_BYTES) {
      const pieceSizeBytes = Math.min(BACKUP_PIECE_SIZE_BYTES, sizeBytes - at);
      const bytes = await bytesAt(reader, from + at, pieceSizeBytes);
      if (bytes.some((byte) => byte !== 0)) {
        throw new CorruptionError(`${reader.path} at ${from + at}: a filler is not zeros`);
      }
      await this.#piece(start, from + at, bytes);
    }
  }

  #count({ desc }: EntryHeader, bytes: Uint8Array): void {
    const payload = bytes.subarray(
      ENTRY_HEADER_SIZE_BYTES,
      ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes,
    );
    if (desc.type === 'config') {
      const decoded = decodeMembership(payload);
      if (decoded.kind === 'problem') {
        throw new CorruptionError(`Entry ${desc.index}: its membership is bad: ${decoded.problem}`);
      }
      this.#memberships.push({ index: desc.index, membership: decoded.membership });
    }
    if (desc.type !== 'data') return;
    const view = viewOf(payload);
    for (let at = 0; at < payload.length; ) {
      const place = recordPlaceAt(view, at);
      if (place.kind === 'message') this.#messageCount += 1;
      at += place.sizeBytes;
    }
  }

  async #piece(start: PhysicalOffset, position: number, bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#options.onPiece({ start, position, bytes });
  }
}

/** The 4 KiB with which the segment begins that follows the tip. */
export function headerAfter(tip: Tip, identity: BackupIdentity, start: PhysicalOffset): Uint8Array {
  return encodeSegmentHeader({
    ...identity,
    startOffset: start,
    startIndex: advance(tip.index, 1),
    prevTerm: tip.term,
    prevHeaderCrc: tip.headerCrc,
  });
}

async function bytesAt(
  reader: SegmentReader,
  position: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  if (position + sizeBytes > reader.sizeBytes) {
    throw new CorruptionError(`${reader.path} ends at ${reader.sizeBytes}, within an entry`);
  }
  if (!reader.has(position, sizeBytes)) await reader.load(position, sizeBytes);
  return reader.bytes(position, sizeBytes);
}
