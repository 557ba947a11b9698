/**
 * Names of topics and groups as clients may use them. All are storage names: a namespace is folded
 * in as `ns%name`, the reserved kinds have a prefix in front.
 */
import { NAME_LIMITS } from './limits.ts';
import { BrokerError } from './verbs.ts';

const NAME_PATTERN = /^[%|a-zA-Z0-9_-]+$/;
const DEAD_LETTER_PREFIX = '%DLQ%';
const RETRY_PREFIX = '%RETRY%';
const SYSTEM_TOPIC_PREFIX = 'rmq_sys_';
const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_';
const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
]);

/** Where messages go that a group could not consume. */
export function deadLetterTopicOf(group: string): string {
  return DEAD_LETTER_PREFIX + group;
}

/** Made by the broker itself, never by a client's first send. */
export function isReservedKind(topic: string): boolean {
  return topic.startsWith(DEAD_LETTER_PREFIX) || topic.startsWith(RETRY_PREFIX);
}

/** @throws BrokerError illegalTopic */
export function checkTopicName(topic: string): void {
  checkName('illegalTopic', 'Topic', topic, NAME_LIMITS.topicLengthMax);
  if (SYSTEM_TOPICS.has(bareName(topic)) || bareName(topic).startsWith(SYSTEM_TOPIC_PREFIX)) {
    throw new BrokerError(
      'illegalTopic',
      `Topic "${topic}" is reserved for the system. Choose another name.`,
    );
  }
}

/** @throws BrokerError illegalGroup */
export function checkGroupName(group: string): void {
  checkName('illegalGroup', 'Consumer group', group, NAME_LIMITS.groupLengthMax);
  if (bareName(group).startsWith(SYSTEM_GROUP_PREFIX)) {
    throw new BrokerError(
      'illegalGroup',
      `Consumer group "${group}" is reserved for the system (prefix ${SYSTEM_GROUP_PREFIX}). Choose another name.`,
    );
  }
}

function checkName(
  code: 'illegalTopic' | 'illegalGroup',
  what: string,
  name: string,
  lengthMax: number,
): void {
  if (name === '') throw new BrokerError(code, `${what} name is empty. Give it a name.`);
  if (name.length > lengthMax) {
    throw new BrokerError(
      code,
      `${what} name "${quoted(name)}" has ${name.length} characters, the most is ${lengthMax}. Shorten it.`,
    );
  }
  if (!NAME_PATTERN.test(name)) {
    throw new BrokerError(
      code,
      `${what} name "${quoted(name)}" has characters other than letters, digits, "%", "|", "_" and "-". Rename it.`,
    );
  }
}

/** Without its namespace. */
function bareName(name: string): string {
  return name.slice(name.lastIndexOf('%') + 1);
}

const QUOTED_LENGTH_MAX = 64;

/** Foreign text in a message: short, and nothing that a terminal obeys. */
export function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return plain.length > QUOTED_LENGTH_MAX ? `${plain.slice(0, QUOTED_LENGTH_MAX)}...` : plain;
}
