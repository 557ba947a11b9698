/**
 * Properties of a message as RocketMQ writes them: `name 0x01 value 0x02`, repeated, in UTF-8. The
 * separators cannot occur in names or values; whoever accepts a message refuses them before.
 */
import { assert } from '../base/assert.ts';

const NAME_END = '\x01';
const VALUE_END = '\x02';

/** Names of the properties that the store or the broker gives a meaning to. */
export const MESSAGE_PROPERTY = {
  /** Unique id given by the producer's client: key of the de-duplication window. */
  uniqueKey: 'UNIQ_KEY',
  tags: 'TAGS',
  /** Several keys, joined by a blank. */
  keys: 'KEYS',
  bornTimestampMs: 'BORN_TIMESTAMP',
  traceContext: 'TRACE_CONTEXT',
  messageType: 'MSG_TYPE',
  deadLetterOriginTopic: 'DLQ_ORIGIN_TOPIC',
  deadLetterOriginMessageId: 'DLQ_ORIGIN_MESSAGE_ID',
} as const;

const KEY_SEPARATOR = ' ';

/** True when the text may be the name or the value of a property. */
export function isPropertyText(text: string): boolean {
  return !text.includes(NAME_END) && !text.includes(VALUE_END);
}

export function formatProperties(properties: ReadonlyMap<string, string>): string {
  let text = '';
  for (const [name, value] of properties) {
    assert(name !== '', 'a property has a name');
    assert(isPropertyText(name) && isPropertyText(value), 'a property holds no separator', () => ({
      name,
    }));
    text += name + NAME_END + value + VALUE_END;
  }
  return text;
}

/** RocketMQ's own reader accepts a last value without its end mark, so this one does. */
export function parseProperties(text: string): ReadonlyMap<string, string> | null {
  const properties = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const nameEnd = text.indexOf(NAME_END, at);
    if (nameEnd <= at) return null;
    const mark = text.indexOf(VALUE_END, nameEnd + 1);
    const valueEnd = mark < 0 ? text.length : mark;
    properties.set(text.slice(at, nameEnd), text.slice(nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  return properties;
}

export function joinKeys(keys: readonly string[]): string {
  return keys.join(KEY_SEPARATOR);
}

/** Each key once: a repeated word is one way to find the message, not two. */
export function splitKeys(keys: string): readonly string[] {
  return [...new Set(keys.split(KEY_SEPARATOR).filter((key) => key !== ''))];
}
