/** What the interop tests do with the unmodified official client, and the books they keep. */
import { deepEqual, equal } from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ConsumeResult,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from 'rocketmq-client-nodejs';
import { anomaliesOf, readWholeTopic } from './audit.ts';
import { inTime } from './deadline.ts';
import type { Owner } from './owner.ts';
import { type TestCluster, waitFor } from './test-cluster.ts';

export const INVISIBLE_MS = 30_000;
const AWAIT_MS = 2_000;
const RETRY_PAUSE_MS = 200;
const SLOW_PAUSE_MS = 200;
const DRAIN_TIMEOUT_MS = 90_000;
/** The client gives a send up after three attempts of some seconds each. */
const LAST_SENDS_TIMEOUT_MS = 45_000;
/** The client waits for its long poll and some seconds more. */
const CALL_TIMEOUT_MS = 30_000;

const UNAVAILABLE = 14;

const quiet = (): void => undefined;
const quietLogger = { debug: quiet, info: quiet, warn: quiet, error: quiet, close: quiet };
// Parts of the client ignore the logger they are given and open a log file in the home directory,
// with a timer that keeps the process alive for ever. Nothing else of it is touched.
createRequire(import.meta.url)('rocketmq-client-nodejs/dist/client/Logger.js').getDefaultLogger =
  () => quietLogger;

export interface Sent {
  readonly messageId: string;
  readonly body: string;
  readonly offset: number;
  readonly begunAtMs: number;
  readonly acknowledgedAtMs: number;
}

const closersOf = new WeakMap<Owner, (() => Promise<void>)[]>();

/** Registered before it starts, because a client that fails to start has timers too. */
function ownClient(owner: Owner, client: Producer | SimpleConsumer | PushConsumer): void {
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= shutDown(client);
    return closing;
  };
  closersOf.set(owner, [close, ...(closersOf.get(owner) ?? [])]);
  owner.after(close);
}

/**
 * It says goodbye to each node first, and leaves all its connections open when one of them is gone: then
 * it is told that it knows none. And a session with a node that is gone, also one that its routes name no
 * more, is renewed every second for ever: from now on it is given a stream to nowhere.
 */
async function shutDown(client: Producer | SimpleConsumer | PushConsumer): Promise<void> {
  const createTelemetryStream = () =>
    new Writable({ objectMode: true, write: (_, __, done) => done() });
  Object.assign(client, { createTelemetryStream });
  try {
    await client.shutdown();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === UNAVAILABLE)) throw error;
    Object.assign(client, { getTotalRouteEndpoints: () => [] });
    await client.shutdown();
  }
}

export async function closeClients(owner: Owner): Promise<void> {
  for (const close of closersOf.get(owner) ?? []) await inTime('a client to stop', close());
}

export async function startProducer(
  owner: Owner,
  endpoints: string,
  topic: string,
): Promise<Producer> {
  const producer = new Producer({ endpoints, topic, logger: quietLogger as never, namespace: '' });
  ownClient(owner, producer);
  await inTime('the producer to start', producer.startup());
  return producer;
}

export async function startPushConsumer(
  owner: Owner,
  endpoints: string,
  topic: string,
  consumerGroup: string,
  consume: (view: MessageView) => ConsumeResult,
): Promise<PushConsumer> {
  const consumer = new PushConsumer({
    endpoints,
    namespace: '',
    consumerGroup,
    subscriptions: new Map([[topic, '*']]),
    logger: quietLogger as never,
    messageListener: { consume: async (view) => consume(view) },
  });
  ownClient(owner, consumer);
  await inTime('the consumer to start', consumer.startup());
  return consumer;
}

export async function startSimpleConsumer(
  owner: Owner,
  endpoints: string,
  topic: string,
  consumerGroup: string,
  tag = '*',
): Promise<SimpleConsumer> {
  const consumer = new SimpleConsumer({
    endpoints,
    namespace: '',
    consumerGroup,
    subscriptions: new Map([[topic, tag]]),
    awaitDuration: AWAIT_MS,
    logger: quietLogger as never,
  });
  ownClient(owner, consumer);
  await inTime('the consumer to start', consumer.startup());
  return consumer;
}

export type { MessageView };

/** Sends without a pause until told to stop; a failed send is recorded, never hidden. */
export class LoadProducer {
  readonly sent: Sent[] = [];
  readonly failures: Error[] = [];
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #padding: string;
  readonly #lanes: Promise<void>[];
  #isStopping = false;
  #isSlow = false;
  #nextNumber = 0;

