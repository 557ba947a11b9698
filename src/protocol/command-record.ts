/**
 * A command in the log: own header, then a protobuf `mqraft.Command`. docs/format/records.md has the
 * table. Commands change metadata; their field numbers are for ever, because old logs are replayed.
 */
import { unreachable } from '../base/assert.ts';
import { viewOf } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { CorruptionError } from '../base/errors.ts';
import { LogIndex, PhysicalOffset, QueueOffset } from '../base/units.ts';
import { type AdminCommand, adminCommandOf, type WireAdmin, wireAdminOf } from './admin-command.ts';
import { CodecError, messageCodec } from './schema.ts';

/** `MQC1`. */
export const COMMAND_MAGIC = 0x4d514331;

const MAGIC_AT = 0; // u32
const TOTAL_SIZE_AT = MAGIC_AT + 4; // u32, header included
const BODY_CRC_AT = TOTAL_SIZE_AT + 4; // u32
const VERSION_AT = BODY_CRC_AT + 4; // u32
export const COMMAND_HEADER_SIZE_BYTES = VERSION_AT + 4;
const VERSION = 1;
const STATE_DIGEST_SIZE_BYTES = 8;
/** SHA-256. */
const RANGE_DIGEST_SIZE_BYTES = 32;

export type Command =
  | TopicPutCommand
  | { readonly kind: 'topicDelete'; readonly topic: string }
  | GroupPutCommand
  | DeliverCommand
  | AcknowledgeCommand
  | ChangeInvisibleCommand
  | OffsetSaveCommand
  | AdvanceLogStartCommand
  | TopicRetentionPutCommand
  | AdminCommand
  | { readonly kind: 'checkpoint'; readonly atMs: number }
  | CheckpointClaimCommand;

export interface TopicPutCommand {
  readonly kind: 'topicPut';
  readonly topic: string;
  readonly queueCount: number;
  readonly permission: number;
  readonly messageTypes: readonly number[];
  readonly atMs: number;
}

export interface GroupPutCommand {
  readonly kind: 'groupPut';
  readonly group: string;
  readonly maxAttempts: number;
  readonly fifo: boolean;
  readonly atMs: number;
}

export interface DeliverCommand {
  readonly kind: 'deliver';
  readonly group: string;
  readonly topic: string;
  readonly clientId: string;
  readonly autoRenew: boolean;
  readonly attemptId: string;
  readonly atMs: number;
  readonly invisibleUntilMs: number;
  readonly queues: readonly QueueDeliveries[];
}

export interface QueueDeliveries {
  readonly queueId: number;
  readonly nextOffset: QueueOffset;
  readonly deliveries: readonly Delivery[];
}

export interface Delivery {
  readonly queueOffset: QueueOffset;
  readonly attempt: number;
  readonly deliveryId: string;
}

export interface AcknowledgeCommand {
  readonly kind: 'acknowledge';
  readonly group: string;
  readonly topic: string;
  readonly deliveries: readonly AcknowledgedDelivery[];
}

export interface AcknowledgedDelivery {
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly deliveryId: string;
}

export interface ChangeInvisibleCommand {
  readonly kind: 'changeInvisible';
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly deliveryId: string;
  readonly invisibleUntilMs: number;
  /** null keeps the handle: a renewal. */
  readonly newDeliveryId: string | null;
}

export interface OffsetSaveCommand {
  readonly kind: 'offsetSave';
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
}

export interface AdvanceLogStartCommand {
  readonly kind: 'advanceLogStart';
  /** Of the header of the first entry that is kept. */
  readonly physicalOffset: PhysicalOffset;
  readonly firstIndex: LogIndex;
  /** For people: `age` or `size`. */
  readonly reason: string;
  /** Of the first message that is kept; 0 when none is. */
  readonly storeTimestampMs: number;
  readonly atMs: number;
}

export interface TopicRetentionPutCommand {
  readonly kind: 'topicRetentionPut';
  readonly topic: string;
  /** 0: no minimum. */
  readonly minRetentionMs: number;
}

export interface CheckpointClaimCommand {
  readonly kind: 'checkpointClaim';
  /** The entry before the checkpoint. */
  readonly index: LogIndex;
  readonly headerCrc: number;
  /** 16 hexadecimal digits. */
  readonly stateDigest: string;
  readonly firstIndex: LogIndex;
  /** 64 hexadecimal digits. */
  readonly rangeDigest: string;
}

