/**
 * A message in the log: byte for byte RocketMQ's CommitLog record, so that a pull answer is a slice of
 * the file. docs/format/records.md has the table; RocketMQ's name of each field is in the comment.
 *
 * Invariants:
 * - `encode` writes physical offset 0; the replica patches it when it places the entry, before the
 *   payload's checksum is computed.
 * - BODYCRC covers the body alone. Properties and topic are covered by the entry's checksum.
 */
import { assert } from '../base/assert.ts';
import { tryReadU64, viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { CorruptionError } from '../base/errors.ts';
import { MIB } from '../base/sizes.ts';
import { PhysicalOffset, QueueOffset } from '../base/units.ts';
import {
  formatHostAddress,
  type HostAddress,
  IPV4_SIZE_BYTES,
  IPV6_SIZE_BYTES,
  parseHostAddress,
} from './host-address.ts';
import {
  formatProperties,
  MESSAGE_PROPERTY,
  parseProperties,
  splitKeys,
} from './message-properties.ts';

/** One byte of topic length. */
export const MESSAGE_MAGIC_V1 = 0xdaa320a7;
/** Two bytes of topic length: for topics longer than 127 bytes. */
export const MESSAGE_MAGIC_V2 = 0xdaa320ab;

// Up to the born host every place is fixed; after it the places depend on the two hosts.
export const TOTAL_SIZE_AT = 0; // u32 TOTALSIZE
export const MAGIC_AT = TOTAL_SIZE_AT + 4; // u32 MAGICCODE
export const BODY_CRC_AT = MAGIC_AT + 4; // u32 BODYCRC
export const QUEUE_ID_AT = BODY_CRC_AT + 4; // u32 QUEUEID
export const FLAG_AT = QUEUE_ID_AT + 4; // i32 FLAG, of the user
export const QUEUE_OFFSET_AT = FLAG_AT + 4; // u64 QUEUEOFFSET
export const PHYSICAL_OFFSET_AT = QUEUE_OFFSET_AT + 8; // u64 PHYSICALOFFSET
export const SYS_FLAG_AT = PHYSICAL_OFFSET_AT + 8; // i32 SYSFLAG
export const BORN_TIMESTAMP_AT = SYS_FLAG_AT + 4; // u64 BORNTIMESTAMP
export const BORN_HOST_AT = BORN_TIMESTAMP_AT + 8; // ip and u32 port BORNHOST
const STORE_TIMESTAMP_SIZE_BYTES = 8; // u64 STORETIMESTAMP
const PORT_SIZE_BYTES = 4; // after it: STOREHOST, like BORNHOST
const RECONSUME_TIMES_SIZE_BYTES = 4; // i32 RECONSUMETIMES
const PREPARED_OFFSET_SIZE_BYTES = 8; // u64 PREPAREDTRANSACTIONOFFSET, 0 for now
const BODY_LENGTH_SIZE_BYTES = 4; // u32 BODYLENGTH, then BODY
const TOPIC_LENGTH_SIZE_BYTES = { v1: 1, v2: 2 } as const; // TOPICLENGTH, then TOPIC
const PROPERTIES_LENGTH_SIZE_BYTES = 2; // u16 PROPERTIESLENGTH, then PROPERTIES
const TOPIC_V1_SIZE_BYTES_MAX = 127;

/** Record without body, topic and properties, both hosts IPv4, v1. */
export const MESSAGE_OVERHEAD_BYTES =
  BORN_HOST_AT +
  2 * (IPV4_SIZE_BYTES + PORT_SIZE_BYTES) +
  STORE_TIMESTAMP_SIZE_BYTES +
  RECONSUME_TIMES_SIZE_BYTES +
  PREPARED_OFFSET_SIZE_BYTES +
  BODY_LENGTH_SIZE_BYTES +
  TOPIC_LENGTH_SIZE_BYTES.v1 +
  PROPERTIES_LENGTH_SIZE_BYTES;
assert(MESSAGE_OVERHEAD_BYTES === 91, 'an empty record has 91 bytes, as in RocketMQ');

/** The format's own bounds (Java's signed short) and ours; the broker refuses earlier. */
export const MESSAGE_RECORD_LIMITS = {
  topicSizeBytesMax: 32_767,
  propertiesSizeBytesMax: 32_767,
  bodySizeBytesMax: 128 * MIB,
} as const;

/** Bits of SYSFLAG that this store gives a meaning to. */
export const SYS_FLAG = {
  /** The body is compressed: by us only as gzip, from RocketMQ 5 clients. */
  bodyCompressed: 1 << 0,
  bornHostIpv6: 1 << 4,
  storeHostIpv6: 1 << 5,
} as const;

export interface StoredMessage {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  /** 0 before the replica has placed the record. */
  readonly physicalOffset: PhysicalOffset;
  /** Of the user; RocketMQ gives it no meaning. */
  readonly flag: number;
  /** Bits of {@link SYS_FLAG}; the two host bits are set from the hosts. */
  readonly sysFlag: number;
  readonly bornTimestampMs: number;
  /** `ip:port`, IPv6 as `[ip]:port`. */
  readonly bornHost: string;
  readonly storeTimestampMs: number;
  readonly storeHost: string;
  readonly reconsumeTimes: number;
  /** After decoding: a view into the record. */
  readonly body: Uint8Array;
  readonly properties: ReadonlyMap<string, string>;
}

export function messageIdOf(message: StoredMessage): string | null {
  return message.properties.get(MESSAGE_PROPERTY.uniqueKey) ?? null;
}

export function tagOf(message: StoredMessage): string | null {
  return message.properties.get(MESSAGE_PROPERTY.tags) ?? null;
}

export function keysOf(message: StoredMessage): readonly string[] {
  return splitKeys(message.properties.get(MESSAGE_PROPERTY.keys) ?? '');
}

export function isBodyCompressed(message: StoredMessage): boolean {
  return (message.sysFlag & SYS_FLAG.bodyCompressed) !== 0;
}

/** @throws InvariantError when the message breaks a limit: the broker checks before. */
export function encodeMessageRecord(message: StoredMessage): Uint8Array {
  const topic = Buffer.from(message.topic);
  const properties = Buffer.from(formatProperties(message.properties));
  const bornHost = hostOf(message.bornHost);
  const storeHost = hostOf(message.storeHost);
  assertWithinLimits(topic.length, properties.length, message.body.length);

  const version = topic.length > TOPIC_V1_SIZE_BYTES_MAX ? 'v2' : 'v1';
  const topicLengthSizeBytes = TOPIC_LENGTH_SIZE_BYTES[version];
  const sizeBytes =
    MESSAGE_OVERHEAD_BYTES +
    (bornHost.ip.length - IPV4_SIZE_BYTES) +
    (storeHost.ip.length - IPV4_SIZE_BYTES) +
    (topicLengthSizeBytes - TOPIC_LENGTH_SIZE_BYTES.v1) +
    message.body.length +
    topic.length +
    properties.length;
  const bytes = new Uint8Array(sizeBytes);
  const view = viewOf(bytes);

  view.setUint32(TOTAL_SIZE_AT, sizeBytes);
  view.setUint32(MAGIC_AT, version === 'v1' ? MESSAGE_MAGIC_V1 : MESSAGE_MAGIC_V2);
  view.setUint32(BODY_CRC_AT, bodyCrcOf(message.body));
  view.setUint32(QUEUE_ID_AT, message.queueId);
  view.setInt32(FLAG_AT, message.flag);
  writeU64(view, QUEUE_OFFSET_AT, message.queueOffset);
  view.setInt32(SYS_FLAG_AT, withHostBits(message.sysFlag, bornHost, storeHost));
  writeU64(view, BORN_TIMESTAMP_AT, message.bornTimestampMs);

  let at = writeHost(bytes, view, BORN_HOST_AT, bornHost);
  writeU64(view, at, message.storeTimestampMs);
  at = writeHost(bytes, view, at + STORE_TIMESTAMP_SIZE_BYTES, storeHost);
  view.setInt32(at, message.reconsumeTimes);
  at += RECONSUME_TIMES_SIZE_BYTES + PREPARED_OFFSET_SIZE_BYTES;
  view.setUint32(at, message.body.length);
  at += BODY_LENGTH_SIZE_BYTES;
  bytes.set(message.body, at);
  at += message.body.length;
  if (version === 'v1') view.setUint8(at, topic.length);
  else view.setUint16(at, topic.length);
  at += topicLengthSizeBytes;
  bytes.set(topic, at);
  at += topic.length;
  view.setUint16(at, properties.length);
  at += PROPERTIES_LENGTH_SIZE_BYTES;
  bytes.set(properties, at);
  assert(at + properties.length === sizeBytes, 'a record fills its size');
  return bytes;
}

/** The one field that is known only when the entry is placed. */
export function patchPhysicalOffset(
  bytes: Uint8Array,
  recordAt: number,
  physicalOffset: PhysicalOffset,
): void {
  writeU64(viewOf(bytes), recordAt + PHYSICAL_OFFSET_AT, physicalOffset);
}

/** Where the parts of a record lie; all absolute in the bytes. */
export interface MessageLayout {
  readonly at: number;
  readonly sizeBytes: number;
  readonly storeTimestampAt: number;
  readonly storeHostAt: number;
  readonly reconsumeTimesAt: number;
  readonly bodyAt: number;
  readonly bodySizeBytes: number;
  readonly topicAt: number;
  readonly topicSizeBytes: number;
  readonly propertiesAt: number;
  readonly propertiesSizeBytes: number;
}

/**
 * Verifies magic, lengths and body checksum.
 * @throws CorruptionError when the bytes at `at` are not a message record.
 */
export function decodeMessageRecord(bytes: Uint8Array, at = 0): StoredMessage {
  const view = viewOf(bytes);
  const layout = messageLayoutAt(view, at);
  verifyBody(bytes, view, layout);
  const body = bytes.subarray(layout.bodyAt, layout.bodyAt + layout.bodySizeBytes);
  const properties = parseProperties(
    utf8(bytes, layout.propertiesAt, layout.propertiesAt + layout.propertiesSizeBytes),
  );
  if (properties === null) throw new CorruptionError('Message record: properties without a name');
  return {
    topic: utf8(bytes, layout.topicAt, layout.topicAt + layout.topicSizeBytes),
    queueId: view.getUint32(at + QUEUE_ID_AT),
    queueOffset: QueueOffset(u64(view, at + QUEUE_OFFSET_AT)),
    physicalOffset: PhysicalOffset(u64(view, at + PHYSICAL_OFFSET_AT)),
    flag: view.getInt32(at + FLAG_AT),
    sysFlag: view.getInt32(at + SYS_FLAG_AT),
    bornTimestampMs: u64(view, at + BORN_TIMESTAMP_AT),
    bornHost: readHost(bytes, view, at + BORN_HOST_AT, layout.storeTimestampAt - PORT_SIZE_BYTES),
    storeTimestampMs: u64(view, layout.storeTimestampAt),
    storeHost: readHost(bytes, view, layout.storeHostAt, layout.reconsumeTimesAt - PORT_SIZE_BYTES),
    reconsumeTimes: view.getInt32(layout.reconsumeTimesAt),
    body,
    properties,
  };
}

/** @throws CorruptionError unless magic and lengths describe a record inside the bytes. */
export function messageLayoutAt(view: DataView, at: number): MessageLayout {
  const roomBytes = view.byteLength - at;
  refuseUnless(roomBytes >= MESSAGE_OVERHEAD_BYTES, 'shorter than a record');
  const sizeBytes = view.getUint32(at + TOTAL_SIZE_AT);
  refuseUnless(sizeBytes >= MESSAGE_OVERHEAD_BYTES && sizeBytes <= roomBytes, 'impossible size');
  const magic = view.getUint32(at + MAGIC_AT);
  refuseUnless(magic === MESSAGE_MAGIC_V1 || magic === MESSAGE_MAGIC_V2, 'unknown magic');
  const end = at + sizeBytes;

  const sysFlag = view.getInt32(at + SYS_FLAG_AT);
  const storeTimestampAt = at + BORN_HOST_AT + hostSizeBytes(sysFlag & SYS_FLAG.bornHostIpv6);
  const storeHostAt = storeTimestampAt + STORE_TIMESTAMP_SIZE_BYTES;
  const reconsumeTimesAt = storeHostAt + hostSizeBytes(sysFlag & SYS_FLAG.storeHostIpv6);
  const preparedOffsetAt = reconsumeTimesAt + RECONSUME_TIMES_SIZE_BYTES;
  const bodyLengthAt = preparedOffsetAt + PREPARED_OFFSET_SIZE_BYTES;
  const bodyAt = bodyLengthAt + BODY_LENGTH_SIZE_BYTES;
  refuseUnless(bodyAt <= end, 'header beyond the record');
  const bodySizeBytes = view.getUint32(bodyLengthAt);

  const topicLengthAt = bodyAt + bodySizeBytes;
  const lengthSizeBytes = TOPIC_LENGTH_SIZE_BYTES[magic === MESSAGE_MAGIC_V1 ? 'v1' : 'v2'];
  const topicAt = topicLengthAt + lengthSizeBytes;
  refuseUnless(topicAt <= end, 'body beyond the record');
  const topicSizeBytes =
    magic === MESSAGE_MAGIC_V1 ? view.getUint8(topicLengthAt) : view.getUint16(topicLengthAt);

  const propertiesAt = topicAt + topicSizeBytes + PROPERTIES_LENGTH_SIZE_BYTES;
  refuseUnless(propertiesAt <= end, 'topic beyond the record');
  const propertiesSizeBytes = view.getUint16(propertiesAt - PROPERTIES_LENGTH_SIZE_BYTES);
  refuseUnless(propertiesAt + propertiesSizeBytes === end, 'parts do not add up to the size');
  return {
    at,
    sizeBytes,
    storeTimestampAt,
    storeHostAt,
    reconsumeTimesAt,
    bodyAt,
    bodySizeBytes,
    topicAt,
    topicSizeBytes,
    propertiesAt,
    propertiesSizeBytes,
  };
}

/** @throws CorruptionError when the body is not the one that was stored. */
export function verifyBody(bytes: Uint8Array, view: DataView, layout: MessageLayout): void {
  const body = bytes.subarray(layout.bodyAt, layout.bodyAt + layout.bodySizeBytes);
  refuseUnless(view.getUint32(layout.at + BODY_CRC_AT) === bodyCrcOf(body), 'body checksum');
}

/** 31 bits: Java keeps the checksum in a signed int and RocketMQ drops the sign. */
function bodyCrcOf(body: Uint8Array): number {
  return crc32(body) & 0x7fffffff;
}

function assertWithinLimits(topicBytes: number, propertiesBytes: number, bodyBytes: number): void {
  const limits = MESSAGE_RECORD_LIMITS;
  assert(topicBytes > 0 && topicBytes <= limits.topicSizeBytesMax, 'a topic fits its length');
  assert(propertiesBytes <= limits.propertiesSizeBytesMax, 'properties fit their length');
  assert(bodyBytes <= limits.bodySizeBytesMax, 'a body fits in a record');
}

function hostOf(text: string): HostAddress {
  const host = parseHostAddress(text);
  assert(host !== null, 'a host is ip:port', () => ({ text }));
  return host;
}

function withHostBits(sysFlag: number, bornHost: HostAddress, storeHost: HostAddress): number {
  let flag = sysFlag & ~(SYS_FLAG.bornHostIpv6 | SYS_FLAG.storeHostIpv6);
  if (bornHost.ip.length === IPV6_SIZE_BYTES) flag |= SYS_FLAG.bornHostIpv6;
  if (storeHost.ip.length === IPV6_SIZE_BYTES) flag |= SYS_FLAG.storeHostIpv6;
  return flag;
}

function hostSizeBytes(ipv6Bit: number): number {
  return (ipv6Bit === 0 ? IPV4_SIZE_BYTES : IPV6_SIZE_BYTES) + PORT_SIZE_BYTES;
}

/** @returns one past the host. */
function writeHost(bytes: Uint8Array, view: DataView, at: number, host: HostAddress): number {
  bytes.set(host.ip, at);
  view.setUint32(at + host.ip.length, host.port);
  return at + host.ip.length + PORT_SIZE_BYTES;
}

function readHost(bytes: Uint8Array, view: DataView, ipAt: number, portAt: number): string {
  return formatHostAddress({ ip: bytes.subarray(ipAt, portAt), port: view.getUint32(portAt) });
}

function u64(view: DataView, at: number): number {
  const value = tryReadU64(view, at);
  refuseUnless(value !== null, 'a number beyond 2^53');
  return value;
}

function utf8(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString();
}

function refuseUnless(condition: boolean, what: string): asserts condition {
  if (!condition) throw new CorruptionError(`Message record: ${what}`);
}
