/**
 * A stored message as clients receive it. What was not sent stays absent: clients take an empty
 * message group for FIFO and any delivery timestamp for DELAY. The digest is mandatory, and MD5 in
 * upper case is the one spelling that all clients agree on.
 */
import { createHash } from 'node:crypto';
import type { DeliveredMessage } from '../verbs.ts';
import { clientName, namespaceOf } from './resource-names.ts';
import { DIGEST_TYPE, ENCODING, MESSAGE_TYPE } from './wire-enums.ts';
import { msToWireTime } from './wire-time.ts';
import type { Resource, WireMessage } from './wire-types.ts';

/**
 * @param subscribed the topic as the consumer asked for it: what it will name in its
 *   acknowledgement, even when the message came from another place
 */
export function toWireMessage(
  message: DeliveredMessage,
  subscribed: Resource | null,
  headerNamespace: string,
): WireMessage {
  const origin = message.deadLetterOf;
  const namespace = namespaceOf(subscribed, headerNamespace);
  return {
    topic: subscribed,
    userProperties: message.userProperties,
    body: message.body,
    systemProperties: {
      tag: message.tag,
      keys: message.keys,
      messageId: message.messageId,
      bodyDigest: { type: DIGEST_TYPE.md5, checksum: md5Of(message.body) },
      bodyEncoding: message.bodyEncoding === 'gzip' ? ENCODING.gzip : ENCODING.identity,
      messageType: MESSAGE_TYPE.normal,
      bornTimestamp: msToWireTime(message.bornTimestampMs),
      bornHost: message.bornHost,
      storeTimestamp: msToWireTime(message.storeTimestampMs),
      storeHost: message.storeHost,
      deliveryTimestamp: null,
      receiptHandle: message.handle,
      queueId: message.queueId,
      queueOffset: message.queueOffset,
      deliveryAttempt: message.attempt,
      messageGroup: null,
      traceContext: message.traceContext,
      deadLetterQueue:
        origin === null
          ? null
          : { topic: clientName(origin.topic, namespace), messageId: origin.messageId },
      liteTopic: null,
      priority: null,
    },
  };
}

function md5Of(body: Uint8Array): string {
  return createHash('md5').update(body).digest('hex').toUpperCase();
}
