/**
 * A snapshot in bytes (docs/format/snapshot.md): one stream of a header and rows, cut into chunks of
 * equal size that carry their number and checksums, and a last chunk with the SHA-256 of the stream.
 *
 * A chunk can be checked alone, so that a transfer may stop and go on; only the last one says that
 * nothing is missing. Whatever does not fit is a CorruptionError.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { CorruptionError } from '../../base/errors.ts';
import { LogIndex, PhysicalOffset, Term } from '../../base/units.ts';
import {
  DERIVED_FORMAT_VERSION,
  SNAPSHOT_ATTACHMENT_SIZE_BYTES_MAX,
  SNAPSHOT_CHUNK_SIZE_BYTES,
} from './limits.ts';
import type { LogStart } from './log-start.ts';

export const SNAPSHOT_FORMAT_VERSION = 1;
/** `MQS1`. */
const MAGIC = 0x4d515331;
const KIND_STREAM = 1;
const KIND_END = 2;

const MAGIC_AT = 0; // u32
const KIND_AT = MAGIC_AT + 4; // u32
const NUMBER_AT = KIND_AT + 4; // u32
const BODY_SIZE_AT = NUMBER_AT + 4; // u32
const BODY_CRC_AT = BODY_SIZE_AT + 4; // u32
const HEADER_CRC_AT = BODY_CRC_AT + 4; // u32
export const CHUNK_HEADER_SIZE_BYTES = HEADER_CRC_AT + 4;
export const CHUNK_BODY_SIZE_BYTES_MAX = SNAPSHOT_CHUNK_SIZE_BYTES - CHUNK_HEADER_SIZE_BYTES;

const SHA256_SIZE_BYTES = 32;
const END_BODY_SIZE_BYTES = 8 + SHA256_SIZE_BYTES;

const VERSION_AT = 0; // u32
const DERIVED_VERSION_AT = VERSION_AT + 4; // u32
const APPLIED_INDEX_AT = DERIVED_VERSION_AT + 4; // u64
const APPLIED_TERM_AT = APPLIED_INDEX_AT + 8; // u64
const LOG_START_INDEX_AT = APPLIED_TERM_AT + 8; // u64
const LOG_START_OFFSET_AT = LOG_START_INDEX_AT + 8; // u64
const DIGEST_AT = LOG_START_OFFSET_AT + 8; // two u32
const ATTACHMENT_SIZE_AT = DIGEST_AT + 8; // u32
export const STREAM_HEADER_SIZE_BYTES = ATTACHMENT_SIZE_AT + 4;

/** What a snapshot says of itself before its rows. */
export interface SnapshotHeader {
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly logStart: LogStart;
  /** Of all entries up to the applied index. */
  readonly digest: { readonly high: number; readonly low: number };
  /** What the log side adds: the same bytes on every replica, meaningless here. */
  readonly attachment: Uint8Array;
}

export function encodeSnapshotHeader(header: SnapshotHeader): Uint8Array {
  const { attachment } = header;
  assert(attachment.length <= SNAPSHOT_ATTACHMENT_SIZE_BYTES_MAX, 'an attachment is small');
  const bytes = new Uint8Array(STREAM_HEADER_SIZE_BYTES + attachment.length);
  const view = viewOf(bytes);
  view.setUint32(VERSION_AT, SNAPSHOT_FORMAT_VERSION);
  view.setUint32(DERIVED_VERSION_AT, DERIVED_FORMAT_VERSION);
  writeU64(view, APPLIED_INDEX_AT, header.appliedIndex);
  writeU64(view, APPLIED_TERM_AT, header.appliedTerm);
  writeU64(view, LOG_START_INDEX_AT, header.logStart.index);
  writeU64(view, LOG_START_OFFSET_AT, header.logStart.offset);
  view.setUint32(DIGEST_AT, header.digest.high);
  view.setUint32(DIGEST_AT + 4, header.digest.low);
  view.setUint32(ATTACHMENT_SIZE_AT, attachment.length);
  bytes.set(attachment, STREAM_HEADER_SIZE_BYTES);
  return bytes;
}

/**
 * @returns null while the stream is too short to tell
 * @throws CorruptionError for another version
 */
export function decodeSnapshotHeader(
  stream: Uint8Array,
): { readonly header: SnapshotHeader; readonly sizeBytes: number } | null {
  if (stream.length < STREAM_HEADER_SIZE_BYTES) return null;
  const view = viewOf(stream);
  const version = view.getUint32(VERSION_AT);
  const derivedVersion = view.getUint32(DERIVED_VERSION_AT);
  refuseUnless(
    version === SNAPSHOT_FORMAT_VERSION && derivedVersion === DERIVED_FORMAT_VERSION,
    `format ${version} with rows of format ${derivedVersion}, this program reads ${SNAPSHOT_FORMAT_VERSION} with ${DERIVED_FORMAT_VERSION}`,
  );
  const attachmentSizeBytes = view.getUint32(ATTACHMENT_SIZE_AT);
  refuseUnless(attachmentSizeBytes <= SNAPSHOT_ATTACHMENT_SIZE_BYTES_MAX, 'attachment too large');
  const sizeBytes = STREAM_HEADER_SIZE_BYTES + attachmentSizeBytes;
  if (stream.length < sizeBytes) return null;
  const header = {
    appliedIndex: LogIndex(safeU64(view, APPLIED_INDEX_AT)),
    appliedTerm: Term(safeU64(view, APPLIED_TERM_AT)),
    logStart: {
      index: LogIndex(safeU64(view, LOG_START_INDEX_AT)),
      offset: PhysicalOffset(safeU64(view, LOG_START_OFFSET_AT)),
    },
    digest: { high: view.getUint32(DIGEST_AT), low: view.getUint32(DIGEST_AT + 4) },
    attachment: stream.slice(STREAM_HEADER_SIZE_BYTES, sizeBytes),
  };
  return { header, sizeBytes };
}