  /** @param padding ends each body */
  constructor(owner: Owner, producer: Producer, topic: string, laneCount: number, padding = '') {
    owner.after(() => this.stop());
    this.#padding = padding;
    this.#producer = producer;
    this.#topic = topic;
    this.#lanes = Array.from({ length: laneCount }, () => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const body = `message ${this.#nextNumber++}${this.#padding}`;
      const begunAtMs = performance.now();
      try {
        const receipt = await this.#producer.send({
          topic: this.#topic,
          tag: 'load',
          body: Buffer.from(body),
        });
        const { messageId, offset } = receipt;
        const acknowledgedAtMs = performance.now();
        this.sent.push({ messageId, body, offset, begunAtMs, acknowledgedAtMs });
        if (this.#isSlow) await delay(SLOW_PAUSE_MS);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        this.failures.push(error);
        await delay(RETRY_PAUSE_MS);
      }
    }
  }

  /** Goes on with few sends: what is sent during a long wait has to be read again at the end. */
  slow(): void {
    this.#isSlow = true;
  }

  fast(): void {
    this.#isSlow = false;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await inTime('the last sends to settle', Promise.all(this.#lanes), LAST_SENDS_TIMEOUT_MS);
  }

  /** Longest time without an acknowledgement between the first and the last one. */
  longestGapMs(): number {
    const times = this.sent.map(({ acknowledgedAtMs }) => acknowledgedAtMs);
    return times.slice(1).reduce((gap, time, i) => Math.max(gap, time - times[i]!), 0);
  }
}

export interface Received {
  readonly view: MessageView;
  readonly body: string;
}

/**
 * Receives and acknowledges until every wanted message id was seen and nothing more comes, or the
 * deadline passes. An error of one node is retried: the client rotates over the nodes of its route.
 */
export async function drain(
  consumer: SimpleConsumer,
  wanted: ReadonlySet<string>,
  timeoutMs: number,
): Promise<Received[]> {
  const deadlineAtMs = performance.now() + timeoutMs;
  const missing = new Set(wanted);
  const received: Received[] = [];
  while (performance.now() < deadlineAtMs) {
    const views = await receiveOnce(consumer);
    if (views !== null && views.length === 0 && missing.size === 0) return received;
    for (const view of views ?? []) {
      received.push({ view, body: view.body.toString() });
      missing.delete(view.messageId);
    }
    const acks = Promise.all((views ?? []).map((view) => consumer.ack(view)));
    await inTime('acknowledgements', acks, CALL_TIMEOUT_MS);
  }
  if (missing.size > 0) {
    throw new Error(`${missing.size} of ${wanted.size} messages not received in ${timeoutMs} ms`);
  }
  return received;
}

async function receiveOnce(consumer: SimpleConsumer): Promise<MessageView[] | null> {
  try {
    return await inTime('a poll', consumer.receive(32, INVISIBLE_MS), CALL_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    await delay(RETRY_PAUSE_MS);
    return null;
  }
}

export async function sentMore(load: LoadProducer, count: number): Promise<void> {
  const goal = load.sent.length + count;
  await waitFor(
    `${count} more sends`,
    async () => (load.sent.length >= goal ? true : null),
    60_000,
  );
}

/**
 * Every acknowledged message is received by the official client, unaltered, and is stored at the
 * acknowledged offset, once; no place of a queue is used twice. Afterwards the owner's clients are closed,
 * so that the cluster may be stopped.
 */
export async function allReceived(
  owner: Owner,
  load: Pick<LoadProducer, 'sent'>,
  cluster: TestCluster,
  endpoints: string,
  topic: string,
): Promise<void> {
  const acknowledged = new Map(load.sent.map((sent) => [sent.messageId, sent]));
  equal(acknowledged.size, load.sent.length);
  const consumer = await startSimpleConsumer(owner, endpoints, topic, 'everything');
  const received = await drain(consumer, new Set(acknowledged.keys()), DRAIN_TIMEOUT_MS);
  for (const { view, body } of received) {
    // A message whose send failed for the producer may be there all the same: its outcome was open.
    const sent = acknowledged.get(view.messageId);
    if (sent !== undefined) equal(body, sent.body);
  }
  await closeClients(owner);
  const stored = await readWholeTopic(cluster, topic);
  deepEqual(anomaliesOf(stored), []);
  const offsetOf = new Map(stored.map(({ messageId, queueOffset }) => [messageId, queueOffset]));
  for (const { messageId, offset } of load.sent) equal(offsetOf.get(messageId), offset);
}
