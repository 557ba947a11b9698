/**
 * The records of one entry's payload, one after the other without padding. A record of an unknown kind
 * stops the replica: it comes from a newer version, and skipping it would let replicas diverge
 * (hazard H31).
 */
import { viewOf } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import {
  COMMAND_MAGIC,
  type Command,
  commandSizeBytesAt,
  decodeCommandRecord,
} from './command-record.ts';
import {
  decodeMessageRecord,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  messageLayoutAt,
  type StoredMessage,
} from './message-record.ts';

export type LogRecord =
  | {
      readonly kind: 'message';
      /** Place in the payload. */
      readonly at: number;
      readonly sizeBytes: number;
      readonly message: StoredMessage;
    }
  | {
      readonly kind: 'command';
      readonly at: number;
      readonly sizeBytes: number;
      readonly command: Command;
    };

/** Place and kind of a record, before anything in it is decoded. */
export interface RecordPlace {
  readonly kind: 'message' | 'command';
  readonly at: number;
  readonly sizeBytes: number;
}

/** A message record starts with its size, a command record with its magic. */
const MESSAGE_MAGIC_AT = 4;
const PREFIX_SIZE_BYTES = 8;

/** @throws CorruptionError when the bytes at `at` are no record of a known kind. */
export function recordPlaceAt(view: DataView, at: number): RecordPlace {
  if (view.byteLength - at < PREFIX_SIZE_BYTES) {
    throw new CorruptionError(`Record at ${at}: ${view.byteLength - at} bytes are no record`);
  }
  // A size of 0x4d514331 (1.3 GB) is beyond every limit, so the two kinds cannot be confused.
  if (view.getUint32(at) === COMMAND_MAGIC) {
    return { kind: 'command', at, sizeBytes: commandSizeBytesAt(view, at) };
  }
  const magic = view.getUint32(at + MESSAGE_MAGIC_AT);
  if (magic === MESSAGE_MAGIC_V1 || magic === MESSAGE_MAGIC_V2) {
    return { kind: 'message', at, sizeBytes: messageLayoutAt(view, at).sizeBytes };
  }
  throw new CorruptionError(`Record at ${at}: unknown kind, magic ${magic.toString(16)}`);
}

/** @throws CorruptionError at the first byte that belongs to no record. */
export function* recordsOf(payload: Uint8Array): Generator<LogRecord> {
  const view = viewOf(payload);
  let at = 0;
  while (at < payload.length) {
    const place = recordPlaceAt(view, at);
    yield place.kind === 'message'
      ? { ...place, kind: 'message', message: decodeMessageRecord(payload, at) }
      : { ...place, kind: 'command', command: decodeCommandRecord(payload, at) };
    at += place.sizeBytes;
  }
}
