/**
 * One entry of a consume queue in bytes: RocketMQ's 20-byte unit plus the store time. Chunks hold a fixed
 * number of them (docs/format/derived-state.md).
 */
import { assert } from '../../base/assert.ts';
import { readU64, viewOf, writeU64 } from '../../base/bytes.ts';
import { PhysicalOffset } from '../../base/units.ts';
import type { QueueUnit } from './derived-state.ts';

const PHYSICAL_OFFSET_AT = 0; // u64
const SIZE_AT = PHYSICAL_OFFSET_AT + 8; // u32
const TAGS_CODE_AT = SIZE_AT + 4; // i64: the sign of 32 bits, then the code
const STORE_TIMESTAMP_AT = TAGS_CODE_AT + 8; // u64
export const QUEUE_UNIT_SIZE_BYTES = STORE_TIMESTAMP_AT + 8;
assert(QUEUE_UNIT_SIZE_BYTES === 28, 'a consume queue unit is 28 bytes');

export const UNITS_PER_CHUNK = 64;
export const QUEUE_CHUNK_SIZE_BYTES = UNITS_PER_CHUNK * QUEUE_UNIT_SIZE_BYTES;

export function writeQueueUnit(view: DataView, at: number, unit: QueueUnit): void {
  writeU64(view, at + PHYSICAL_OFFSET_AT, unit.physicalOffset);
  view.setUint32(at + SIZE_AT, unit.sizeBytes);
  view.setInt32(at + TAGS_CODE_AT, unit.tagsCode < 0 ? -1 : 0);
  view.setInt32(at + TAGS_CODE_AT + 4, unit.tagsCode);
  writeU64(view, at + STORE_TIMESTAMP_AT, unit.storeTimestampMs);
}

export function readQueueUnit(chunk: Uint8Array, at: number): QueueUnit {
  const view = viewOf(chunk);
  return {
    physicalOffset: PhysicalOffset(readU64(view, at + PHYSICAL_OFFSET_AT)),
    sizeBytes: view.getUint32(at + SIZE_AT),
    tagsCode: view.getInt32(at + TAGS_CODE_AT + 4),
    storeTimestampMs: readU64(view, at + STORE_TIMESTAMP_AT),
  };
}