/** Cuts a stream into chunks. */
export class ChunkWriter {
  readonly #digest = createHash('sha256');
  #chunk = new Uint8Array(SNAPSHOT_CHUNK_SIZE_BYTES);
  #used = CHUNK_HEADER_SIZE_BYTES;
  #number = 0;

  /** @returns the chunks that are full now; they belong to the caller */
  write(bytes: Uint8Array): readonly Uint8Array[] {
    const full: Uint8Array[] = [];
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + this.#chunk.length - this.#used);
      this.#chunk.set(part, this.#used);
      this.#used += part.length;
      from += part.length;
      if (this.#used === this.#chunk.length) full.push(this.#seal());
    }
    return full;
  }

  end(rowCount: number): readonly Uint8Array[] {
    const last = this.#used > CHUNK_HEADER_SIZE_BYTES ? [this.#seal()] : [];
    const end = new Uint8Array(CHUNK_HEADER_SIZE_BYTES + END_BODY_SIZE_BYTES);
    writeU64(viewOf(end), CHUNK_HEADER_SIZE_BYTES, rowCount);
    end.set(this.#digest.digest(), CHUNK_HEADER_SIZE_BYTES + 8);
    return [...last, sealed(end, KIND_END, this.#number)];
  }

  #seal(): Uint8Array {
    const chunk = this.#chunk.subarray(0, this.#used);
    this.#digest.update(chunk.subarray(CHUNK_HEADER_SIZE_BYTES));
    this.#chunk = new Uint8Array(SNAPSHOT_CHUNK_SIZE_BYTES);
    this.#used = CHUNK_HEADER_SIZE_BYTES;
    return sealed(chunk, KIND_STREAM, this.#number++);
  }
}

/** As the header says, whose magic alone is looked at; null when the bytes begin with no chunk. */
export function chunkSizeBytes(head: Uint8Array): number | null {
  if (head.length < CHUNK_HEADER_SIZE_BYTES) return null;
  const view = viewOf(head);
  const bodySizeBytes = view.getUint32(BODY_SIZE_AT);
  const isChunk = view.getUint32(MAGIC_AT) === MAGIC && bodySizeBytes <= CHUNK_BODY_SIZE_BYTES_MAX;
  return isChunk ? CHUNK_HEADER_SIZE_BYTES + bodySizeBytes : null;
}

export type CheckedChunk =
  | { readonly kind: 'stream'; readonly body: Uint8Array }
  | { readonly kind: 'end'; readonly rowCount: number; readonly sha256: Uint8Array };

/**
 * One chunk by itself.
 * @throws CorruptionError unless it is the chunk of that number, whole
 */
export function checkedChunk(bytes: Uint8Array, number: number): CheckedChunk {
  refuseUnless(bytes.length >= CHUNK_HEADER_SIZE_BYTES, `chunk ${number} is cut short`);
  const view = viewOf(bytes);
  refuseUnless(
    view.getUint32(MAGIC_AT) === MAGIC &&
      view.getUint32(HEADER_CRC_AT) === crc32(bytes.subarray(0, HEADER_CRC_AT)),
    `chunk ${number} has a damaged header`,
  );
  refuseUnless(
    view.getUint32(NUMBER_AT) === number,
    `chunk ${view.getUint32(NUMBER_AT)} in the place of chunk ${number}`,
  );
  const body = bytes.subarray(CHUNK_HEADER_SIZE_BYTES);
  refuseUnless(view.getUint32(BODY_SIZE_AT) === body.length, `chunk ${number} has another size`);
  refuseUnless(view.getUint32(BODY_CRC_AT) === crc32(body), `chunk ${number} is damaged`);
  const kind = view.getUint32(KIND_AT);
  if (kind === KIND_STREAM) return { kind: 'stream', body };
  refuseUnless(
    kind === KIND_END && body.length === END_BODY_SIZE_BYTES,
    `chunk ${number} is of an unknown kind`,
  );
  const rowCount = safeU64(viewOf(body), 0);
  return { kind: 'end', rowCount, sha256: body.subarray(8) };
}

export function refuseUnless(condition: boolean, what: string): asserts condition {
  if (!condition) throw new CorruptionError(`Snapshot: ${what}`);
}

function sealed(chunk: Uint8Array, kind: number, number: number): Uint8Array {
  const view = viewOf(chunk);
  const body = chunk.subarray(CHUNK_HEADER_SIZE_BYTES);
  view.setUint32(MAGIC_AT, MAGIC);
  view.setUint32(KIND_AT, kind);
  view.setUint32(NUMBER_AT, number);
  view.setUint32(BODY_SIZE_AT, body.length);
  view.setUint32(BODY_CRC_AT, crc32(body));
  view.setUint32(HEADER_CRC_AT, crc32(chunk.subarray(0, HEADER_CRC_AT)));
  return chunk;
}

function safeU64(view: DataView, at: number): number {
  const value = tryReadU64(view, at);
  refuseUnless(value !== null, 'a number out of range');
  return value;
}
