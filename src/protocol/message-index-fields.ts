/**
 * The fields of a message record that derived state indexes, read without building the message: this
 * runs for every message that is applied or replayed. The body's checksum is not verified here; the
 * entry's checksum, which covers it, was verified when the entry was received or read.
 */
import { readU64 } from '../base/bytes.ts';
import { PhysicalOffset, QueueOffset } from '../base/units.ts';
import { tagsCodeOf } from './java-hash.ts';
import { MESSAGE_PROPERTY, splitKeys } from './message-properties.ts';
import {
  type MessageLayout,
  messageLayoutAt,
  PHYSICAL_OFFSET_AT,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
} from './message-record.ts';

export interface MessageIndexFields {
  readonly sizeBytes: number;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly physicalOffset: PhysicalOffset;
  readonly storeTimestampMs: number;
  readonly tagsCode: number;
  /** UTF-8 as one character per byte; null without id. */
  readonly messageIdBinary: string | null;
  /** Like the id; each word once. */
  readonly keysBinary: readonly string[];
}

/** @throws CorruptionError when there is no message record at `at`. */
export function messageIndexFieldsAt(
  bytes: Buffer,
  view: DataView,
  at: number,
): MessageIndexFields {
  const layout = messageLayoutAt(view, at);
  const properties = indexedProperties(bytes, layout);
  return {
    sizeBytes: layout.sizeBytes,
    topic: bytes.toString('utf8', layout.topicAt, layout.topicAt + layout.topicSizeBytes),
    queueId: view.getUint32(at + QUEUE_ID_AT),
    queueOffset: QueueOffset(readU64(view, at + QUEUE_OFFSET_AT)),
    physicalOffset: PhysicalOffset(readU64(view, at + PHYSICAL_OFFSET_AT)),
    storeTimestampMs: readU64(view, layout.storeTimestampAt),
    tagsCode: properties.tagBinary === '' ? 0 : tagsCodeOf(textOf(properties.tagBinary)),
    messageIdBinary: properties.messageIdBinary,
    keysBinary: properties.keys === '' ? [] : splitKeys(properties.keys),
  };
}

/** Bytes as characters: the separators are below 0x80, so UTF-8 cannot contain them by accident. */
function indexedProperties(bytes: Buffer, layout: MessageLayout) {
  const from = layout.propertiesAt;
  const text = bytes.toString('latin1', from, from + layout.propertiesSizeBytes);
  let messageIdBinary: string | null = null;
  let tagBinary = '';
  let keys = '';
  let at = 0;
  while (at < text.length) {
    const nameEnd = text.indexOf('\x01', at);
    if (nameEnd < 0) break;
    const mark = text.indexOf('\x02', nameEnd);
    const valueEnd = mark < 0 ? text.length : mark;
    const name = text.slice(at, nameEnd);
    if (name === MESSAGE_PROPERTY.uniqueKey) messageIdBinary = text.slice(nameEnd + 1, valueEnd);
    else if (name === MESSAGE_PROPERTY.tags) tagBinary = text.slice(nameEnd + 1, valueEnd);
    else if (name === MESSAGE_PROPERTY.keys) keys = text.slice(nameEnd + 1, valueEnd);
    at = valueEnd + 1;
  }
  return { messageIdBinary, tagBinary, keys };
}

function textOf(binary: string): string {
  return Buffer.from(binary, 'latin1').toString();
}
