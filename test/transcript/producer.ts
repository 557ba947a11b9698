/** Messages that come in all night, and what became of them. */
import { randomUUID } from 'node:crypto';
import { createBrokerCallClient } from '../../src/client/broker-call-client.ts';
import { MqClient } from '../../src/client/mq-client.ts';
import { NameServerClient } from '../../src/client/name-server-client.ts';
import { NodeDirectory } from '../../src/client/node-directory.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { BrokerError, type OutgoingMessage } from '../../src/protocol/verbs.ts';

const PERIOD_MS = 10;
const BODY_SIZE_BYTES = 1024;
const FILL_BODY_SIZE_BYTES = 64 * 1024;
const FILL_BATCH_SIZE = 16;
/** Of one send, elections included. */
const TIMEOUT_MS = 20_000;

export class Producer {
  readonly #client: MqClient;
  readonly #clock = new NodeClock();
  readonly #topic: string;
  readonly #open = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;
  #lastAckAtMs = 0;
  acknowledgedCount = 0;
  readonly failures: string[] = [];
  longestGapMs = 0;

  constructor(nameServer: string, topic: string) {
    this.#topic = topic;
    const clock = this.#clock;
    const nameServers = [new NameServerClient(nameServer)];
    const directory = new NodeDirectory({ nameServers, endpoints: [], clock });
    const connect = createBrokerCallClient;
    this.#client = new MqClient({ directory, connect, clock, timeoutMs: TIMEOUT_MS });
  }

  /** So that a new node has something to copy. */
  async fill(sizeBytes: number): Promise<void> {
    for (let sentBytes = 0; sentBytes < sizeBytes; ) {
      const messages = Array.from({ length: FILL_BATCH_SIZE }, () =>
        this.#message(FILL_BODY_SIZE_BYTES),
      );
      await this.#client.send(messages);
      sentBytes += FILL_BATCH_SIZE * FILL_BODY_SIZE_BYTES;
    }
  }

  start(): void {
    this.#lastAckAtMs = this.#clock.monotonicMs();
    this.#timer = setInterval(() => {
      const sending = this.#send().then(() => {
        this.#open.delete(sending);
      });
      this.#open.add(sending);
    }, PERIOD_MS);
  }

  /** Ends when every message has its answer. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await Promise.all(this.#open);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#client.close();
  }

  async #send(): Promise<void> {
    try {
      await this.#client.send([this.#message(BODY_SIZE_BYTES)]);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.failures.push(error.message);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastAckAtMs);
    this.#lastAckAtMs = nowMs;
    this.acknowledgedCount += 1;
  }

  #message(sizeBytes: number): OutgoingMessage {
    return {
      ...{ topic: this.#topic, messageId: randomUUID(), body: new Uint8Array(sizeBytes) },
      ...{ bodyEncoding: 'identity', tag: null, keys: [], userProperties: {} },
      ...{ bornTimestampMs: Date.now(), bornHost: '127.0.0.1:0', traceContext: null },
    };
  }
}
