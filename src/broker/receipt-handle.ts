/**
 * The receipt handle: names one delivery of one message to one group. Opaque ASCII for clients;
 * inside: version, group, topic, queue, offset, delivery id, checksum. The checksum tells a damaged
 * handle from a real one, it does not prove who made it.
 */
import { readU64, tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { QueueOffset } from '../base/units.ts';

export interface ReceiptHandle {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly deliveryId: string;
}

const VERSION = 1;
const VERSION_AT = 0; // u8
const QUEUE_ID_AT = 1; // u32
const QUEUE_OFFSET_AT = 5; // u64
const TEXTS_AT = 13; // three times: length u8, UTF-8
const CRC_SIZE_BYTES = 4; // u32 over everything before it
const ENCODED_LENGTH_MAX = 1024;

export function encodeReceiptHandle(handle: ReceiptHandle): string {
  const texts = [handle.group, handle.topic, handle.deliveryId].map((text) => Buffer.from(text));
  const textsSizeBytes = texts.reduce((sum, text) => sum + 1 + text.length, 0);
  const bytes = Buffer.alloc(TEXTS_AT + textsSizeBytes + CRC_SIZE_BYTES);
  bytes.writeUInt8(VERSION, VERSION_AT);
  bytes.writeUInt32BE(handle.queueId, QUEUE_ID_AT);
  writeU64(viewOf(bytes), QUEUE_OFFSET_AT, handle.queueOffset);
  let at = TEXTS_AT;
  for (const text of texts) {
    // Throws beyond 255 bytes; names and delivery ids are far below.
    at = bytes.writeUInt8(text.length, at);
    at += text.copy(bytes, at);
  }
  bytes.writeUInt32BE(crc32(bytes.subarray(0, at)), at);
  return bytes.toString('base64url');
}

/** @returns null for anything that `encodeReceiptHandle` did not make. */
export function decodeReceiptHandle(text: string): ReceiptHandle | null {
  if (text.length > ENCODED_LENGTH_MAX) return null;
  const bytes = Buffer.from(text, 'base64url');
  // The decoder skips what it does not know.
  if (bytes.toString('base64url') !== text) return null;
  const crcAt = bytes.length - CRC_SIZE_BYTES;
  if (crcAt < TEXTS_AT || bytes.readUInt32BE(crcAt) !== crc32(bytes.subarray(0, crcAt)))
    return null;
  if (bytes.readUInt8(VERSION_AT) !== VERSION) return null;
  const view = viewOf(bytes);
  if (tryReadU64(view, QUEUE_OFFSET_AT) === null) return null;
  const texts: string[] = [];
  let at = TEXTS_AT;
  while (at < crcAt) {
    const end = at + 1 + bytes.readUInt8(at);
    if (end > crcAt) return null;
    texts.push(bytes.toString('utf8', at + 1, end));
    at = end;
  }
  const [group, topic, deliveryId] = texts;
  if (texts.length !== 3 || group === undefined || topic === undefined) return null;
  if (deliveryId === undefined) return null;
  return {
    group,
    topic,
    queueId: bytes.readUInt32BE(QUEUE_ID_AT),
    queueOffset: QueueOffset(readU64(view, QUEUE_OFFSET_AT)),
    deliveryId,
  };
}

/**
 * The id after a change of the invisible time. It follows from the old one, so that a repeated change
 * whose first answer was lost can recognise its own effect.
 */
export function successorOf(deliveryId: string): string {
  const [base = '', changes = '0'] = deliveryId.split('~');
  return `${base}~${Number(changes) + 1}`;
}
