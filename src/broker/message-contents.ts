/**
 * A message as producers and consumers see it, and as the log keeps it. Everything that RocketMQ has
 * no field for is a property; the reserved names below keep users out of them.
 */
import { PhysicalOffset } from '../base/units.ts';
import { joinKeys, MESSAGE_PROPERTY } from '../protocol/message-properties.ts';
import {
  isBodyCompressed,
  keysOf,
  messageIdOf,
  type StoredMessage,
  SYS_FLAG,
  tagOf,
} from '../protocol/message-record.ts';
import type { QueuePlace } from './queue-appender.ts';
import type { DeliveredMessage, OutgoingMessage } from './verbs.ts';

/** Property names that mean something to RocketMQ; a user may neither set nor see them. */
export const RESERVED_PROPERTIES: ReadonlySet<string> = new Set([
  ...Object.values(MESSAGE_PROPERTY),
  ...['WAIT', 'DELAY', 'RETRY_TOPIC', 'REAL_TOPIC', 'REAL_QID', 'TRAN_MSG', 'PGROUP'],
  ...['MIN_OFFSET', 'MAX_OFFSET', 'BUYER_ID', 'ORIGIN_MESSAGE_ID', 'TRANSFER_FLAG'],
  ...['CORRECTION_FLAG', 'MQ2_FLAG', 'RECONSUME_TIME', 'EXTEND_UNIQ_INFO', 'MAX_RECONSUME_TIMES'],
  ...['CONSUME_START_TIME', 'POP_CK', 'POP_CK_OFFSET', '1ST_POP_TIME'],
  ...['TRAN_PREPARED_QUEUE_OFFSET', 'DUP_INFO', 'INSTANCE_ID', 'CORRELATION_ID'],
  ...['REPLY_TO_CLIENT', 'TTL', 'ARRIVE_TIME', 'PUSH_REPLY_TIME', 'CLUSTER', 'MSG_REGION'],
  ...['TRACE_ON', 'INNER_MULTI_QUEUE_OFFSET', 'TIMER_DELAY_MS', 'TIMER_DELAY_SEC'],
  ...['TIMER_DELIVER_MS', 'TIMER_ENQUEUE_MS', 'TIMER_DEQUEUE_MS', 'TIMER_ROLL_TIMES'],
  ...['TIMER_OUT_MS', 'TIMER_DEL_UNIQKEY', 'TIMER_DELAY_LEVEL', '__BORNHOST', '__CRC32#'],
]);

/** The replica writes the real one when it places the entry. */
const UNPLACED = PhysicalOffset(0);

/** The record of a new message at its place. */
export function storedMessageOf(
  message: OutgoingMessage,
  place: QueuePlace,
  storeHost: string,
): StoredMessage {
  const properties = new Map<string, string>();
  for (const [key, value] of Object.entries(message.userProperties)) properties.set(key, value);
  properties.set(MESSAGE_PROPERTY.uniqueKey, message.messageId);
  if (message.tag !== null) properties.set(MESSAGE_PROPERTY.tags, message.tag);
  if (message.keys.length > 0) properties.set(MESSAGE_PROPERTY.keys, joinKeys(message.keys));
  if (message.traceContext !== null) {
    properties.set(MESSAGE_PROPERTY.traceContext, message.traceContext);
  }
  return {
    topic: message.topic,
    queueId: place.queueId,
    queueOffset: place.queueOffset,
    physicalOffset: UNPLACED,
    flag: 0,
    sysFlag: message.bodyEncoding === 'gzip' ? SYS_FLAG.bodyCompressed : 0,
    bornTimestampMs: message.bornTimestampMs,
    bornHost: message.bornHost,
    storeTimestampMs: place.storeTimestampMs,
    storeHost,
    reconsumeTimes: 0,
    body: message.body,
    properties,
  };
}

/** The copy of a message that a group could not consume. It remembers its first origin only. */
export function deadLetterOf(
  message: StoredMessage,
  deadLetterTopic: string,
  place: QueuePlace,
  storeHost: string,
): StoredMessage {
  const properties = new Map(message.properties);
  if (!properties.has(MESSAGE_PROPERTY.deadLetterOriginTopic)) {
    properties.set(MESSAGE_PROPERTY.deadLetterOriginTopic, message.topic);
    properties.set(MESSAGE_PROPERTY.deadLetterOriginMessageId, messageIdOf(message) ?? '');
  }
  return {
    ...message,
    ...place,
    topic: deadLetterTopic,
    physicalOffset: UNPLACED,
    storeHost,
    properties,
  };
}

export interface DeliveryOfMessage {
  readonly attempt: number;
  readonly handle: string;
  readonly invisibleMs: number;
}

export function deliveredMessageOf(
  message: StoredMessage,
  delivery: DeliveryOfMessage,
): DeliveredMessage {
  const { properties } = message;
  const originTopic = properties.get(MESSAGE_PROPERTY.deadLetterOriginTopic);
  const userProperties = [...properties].filter(([name]) => !RESERVED_PROPERTIES.has(name));
  return {
    topic: message.topic,
    messageId: messageIdOf(message) ?? '',
    body: message.body,
    bodyEncoding: isBodyCompressed(message) ? 'gzip' : 'identity',
    tag: tagOf(message),
    keys: keysOf(message),
    userProperties: Object.fromEntries(userProperties),
    bornTimestampMs: message.bornTimestampMs,
    bornHost: message.bornHost,
    storeTimestampMs: message.storeTimestampMs,
    storeHost: message.storeHost,
    traceContext: properties.get(MESSAGE_PROPERTY.traceContext) ?? null,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    attempt: delivery.attempt,
    handle: delivery.handle,
    invisibleMs: delivery.invisibleMs,
    deadLetterOf:
      originTopic === undefined
        ? null
        : {
            topic: originTopic,
            messageId: properties.get(MESSAGE_PROPERTY.deadLetterOriginMessageId) ?? '',
          },
  };
}
