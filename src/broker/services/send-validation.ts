/**
 * What a send may contain, checked before anything else happens. The order and the classes of error
 * are those of RocketMQ's proxy; each sentence names the value, the limit and the way out.
 */
import { parseHostAddress } from '../../protocol/host-address.ts';
import { MESSAGE_LIMITS as LIMITS } from '../limits.ts';
import { RESERVED_PROPERTIES } from '../message-contents.ts';
import { checkTopicName, quoted } from '../names.ts';
import { BrokerError, type OutgoingMessage, type SendRequest } from '../verbs.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/** What a decoder puts where bytes were no text. */
const REPLACEMENT_CHARACTER = '\ufffd';

/**
 * @returns the topic of all messages
 * @throws BrokerError
 */
export function checkSend(request: SendRequest): string {
  const [first] = request.messages;
  if (first === undefined) {
    throw new BrokerError('messageCorrupted', 'The send holds no message. Send at least one.');
  }
  if (request.messages.length > LIMITS.messagesPerSendMax) {
    throw new BrokerError(
      'messageCorrupted',
      `The send holds ${request.messages.length} messages, the most is ${LIMITS.messagesPerSendMax}. Send them in parts.`,
    );
  }
  const other = request.messages.find(({ topic }) => topic !== first.topic);
  if (other !== undefined) {
    throw new BrokerError(
      'messageCorrupted',
      `One send has messages for "${quoted(first.topic)}" and "${quoted(other.topic)}". Send each topic on its own.`,
    );
  }
  checkTopicName(first.topic);
  let sizeBytes = 0;
  for (const message of request.messages) {
    checkMessage(message);
    sizeBytes += message.body.length;
  }
  if (sizeBytes > LIMITS.sendSizeBytesMax) {
    throw new BrokerError(
      'bodyTooLarge',
      `The bodies of one send have ${sizeBytes} bytes, the most is ${LIMITS.sendSizeBytesMax}. Send them in parts.`,
    );
  }
  return first.topic;
}

function checkMessage(message: OutgoingMessage): void {
  checkBody(message.body);
  checkProperties(message.userProperties);
  checkTag(message.tag);
  for (const key of message.keys) checkKey(key);
  checkSizes(message);
  checkMessageId(message.messageId);
  checkOrigin(message);
}

function checkBody(body: Uint8Array): void {
  if (body.length > LIMITS.bodySizeBytesMax) {
    throw new BrokerError(
      'bodyTooLarge',
      `The body has ${body.length} bytes, the most is ${LIMITS.bodySizeBytesMax}. Store large contents elsewhere and send a reference.`,
    );
  }
  if (body.length === 0) {
    throw new BrokerError('bodyEmpty', 'The body is empty. A message has at least one byte.');
  }
}

function checkProperties(properties: Readonly<Record<string, string>>): void {
  const entries = Object.entries(properties);
  if (entries.length > LIMITS.propertyCountMax) {
    throw new BrokerError(
      'propertiesTooLarge',
      `The message has ${entries.length} user properties, the most is ${LIMITS.propertyCountMax}. Move some into the body.`,
    );
  }
  for (const [key, value] of entries) {
    if (key.trim() === '') {
      throw new BrokerError('illegalPropertyKey', 'A user property has a blank key. Name it.');
    }
    if (RESERVED_PROPERTIES.has(key)) {
      throw new BrokerError(
        'illegalPropertyKey',
        `The user property key "${key}" is reserved for the system. Choose another key.`,
      );
    }
    if (CONTROL_CHARACTER.test(key) || CONTROL_CHARACTER.test(value)) {
      throw new BrokerError(
        'illegalPropertyKey',
        `The user property "${quoted(key)}" holds control characters. Encode its value, for example as base64.`,
      );
    }
  }
}

function checkTag(tag: string | null): void {
  if (tag === null) return;
  if (tag.trim() === '') {
    throw new BrokerError('illegalTag', 'The tag is blank. Leave it out, or give it a name.');
  }
  if (tag.includes('|') || CONTROL_CHARACTER.test(tag)) {
    throw new BrokerError(
      'illegalTag',
      `The tag "${quoted(tag)}" holds "|" or control characters, which filters cannot express. Rename it.`,
    );
  }
}

function checkKey(key: string): void {
  if (key.trim() === '') {
    throw new BrokerError(
      'illegalKey',
      'A message key is blank. Leave it out, or give it a value.',
    );
  }
  if (CONTROL_CHARACTER.test(key)) {
    throw new BrokerError(
      'illegalKey',
      `The message key "${quoted(key)}" holds control characters. Remove them.`,
    );
  }
}

function checkSizes(message: OutgoingMessage): void {
  const texts = [
    message.tag ?? '',
    ...message.keys,
    ...Object.entries(message.userProperties).flat(),
  ];
  const sizeBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (sizeBytes > LIMITS.propertiesSizeBytesMax) {
    throw new BrokerError(
      'propertiesTooLarge',
      `User properties, tag and keys have ${sizeBytes} bytes together, the most is ${LIMITS.propertiesSizeBytesMax}. Move some into the body.`,
    );
  }
}

function checkMessageId(messageId: string): void {
  if (messageId.trim() === '') {
    throw new BrokerError(
      'illegalMessageId',
      'The message id is blank. Give each message a unique id: it is what makes a retry safe.',
    );
  }
  if (messageId.includes(REPLACEMENT_CHARACTER)) {
    throw new BrokerError(
      'illegalMessageId',
      `The message id "${quoted(messageId)}" is not valid UTF-8: ids that differ could look the same. Use letters and digits.`,
    );
  }
  if (messageId.length > LIMITS.messageIdLengthMax || CONTROL_CHARACTER.test(messageId)) {
    throw new BrokerError(
      'illegalMessageId',
      `The message id "${quoted(messageId)}" has ${messageId.length} characters or holds control characters; the most is ${LIMITS.messageIdLengthMax}. Shorten it.`,
    );
  }
}

/** What the client's library fills in, not the user. */
function checkOrigin(message: OutgoingMessage): void {
  if (parseHostAddress(message.bornHost) === null) {
    throw new BrokerError(
      'badRequest',
      `The born host "${quoted(message.bornHost)}" is not an address with a port, such as 10.0.0.1:5000.`,
    );
  }
  if (!Number.isSafeInteger(message.bornTimestampMs) || message.bornTimestampMs < 0) {
    throw new BrokerError(
      'badRequest',
      `The born timestamp ${message.bornTimestampMs} is not a number of milliseconds since 1970.`,
    );
  }
  const traceContext = message.traceContext ?? '';
  const sizeBytes = Buffer.byteLength(traceContext);
  if (sizeBytes > LIMITS.traceContextSizeBytesMax || CONTROL_CHARACTER.test(traceContext)) {
    throw new BrokerError(
      'badRequest',
      `The trace context has ${sizeBytes} bytes or holds control characters; the most is ${LIMITS.traceContextSizeBytesMax} bytes.`,
    );
  }
}
