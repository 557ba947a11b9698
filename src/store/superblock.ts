/**
 * The superblock: who this directory belongs to, what the replica has promised (its term and vote,
 * Raft 5.2, H7), and what it remembers of its peers (H21 to H23). One file, two slots of 4 KiB with
 * the same content: docs/format/superblock.md.
 *
 *     | slot 0 | slot 1 |     each: fields, body, zeros, CRC over all of it
 *
 * An update writes and syncs slot 0, then writes and syncs slot 1; a reply that depends on it leaves
 * after both. For atomicity one alternating slot would do: at any moment at most one slot is being written,
 * so a torn write destroys at most that one, and the other still holds the last completed state (or,
 * while slot 1 is written, the new one). The second write is against rot: afterwards either slot alone
 * is enough, so that one rotten slot forgets no vote. Without any valid slot there is no memory, and
 * the replica must not take part under its old name (H22): the directory is refused.
 *
 * Not here: the encoding of the body (superblock-body.ts), when it is written (superblock-writer.ts).
 */
import { assert } from '../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, type NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { HardState } from '../raft/effects.ts';
import type { StoreIdentity } from './commit-log.ts';
import type { RememberedPeer } from './remembered-peer.ts';
import { decodeSuperblockBody, encodeSuperblockBody } from './superblock-body.ts';

/** `MQSB` */
export const SUPERBLOCK_MAGIC = 0x4d515342;
export const SUPERBLOCK_FORMAT_VERSION = 2;
export const SLOT_SIZE_BYTES = 4 * KIB;
export const SLOT_COUNT = 2;
export const SUPERBLOCK_SIZE_BYTES = SLOT_COUNT * SLOT_SIZE_BYTES;

const MAGIC_AT = 0;
const VERSION_AT = MAGIC_AT + 4;
const CLEAN_AT = VERSION_AT + 2; // u8: 1 after an orderly close
const RESERVED_AT = CLEAN_AT + 1;
const SEQUENCE_AT = RESERVED_AT + 1;
const BOOT_COUNT_AT = SEQUENCE_AT + 8;
const TERM_AT = BOOT_COUNT_AT + 8;
const COMMIT_HINT_AT = TERM_AT + 8;
const CLEAN_INDEX_AT = COMMIT_HINT_AT + 8;
const CLEAN_END_AT = CLEAN_INDEX_AT + 8;
const SEGMENT_SIZE_AT = CLEAN_END_AT + 8;
const BODY_SIZE_AT = SEGMENT_SIZE_AT + 8;
const BODY_AT = BODY_SIZE_AT + 4;
const CRC_AT = SLOT_SIZE_BYTES - 4;
const BODY_SIZE_BYTES_MAX = CRC_AT - BODY_AT;

/** The table of docs/format/superblock.md; a test compares the two. */
export const SUPERBLOCK_SLOT_LAYOUT = [
  { name: 'magic', at: MAGIC_AT, sizeBytes: 4 },
  { name: 'version', at: VERSION_AT, sizeBytes: 2 },
  { name: 'clean', at: CLEAN_AT, sizeBytes: 1 },
  { name: 'reserved', at: RESERVED_AT, sizeBytes: 1 },
  { name: 'sequence', at: SEQUENCE_AT, sizeBytes: 8 },
  { name: 'bootCount', at: BOOT_COUNT_AT, sizeBytes: 8 },
  { name: 'term', at: TERM_AT, sizeBytes: 8 },
  { name: 'commitHint', at: COMMIT_HINT_AT, sizeBytes: 8 },
  { name: 'cleanIndex', at: CLEAN_INDEX_AT, sizeBytes: 8 },
  { name: 'cleanEnd', at: CLEAN_END_AT, sizeBytes: 8 },
  { name: 'segmentSize', at: SEGMENT_SIZE_AT, sizeBytes: 8 },
  { name: 'bodySize', at: BODY_SIZE_AT, sizeBytes: 4 },
  { name: 'body', at: BODY_AT, sizeBytes: BODY_SIZE_BYTES_MAX },
  { name: 'crc', at: CRC_AT, sizeBytes: 4 },
] as const;

