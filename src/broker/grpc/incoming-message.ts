/**
 * A message as clients send it, turned into what the broker stores. Checks only what this protocol
 * alone knows: message types, digests, encodings; the rest is the send service's.
 */
import { createHash } from 'node:crypto';
import { crc32 } from '../../base/crc32.ts';
import type { OutgoingMessage } from '../verbs.ts';
import { bornHostOf } from './addresses.ts';
import type { Caller } from './caller.ts';
import { MESSAGE_GROUP_SIZE_BYTES_MAX } from './limits.ts';
import { storageName } from './resource-names.ts';
import { CODE, StatusError } from './status-codes.ts';
import { DIGEST_TYPE, ENCODING, MESSAGE_TYPE } from './wire-enums.ts';
import { wireTimeToMs } from './wire-time.ts';
import type { Digest, SystemProperties, WireMessage } from './wire-types.ts';

/** @throws StatusError */
export function toOutgoingMessage(
  message: WireMessage,
  caller: Caller,
  nowMs: number,
): OutgoingMessage {
  const system = message.systemProperties;
  if (system === null) {
    throw new StatusError(
      CODE.illegalMessageId,
      'The message has no system properties, hence no id',
    );
  }
  refuseUnlessNormal(system);
  refuseUnlessDigestMatches(system.bodyDigest, message.body);
  return {
    topic: storageName(message.topic, caller.namespace),
    messageId: system.messageId,
    body: message.body,
    bodyEncoding: encodingOf(system.bodyEncoding),
    tag: system.tag,
    keys: system.keys,
    userProperties: message.userProperties,
    bornTimestampMs: bornTimestampMs(system, nowMs),
    bornHost: bornHostOf(system.bornHost, caller.peer),
    traceContext: system.traceContext,
  };
}

/**
 * The fields decide the type, as in RocketMQ; only TRANSACTION is said by `message_type` alone. The
 * Node client sends priority 0 with type NORMAL, which is a NORMAL message.
 */
function refuseUnlessNormal(system: SystemProperties): void {
  refuseUnlessGroupIsLegal(system.messageGroup);
  const declared = system.messageType;
  const type = declared === MESSAGE_TYPE.transaction ? 'TRANSACTION' : typeByFields(system);
  if (
    type === null &&
    (declared === MESSAGE_TYPE.normal || declared === MESSAGE_TYPE.unspecified)
  ) {
    return;
  }
  throw new StatusError(
    CODE.messagePropertyConflictWithType,
    `The message is of type ${type ?? declared}, but this release stores NORMAL messages only`,
  );
}

function typeByFields(system: SystemProperties): string | null {
  if (system.deliveryTimestamp !== null) return 'DELAY';
  if (system.messageGroup !== null) return 'FIFO';
  if (system.priority !== null && system.priority !== 0) return 'PRIORITY';
  return system.liteTopic === null ? null : 'LITE';
}

function refuseUnlessGroupIsLegal(group: string | null): void {
  if (group === null) return;
  const sizeBytes = Buffer.byteLength(group);
  if (group.trim() === '' || sizeBytes > MESSAGE_GROUP_SIZE_BYTES_MAX || hasControl(group)) {
    throw new StatusError(
      CODE.illegalMessageGroup,
      `The message group has ${sizeBytes} bytes; 1 to ${MESSAGE_GROUP_SIZE_BYTES_MAX} without control characters are possible`,
    );
  }
}

function encodingOf(encoding: number): 'identity' | 'gzip' {
  if (encoding === ENCODING.identity || encoding === ENCODING.unspecified) return 'identity';
  if (encoding === ENCODING.gzip) return 'gzip';
  throw new StatusError(CODE.badRequest, `The body encoding ${encoding} is unknown`);
}

function bornTimestampMs(system: SystemProperties, nowMs: number): number {
  if (system.bornTimestamp === null) return nowMs;
  const ms = wireTimeToMs(system.bornTimestamp);
  if (ms === null) throw new StatusError(CODE.badRequest, 'The born timestamp is out of range');
  return ms;
}

/** A digest is optional; one that is there and wrong means the body was damaged on its way. */
function refuseUnlessDigestMatches(digest: Digest | null, body: Uint8Array): void {
  if (digest === null || digest.checksum === '') return;
  const expected = digestsOf(digest.type, body);
  if (expected.length === 0 || expected.includes(digest.checksum.toUpperCase())) return;
  throw new StatusError(
    CODE.badRequest,
    `The body does not match its digest ${digest.checksum}: it was damaged on its way, send it again`,
  );
}

/** Every spelling in use, in upper case; none for a type that we do not know. */
function digestsOf(type: number, body: Uint8Array): readonly string[] {
  switch (type) {
    case DIGEST_TYPE.md5:
      return [createHash('md5').update(body).digest('hex').toUpperCase()];
    case DIGEST_TYPE.sha1:
      return [createHash('sha1').update(body).digest('hex').toUpperCase()];
    case DIGEST_TYPE.crc32: {
      // Node writes it in decimal, Java, Go and C# in hex, Python and C++ in eight hex digits.
      const hex = crc32(body).toString(16).toUpperCase();
      return [crc32(body).toString(), hex, hex.padStart(8, '0')];
    }
    default:
      return [];
  }
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
