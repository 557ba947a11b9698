/** A broker that leads a group of one, on a clock that the test moves. */
import { type Broker, createBroker } from '../../src/broker/broker.ts';
import type {
  BrokerRequest,
  BrokerResponse,
  DeliveredMessage,
  OutgoingMessage,
  ReceiveRequest,
  RoomReport,
  SendReceipt,
} from '../../src/broker/verbs.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { MemoryReplica } from './memory-replica.ts';

export const GROUP = 'billing';
export const TOPIC = 'payments';

export interface Fixture {
  readonly broker: Broker;
  readonly replica: MemoryReplica;
  readonly clock: ManualClock;
  serve<K extends BrokerResponse['kind']>(
    request: BrokerRequest,
    kind: K,
    context?: { readonly isRetry?: boolean; readonly signal?: AbortSignal },
  ): Promise<Extract<BrokerResponse, { kind: K }>>;
  send(...messages: readonly Partial<OutgoingMessage>[]): Promise<readonly SendReceipt[]>;
  receive(
    request?: Partial<ReceiveRequest>,
    context?: { readonly isRetry?: boolean; readonly signal?: AbortSignal },
  ): Promise<readonly DeliveredMessage[]>;
  ack(...handles: readonly string[]): Promise<readonly string[]>;
}

export async function openBroker(
  options: { readonly autoCreateTopics?: boolean; readonly diskRoom?: () => RoomReport } = {},
): Promise<Fixture> {
  const replica = await MemoryReplica.open();
  const clock = new ManualClock();
  const broker = createBroker({
    replica,
    clock,
    autoCreateTopics: options.autoCreateTopics ?? true,
    storeHost: '10.0.0.9:10911',
    ...(options.diskRoom === undefined ? {} : { diskRoom: options.diskRoom }),
  });
  replica.lead();
  const fixture: Fixture = {
    broker,
    replica,
    clock,
    serve: async (request, kind, context = {}) => {
      const response = await broker.serve(request, {
        remainingMs: 60_000,
        signal: context.signal ?? new AbortController().signal,
        isRetry: context.isRetry ?? false,
      });
      if (response.kind !== kind) throw new Error(`Expected ${kind}, got ${response.kind}`);
      return response as Extract<BrokerResponse, { kind: typeof kind }>;
    },
    send: async (...messages) => {
      const request = { kind: 'send', messages: messages.map(outgoing) } as const;
      return (await fixture.serve(request, 'sent')).receipts;
    },
    receive: async (request = {}, context = {}) =>
      (await fixture.serve(receiveRequest(request), 'received', context)).messages,
    ack: async (...handles) => {
      const request = { kind: 'ack', group: GROUP, topic: TOPIC, handles } as const;
      return (await fixture.serve(request, 'acked')).outcomes;
    },
  };
  return fixture;
}

let nextMessage = 0;

export function outgoing(message: Partial<OutgoingMessage> = {}): OutgoingMessage {
  nextMessage++;
  return {
    topic: TOPIC,
    messageId: `m${nextMessage}`,
    body: new TextEncoder().encode('pay 5 to bob'),
    bodyEncoding: 'identity',
    tag: null,
    keys: [],
    userProperties: {},
    bornTimestampMs: 1_600_000_000_000,
    bornHost: '10.0.0.1:5000',
    traceContext: null,
    ...message,
  };
}

export function receiveRequest(request: Partial<ReceiveRequest> = {}): ReceiveRequest {
  return {
    kind: 'receive',
    group: GROUP,
    topic: TOPIC,
    filter: { tags: [] },
    batchSize: 16,
    invisibleMs: 30_000,
    autoRenew: false,
    waitMs: 0,
    clientId: 'c1',
    attemptId: '',
    ...request,
  };
}

export const ids = (messages: readonly { readonly messageId: string }[]): string[] =>
  messages.map(({ messageId }) => messageId).sort();