export interface Superblock {
  readonly identity: StoreIdentity;
  readonly hardState: HardState;
  /** How many times the directory has been opened. */
  readonly bootCount: number;
  /** All entries up to here were known committed, and were durable here, when this was written. */
  readonly commitHint: LogIndex;
  /** Where the log ended at an orderly close; null while it is open and after a crash. */
  readonly cleanEnd: { readonly index: LogIndex; readonly physicalOffset: PhysicalOffset } | null;
  /** Drawn at each start, the newest first; as many as are kept (limits.ts). */
  readonly bootIds: readonly string[];
  readonly peers: ReadonlyMap<NodeId, RememberedPeer>;
  /** Grows by one with each update; the highest valid one counts. */
  readonly sequence: number;
}

/** @returns one slot. */
export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const { identity, hardState, cleanEnd, bootIds, peers } = superblock;
  const body = encodeSuperblockBody(
    { ...identity, votedFor: hardState.votedFor, bootIds, peers },
    BODY_SIZE_BYTES_MAX,
  );

  const slot = new Uint8Array(SLOT_SIZE_BYTES);
  const view = viewOf(slot);
  view.setUint32(MAGIC_AT, SUPERBLOCK_MAGIC);
  view.setUint16(VERSION_AT, SUPERBLOCK_FORMAT_VERSION);
  view.setUint8(CLEAN_AT, cleanEnd === null ? 0 : 1);
  writeU64(view, SEQUENCE_AT, superblock.sequence);
  writeU64(view, BOOT_COUNT_AT, superblock.bootCount);
  writeU64(view, TERM_AT, hardState.term);
  writeU64(view, COMMIT_HINT_AT, superblock.commitHint);
  writeU64(view, CLEAN_INDEX_AT, cleanEnd?.index ?? 0);
  writeU64(view, CLEAN_END_AT, cleanEnd?.physicalOffset ?? 0);
  writeU64(view, SEGMENT_SIZE_AT, identity.segmentSizeBytes);
  view.setUint32(BODY_SIZE_AT, body.length);
  slot.set(body, BODY_AT);
  view.setUint32(CRC_AT, crc32(slot.subarray(0, CRC_AT)));
  return slot;
}

/** @returns null when the slot is damaged, or written by a version we do not know. */
export function decodeSuperblock(slot: Uint8Array): Superblock | null {
  if (slot.length !== SLOT_SIZE_BYTES) return null;
  const view = viewOf(slot);
  if (view.getUint32(MAGIC_AT) !== SUPERBLOCK_MAGIC) return null;
  if (crc32(slot.subarray(0, CRC_AT)) !== view.getUint32(CRC_AT)) return null;
  if (view.getUint16(VERSION_AT) !== SUPERBLOCK_FORMAT_VERSION) return null;
  const bodySizeBytes = view.getUint32(BODY_SIZE_AT);
  if (bodySizeBytes > BODY_SIZE_BYTES_MAX) return null;
  const body = decodeSuperblockBody(slot.subarray(BODY_AT, BODY_AT + bodySizeBytes));

  const numberAt = (at: number): number => {
    const value = tryReadU64(view, at);
    assert(value !== null, 'a verified superblock holds safe integers', () => ({ at }));
    return value;
  };
  return {
    identity: {
      clusterId: body.clusterId,
      groupId: body.groupId,
      nodeId: body.nodeId,
      storeUuid: body.storeUuid,
      segmentSizeBytes: numberAt(SEGMENT_SIZE_AT),
    },
    hardState: {
      term: Term(numberAt(TERM_AT)),
      votedFor: body.votedFor,
    },
    bootCount: numberAt(BOOT_COUNT_AT),
    commitHint: LogIndex(numberAt(COMMIT_HINT_AT)),
    cleanEnd:
      view.getUint8(CLEAN_AT) === 0
        ? null
        : {
            index: LogIndex(numberAt(CLEAN_INDEX_AT)),
            physicalOffset: PhysicalOffset(numberAt(CLEAN_END_AT)),
          },
    bootIds: body.bootIds,
    peers: body.peers,
    sequence: numberAt(SEQUENCE_AT),
  };
}

/** @returns the newest valid slot of a file, null when there is none. */
export function newestSuperblock(file: Uint8Array): Superblock | null {
  let newest: Superblock | null = null;
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const at = slot * SLOT_SIZE_BYTES;
    const candidate = decodeSuperblock(file.subarray(at, at + SLOT_SIZE_BYTES));
    if (candidate === null) continue;
    if (newest === null || candidate.sequence > newest.sequence) newest = candidate;
  }
  return newest;
}
