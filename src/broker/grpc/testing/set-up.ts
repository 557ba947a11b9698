/** An endpoint on a free port over a broker in memory, with clients, all closed when a test ends. */
import type { TestContext } from 'node:test';
import { NodeId } from '../../../base/units.ts';
import type { Clock, Timer } from '../../../io/clock.ts';
import {
  type MessagingEndpoint,
  type MessagingEndpointOptions,
  startMessagingEndpoint,
} from '../endpoint.ts';
import { MemoryGateway } from './memory-gateway.ts';
import { RawClient } from './raw-client.ts';

const UNTIL_MS = 10_000;
const UNTIL_STEP_MS = 5;

export interface TestBed {
  readonly clock: Clock;
  readonly gateway: MemoryGateway;
  readonly endpoint: MessagingEndpoint;
  /** What the endpoint logged as warning or error. */
  readonly logged: object[];
  connect(clientId: string | null): RawClient;
  /** Another endpoint over the same broker. */
  start(options: Partial<MessagingEndpointOptions>): Promise<MessagingEndpoint>;
  until(condition: () => boolean, what: string): Promise<void>;
  /** Undoes something; the last thing done is undone first. */
  onEnd(undo: () => unknown): void;
}

/** Has the topic `orders` with three queues. */
export async function setUp(
  t: TestContext,
  options: Partial<MessagingEndpointOptions> = {},
): Promise<TestBed> {
  const clock = new SystemClock();
  const gateway = new MemoryGateway(clock);
  gateway.addTopic('orders', 3);
  const undos: (() => unknown)[] = [];
  const onEnd = (undo: () => unknown) => undos.push(undo);
  t.after(async () => {
    for (const undo of undos.toReversed()) await undo();
  });
  const logged: object[] = [];
  const log = (fields: object) => logged.push(fields);
  const start = async (changes: Partial<MessagingEndpointOptions>) => {
    const endpoint = await startMessagingEndpoint({
      gateway,
      clock,
      listenAddress: '127.0.0.1:0',
      advertisedAddress: null,
      clusterName: 'dev',
      nodeId: NodeId('n1'),
      autoCreateTopics: false,
      logger: { info: () => undefined, warn: log, error: log },
      ...changes,
    });
    onEnd(() => endpoint.close());
    return endpoint;
  };
  const endpoint = await start(options);
  const connect = (clientId: string | null) => {
    const client = new RawClient(endpoint.address, clientId);
    onEnd(() => client.close());
    return client;
  };
  const until = async (condition: () => boolean, what: string) => {
    const endMs = clock.monotonicMs() + UNTIL_MS;
    while (!condition()) {
      if (clock.monotonicMs() > endMs) throw new Error(`Not within ${UNTIL_MS} ms: ${what}`);
      await new Promise<void>((resolve) => clock.setTimer(UNTIL_STEP_MS, resolve));
    }
  };
  return { clock, gateway, endpoint, logged, connect, start, until, onEnd };
}

export function addressPartsOf(address: string): { readonly host: string; readonly port: number } {
  const [host = '', port = ''] = address.split(':');
  return { host, port: Number(port) };
}

class SystemClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const timeout = setTimeout(onFire, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  }
}
