/** The protocol of RocketMQ 5 without a client library: calls as they are on the wire. */
import { deepEqual, equal } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { type Answer, RawClient } from '../../src/broker/grpc/testing/raw-client.ts';
import type { EntriesAnswer, ReceivedElement } from '../../src/broker/grpc/testing/requests.ts';
import type { WireMessage } from '../../src/broker/grpc/wire-types.ts';
import type { Owner } from './owner.ts';

export const CODE_OK = 20000;
export const CODE_NOTHING_FOUND = 40401;
const DEADLINE_MS = 5_000;
const INVISIBLE_SECONDS = 60;
const POLL_SLACK_MS = 5_000;

export function rawClient(owner: Owner, address: string, clientId: string = randomUUID()) {
  const client = new RawClient(address, clientId);
  owner.after(async () => client.close());
  return client;
}

/** A legal message; `system` and `rest` exchange parts of it. */
export function rawMessage(topic: string, system: object = {}, rest: object = {}): object {
  return {
    topic: { name: topic },
    body: Buffer.from('paid'),
    systemProperties: {
      messageId: randomUUID(),
      messageType: 1,
      bodyEncoding: 1,
      ...system,
    },
    ...rest,
  };
}

export function trySend(
  client: RawClient,
  message: object,
  deadlineMs = DEADLINE_MS,
): Promise<EntriesAnswer> {
  return client.call<EntriesAnswer>('sendMessage', { messages: [message] }, deadlineMs);
}

/** @returns the queue offset */
export async function sendRaw(
  client: RawClient,
  topic: string,
  messageId: string,
  body = 'paid',
  deadlineMs = DEADLINE_MS,
): Promise<number> {
  const message = rawMessage(topic, { messageId }, { body: Buffer.from(body) });
  const { status, entries } = await trySend(client, message, deadlineMs);
  equal(status?.code, CODE_OK, status?.message);
  deepEqual(
    entries.map((entry) => [entry.status?.code, entry.messageId]),
    [[CODE_OK, messageId]],
  );
  return entries[0]!.offset;
}

export interface PollOptions {
  readonly waitMs?: number;
  readonly batchSize?: number;
  readonly invisibleSeconds?: number;
}

export function pollRequest(topic: string, group: string, options: PollOptions = {}): object {
  const { waitMs = 0, batchSize = 32, invisibleSeconds = INVISIBLE_SECONDS } = options;
  return {
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: 0 },
    filterExpression: { type: 1, expression: '*' },
    batchSize,
    invisibleDuration: { seconds: invisibleSeconds },
    longPollingTimeout: { seconds: Math.floor(waitMs / 1_000), nanos: (waitMs % 1_000) * 1e6 },
  };
}

export interface PollAnswer {
  readonly code: number | undefined;
  readonly sentence: string;
  readonly messages: readonly WireMessage[];
}

/** One poll, whatever it is answered. */
export async function pollOnce(client: RawClient, request: object): Promise<PollAnswer> {
  const wait = (request as { longPollingTimeout?: { seconds: number } }).longPollingTimeout;
  const deadlineMs = (wait?.seconds ?? 0) * 1_000 + POLL_SLACK_MS;
  const elements = await client.collect<ReceivedElement>('receiveMessage', request, deadlineMs);
  return {
    code: elements[0]?.status?.code,
    sentence: elements[0]?.status?.message ?? '',
    messages: elements.flatMap(({ message }) => (message === null ? [] : [message])),
  };
}

export function ackRaw(
  client: RawClient,
  topic: string,
  group: string,
  handle: string,
): Promise<Answer> {
  return client.call<Answer>('ackMessage', {
    group: { name: group },
    topic: { name: topic },
    entries: [{ messageId: 'any', receiptHandle: handle }],
  });
}

/** What a socket hears until the other side closes it; our half ends after the bytes. */
/** Whoever calls sets the deadline: there is none in here. */
export function talk(address: string, bytes: Uint8Array | string): Promise<Buffer> {
  const cut = address.lastIndexOf(':');
  return new Promise((resolve) => {
    const heard: Buffer[] = [];
    const host = address.slice(0, cut);
    const socket = connect(Number(address.slice(cut + 1)), host, () => socket.end(bytes));
    socket.on('data', (chunk) => heard.push(chunk));
    // A reset is one way of hanging up.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(heard)));
  });
}
