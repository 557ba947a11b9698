/** Requests and answers that the tests of the endpoint have in common. */
import type { MessageQueue, WireMessage, WireTime } from '../wire-types.ts';
import type { Answer, RawClient } from './raw-client.ts';

export const TOPIC = { resourceNamespace: '', name: 'orders' };
export const GROUP = { resourceNamespace: '', name: 'billing' };
export const NORMAL = 1;

export interface RouteAnswer extends Answer {
  readonly messageQueues: readonly MessageQueue[];
}
export interface EntriesAnswer extends Answer {
  readonly entries: readonly (Answer & {
    readonly messageId: string;
    readonly transactionId: string;
    readonly offset: number;
    readonly receiptHandle: string;
  })[];
}
export interface ReceivedElement extends Answer {
  readonly message: WireMessage | null;
  readonly deliveryTimestamp: WireTime | null;
}

/** A legal message with some system properties, or some fields, exchanged. */
export function aMessage(system: object = {}, rest: object = {}): object {
  return {
    topic: TOPIC,
    body: Buffer.from('paid 🙂'),
    systemProperties: { messageId: 'm1', messageType: NORMAL, bodyEncoding: 1, ...system },
    ...rest,
  };
}

/** A legal poll that does not wait long. */
export function aPoll(rest: object = {}): object {
  return {
    group: GROUP,
    messageQueue: { topic: TOPIC, id: 0 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 16,
    invisibleDuration: { seconds: 10 },
    longPollingTimeout: { nanos: 50_000_000 },
    ...rest,
  };
}

export function codeOfAnswer({ status }: Answer): number | undefined {
  return status?.code;
}

export function send(client: RawClient, message: object): Promise<EntriesAnswer> {
  return client.call<EntriesAnswer>('sendMessage', { messages: [message] });
}

export async function receiveMessages(
  client: RawClient,
  poll = aPoll(),
): Promise<readonly WireMessage[]> {
  const elements = await client.collect<ReceivedElement>('receiveMessage', poll);
  return elements.flatMap(({ message }) => (message === null ? [] : [message]));
}

export function userProperties(count: number, size: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v'.repeat(size)]));
}