/** `mqraft.Command` as protobufjs reads and writes it: exactly one field is set. */
interface WireCommand {
  topicPut?: Omit<TopicPutCommand, 'kind'>;
  topicDelete?: { topic: string };
  groupPut?: Omit<GroupPutCommand, 'kind'>;
  deliver?: Omit<DeliverCommand, 'kind'>;
  acknowledge?: Omit<AcknowledgeCommand, 'kind'>;
  changeInvisible?: Omit<ChangeInvisibleCommand, 'kind' | 'newDeliveryId'> & {
    newDeliveryId: string;
  };
  offsetSave?: Omit<OffsetSaveCommand, 'kind'>;
  advanceLogStart?: Omit<AdvanceLogStartCommand, 'kind'>;
  topicRetentionPut?: Omit<TopicRetentionPutCommand, 'kind'>;
  admin?: WireAdmin;
  checkpoint?: { atMs: number };
  checkpointClaim?: {
    index: number;
    headerCrc: number;
    stateDigest: Uint8Array;
    firstIndex: number;
    rangeDigest: Uint8Array;
  };
}

const codec = messageCodec<WireCommand>('mqraft.Command');

export function encodeCommandRecord(command: Command): Uint8Array {
  const body = codec.encode(wireOf(command));
  const bytes = new Uint8Array(COMMAND_HEADER_SIZE_BYTES + body.length);
  const view = viewOf(bytes);
  view.setUint32(MAGIC_AT, COMMAND_MAGIC);
  view.setUint32(TOTAL_SIZE_AT, bytes.length);
  view.setUint32(BODY_CRC_AT, crc32(body));
  view.setUint32(VERSION_AT, VERSION);
  bytes.set(body, COMMAND_HEADER_SIZE_BYTES);
  return bytes;
}

/** @throws CorruptionError when the header's size cannot be. */
export function commandSizeBytesAt(view: DataView, at: number): number {
  const roomBytes = view.byteLength - at;
  refuseUnless(roomBytes >= COMMAND_HEADER_SIZE_BYTES, 'shorter than its header');
  const sizeBytes = view.getUint32(at + TOTAL_SIZE_AT);
  refuseUnless(sizeBytes >= COMMAND_HEADER_SIZE_BYTES && sizeBytes <= roomBytes, 'impossible size');
  return sizeBytes;
}

/** @throws CorruptionError when the bytes at `at` are not a command of this version. */
export function decodeCommandRecord(bytes: Uint8Array, at = 0): Command {
  const view = viewOf(bytes);
  const sizeBytes = commandSizeBytesAt(view, at);
  refuseUnless(view.getUint32(at + MAGIC_AT) === COMMAND_MAGIC, 'unknown magic');
  const body = bytes.subarray(at + COMMAND_HEADER_SIZE_BYTES, at + sizeBytes);
  refuseUnless(view.getUint32(at + BODY_CRC_AT) === crc32(body), 'body checksum');
  refuseUnless(view.getUint32(at + VERSION_AT) === VERSION, 'a version this program cannot read');
  return decodedCommand(body);
}

function decodedCommand(body: Uint8Array): Command {
  try {
    return commandOf(codec.decode(body));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new CorruptionError(`Command record: ${error.message}`, { cause: error });
  }
}

function wireOf(command: Command): WireCommand {
  switch (command.kind) {
    case 'topicPut':
      return { topicPut: command };
    case 'topicDelete':
      return { topicDelete: command };
    case 'groupPut':
      return { groupPut: command };
    case 'deliver':
      return { deliver: command };
    case 'acknowledge':
      return { acknowledge: command };
    case 'changeInvisible':
      return { changeInvisible: { ...command, newDeliveryId: command.newDeliveryId ?? '' } };
    case 'offsetSave':
      return { offsetSave: command };
    case 'advanceLogStart':
      return { advanceLogStart: command };
    case 'topicRetentionPut':
      return { topicRetentionPut: command };
    case 'admin':
      return { admin: wireAdminOf(command) };
    case 'checkpoint':
      return { checkpoint: command };
    case 'checkpointClaim':
      return {
        checkpointClaim: {
          ...command,
          stateDigest: Buffer.from(command.stateDigest, 'hex'),
          rangeDigest: Buffer.from(command.rangeDigest, 'hex'),
        },
      };
    default:
      return unreachable(command);
  }
}

/** Copies field by field: decoded objects carry prototypes and unchecked numbers. */
function commandOf(wire: WireCommand): Command {
  if (wire.topicPut) return topicPutOf(wire.topicPut);
  if (wire.topicDelete) return { kind: 'topicDelete', topic: wire.topicDelete.topic };
  if (wire.groupPut) return groupPutOf(wire.groupPut);
  if (wire.deliver) return deliverOf(wire.deliver);
  if (wire.acknowledge) return acknowledgeOf(wire.acknowledge);
  if (wire.changeInvisible) return changeInvisibleOf(wire.changeInvisible);
  if (wire.offsetSave) return offsetSaveOf(wire.offsetSave);
  if (wire.advanceLogStart) return advanceLogStartOf(wire.advanceLogStart);
  if (wire.topicRetentionPut) return topicRetentionPutOf(wire.topicRetentionPut);
  if (wire.admin) return adminCommandOf(wire.admin);
  if (wire.checkpoint) return { kind: 'checkpoint', atMs: safe(wire.checkpoint.atMs) };
  if (wire.checkpointClaim) return checkpointClaimOf(wire.checkpointClaim);
  throw new CorruptionError('Command record: a kind this program does not know');
}

function topicPutOf(wire: NonNullable<WireCommand['topicPut']>): Command {
  return {
    kind: 'topicPut',
    topic: wire.topic,
    queueCount: wire.queueCount,
    permission: wire.permission,
    messageTypes: [...wire.messageTypes],
    atMs: safe(wire.atMs),
  };
}

function groupPutOf(wire: NonNullable<WireCommand['groupPut']>): Command {
  return {
    kind: 'groupPut',
    group: wire.group,
    maxAttempts: wire.maxAttempts,
    fifo: wire.fifo,
    atMs: safe(wire.atMs),
  };
}

function deliverOf(wire: NonNullable<WireCommand['deliver']>): Command {
  return {
    kind: 'deliver',
    group: wire.group,
    topic: wire.topic,
    clientId: wire.clientId,
    autoRenew: wire.autoRenew,
    attemptId: wire.attemptId,
    atMs: safe(wire.atMs),
    invisibleUntilMs: safe(wire.invisibleUntilMs),
    queues: wire.queues.map((queue) => ({
      queueId: queue.queueId,
      nextOffset: QueueOffset(safe(queue.nextOffset)),
      deliveries: queue.deliveries.map((delivery) => ({
        queueOffset: QueueOffset(safe(delivery.queueOffset)),
        attempt: delivery.attempt,
        deliveryId: delivery.deliveryId,
      })),
    })),
  };
}

function acknowledgeOf(wire: NonNullable<WireCommand['acknowledge']>): Command {
  return {
    kind: 'acknowledge',
    group: wire.group,
    topic: wire.topic,
    deliveries: wire.deliveries.map((delivery) => ({
      queueId: delivery.queueId,
      queueOffset: QueueOffset(safe(delivery.queueOffset)),
      deliveryId: delivery.deliveryId,
    })),
  };
}

function changeInvisibleOf(wire: NonNullable<WireCommand['changeInvisible']>): Command {
  return {
    kind: 'changeInvisible',
    group: wire.group,
    topic: wire.topic,
    queueId: wire.queueId,
    queueOffset: QueueOffset(safe(wire.queueOffset)),
    deliveryId: wire.deliveryId,
    invisibleUntilMs: safe(wire.invisibleUntilMs),
    newDeliveryId: wire.newDeliveryId === '' ? null : wire.newDeliveryId,
  };
}

function offsetSaveOf(wire: NonNullable<WireCommand['offsetSave']>): Command {
  return {
    kind: 'offsetSave',
    group: wire.group,
    topic: wire.topic,
    queueId: wire.queueId,
    queueOffset: QueueOffset(safe(wire.queueOffset)),
  };
}

function advanceLogStartOf(wire: NonNullable<WireCommand['advanceLogStart']>): Command {
  return {
    kind: 'advanceLogStart',
    physicalOffset: PhysicalOffset(safe(wire.physicalOffset)),
    firstIndex: LogIndex(safe(wire.firstIndex)),
    reason: wire.reason,
    storeTimestampMs: safe(wire.storeTimestampMs),
    atMs: safe(wire.atMs),
  };
}

function topicRetentionPutOf(wire: NonNullable<WireCommand['topicRetentionPut']>): Command {
  return {
    kind: 'topicRetentionPut',
    topic: wire.topic,
    minRetentionMs: safe(wire.minRetentionMs),
  };
}

function checkpointClaimOf(wire: NonNullable<WireCommand['checkpointClaim']>): Command {
  return {
    kind: 'checkpointClaim',
    index: LogIndex(safe(wire.index)),
    headerCrc: wire.headerCrc,
    stateDigest: digestOf(wire.stateDigest, STATE_DIGEST_SIZE_BYTES),
    firstIndex: LogIndex(safe(wire.firstIndex)),
    rangeDigest: digestOf(wire.rangeDigest, RANGE_DIGEST_SIZE_BYTES),
  };
}

function digestOf(bytes: Uint8Array, sizeBytes: number): string {
  refuseUnless(bytes.length === sizeBytes, 'a digest of another size');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function safe(value: number): number {
  refuseUnless(Number.isSafeInteger(value) && value >= 0, 'a number out of range');
  return value;
}

function refuseUnless(condition: boolean, what: string): asserts condition {
  if (!condition) throw new CorruptionError(`Command record: ${what}`);
}
