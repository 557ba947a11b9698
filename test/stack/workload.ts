/**
 * Producers and consumers with the habits of real clients: they repeat what was not answered, with the
 * same message id, at another node, and now and then something that was answered long ago.
 */
import { Prng } from '../../src/base/prng.ts';
import {
  BrokerError,
  type DeliveredMessage,
  type OutgoingMessage,
  type SendReceipt,
} from '../../src/broker/verbs.ts';
import type { StackNode } from './stack-node.ts';
import type { CallResult, StackWorld } from './stack-world.ts';

export const TOPIC = 'payments';
export const GROUP = 'ledger';

const SEND_TIMEOUT_MS = 2_000;
const TRIES_MAX = 12;
const RECEIVE_TIMEOUT_MS = 1_500;
const INVISIBLE_MS = 3_000;

export class Workload {
  readonly #world: StackWorld;
  readonly #random: Prng;
  /** Of each message that was acknowledged to a producer, the first receipt. */
  readonly receipts = new Map<string, SendReceipt>();
  readonly bodies = new Map<string, Uint8Array>();
  /** Of each message whose acknowledgement was answered, when. */
  readonly doneAtMs = new Map<string, number>();
  /** Of these the consumer does not know whether its acknowledgement arrived. */
  readonly #askedFor = new Set<string>();
  readonly #clients: Promise<void>[] = [];
  #messageCount = 0;
  #running = 0;
  stopping = false;
  repeats = 0;

  constructor(world: StackWorld) {
    this.#world = world;
    this.#random = new Prng(world.seed, 'clients');
  }

  start(producers: number, consumers: number): void {
    for (let i = 0; i < producers; i++) this.#run(() => this.#produce());
    for (let i = 0; i < consumers; i++) this.#run(() => this.#consume(`consumer-${i}`));
  }

  get isOver(): boolean {
    return this.#running === 0;
  }

  /** Acknowledged to a producer, and neither consumed nor possibly consumed. */
  get unconsumed(): readonly string[] {
    const isOpen = (id: string) => !this.doneAtMs.has(id) && !this.#askedFor.has(id);
    return [...this.receipts.keys()].filter(isOpen);
  }

  #run(client: () => Promise<void>): void {
    this.#running++;
    this.#clients.push(
      client()
        .catch((error: unknown) => this.#world.observer.violation(`a client failed: ${error}`))
        .finally(() => {
          this.#running--;
        }),
    );
  }

  async #produce(): Promise<void> {
    while (!this.stopping) {
      await this.#world.sleep(this.#random.below(60));
      const known = [...this.receipts.keys()];
      const isRepeat = known.length > 0 && this.#random.chance(1, 12);
      if (isRepeat) {
        const id = this.#random.pick(known);
        await this.#send([this.#message(id)]);
        this.repeats++;
        continue;
      }
      const count = this.#random.chance(1, 4) ? 2 + this.#random.below(3) : 1;
      await this.#send(Array.from({ length: count }, () => this.#newMessage()));
    }
  }

  async #send(messages: readonly OutgoingMessage[]): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const node = this.#anyNode();
      const request = { kind: 'send', messages } as const;
      // An impatient client asks twice at once.
      if (this.#random.chance(1, 10)) {
        const other = this.#anyNode();
        void this.#world.call(other, request, SEND_TIMEOUT_MS).then((also) => this.#note(also));
      }
      const result = await this.#world.call(node, request, SEND_TIMEOUT_MS);
      this.#note(result);
      if (result.kind === 'answer') return;
      await this.#world.sleep(20 + this.#random.below(200));
    }
  }

  #note(result: CallResult): void {
    this.#expectKnownFailure(result);
    if (result.kind !== 'answer' || result.response.kind !== 'sent') return;
    for (const receipt of result.response.receipts) {
      const { messageId, queueId, queueOffset, physicalOffset } = receipt;
      const first = this.receipts.get(messageId);
      if (first === undefined) {
        this.receipts.set(messageId, receipt);
        continue;
      }
      const isSame =
        first.queueId === queueId &&
        first.queueOffset === queueOffset &&
        first.physicalOffset === physicalOffset;
      if (isSame) continue;
      const pair = JSON.stringify([first, receipt]);
      this.#world.observer.violation(`one message has two receipts: ${pair}`);
    }
  }

  async #consume(clientId: string): Promise<void> {
    while (!this.stopping || this.unconsumed.length > 0) {
      await this.#world.sleep(10 + this.#random.below(80));
      const startedAtMs = this.#world.clock.monotonicMs();
      const result = await this.#world.call(
        this.#anyNode(),
        {
          ...{ kind: 'receive', group: GROUP, topic: TOPIC, filter: { tags: [] } },
          ...{ batchSize: 1 + this.#random.below(16), invisibleMs: INVISIBLE_MS },
          ...{ autoRenew: false, waitMs: this.#random.below(800), clientId, attemptId: '' },
        },
        RECEIVE_TIMEOUT_MS,
      );
      this.#expectKnownFailure(result);
      if (result.kind !== 'answer' || result.response.kind !== 'received') continue;
      await this.#handle(result.response.messages, startedAtMs);
    }
  }

  async #handle(messages: readonly DeliveredMessage[], startedAtMs: number): Promise<void> {
    const { observer } = this.#world;
    for (const { messageId, body } of messages) {
      const doneAtMs = this.doneAtMs.get(messageId);
      if (doneAtMs !== undefined && doneAtMs < startedAtMs) {
        observer.violation(`${messageId} came again after it was acknowledged`);
      }
      const sent = this.bodies.get(messageId);
      if (sent === undefined || Buffer.compare(sent, body) !== 0) {
        observer.violation(`${messageId} was delivered with another body`);
      }
    }
    // Some are forgotten: they come back.
    const done = messages.filter(() => !this.#random.chance(1, 10));
    if (done.length === 0) return;
    const handles = done.map(({ handle }) => handle);
    for (const { messageId } of done) this.#askedFor.add(messageId);
    const request = { kind: 'ack', group: GROUP, topic: TOPIC, handles } as const;
    const result = await this.#world.call(this.#anyNode(), request, SEND_TIMEOUT_MS);
    this.#expectKnownFailure(result);
    if (result.kind !== 'answer' || result.response.kind !== 'acked') return;
    for (const [at, outcome] of result.response.outcomes.entries()) {
      const id = done[at]?.messageId ?? '';
      const nowMs = this.#world.clock.monotonicMs();
      if (outcome === 'ok' && !this.doneAtMs.has(id)) this.doneAtMs.set(id, nowMs);
      // Somebody else holds it now, and may forget it.
      if (outcome === 'staleHandle') this.#askedFor.delete(id);
      if (outcome === 'invalidHandle') observer.violation(`the handle of ${id} is not known`);
    }
  }

  /** A busy or slow group is no surprise; that it calls a good request bad is one. */
  #expectKnownFailure(result: CallResult): void {
    if (result.kind !== 'failure') return;
    const { error } = result;
    const expected = ['timeout', 'noLeader', 'busy', 'topicNotFound'];
    if (error instanceof BrokerError && expected.includes(error.code)) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.observer.violation(`a good request failed: ${text}`);
  }

  #newMessage(): OutgoingMessage {
    const id = `m${++this.#messageCount}`;
    const sizeBytes = this.#random.chance(1, 5) ? 4_000 + this.#random.below(4_000) : 60;
    const body = new Uint8Array(sizeBytes + this.#random.below(500));
    const seeded = new Prng(this.#messageCount, 'body');
    for (let at = 0; at < body.length; at++) body[at] = seeded.nextU32();
    this.bodies.set(id, body);
    return this.#message(id);
  }

  #message(messageId: string): OutgoingMessage {
    const body = this.bodies.get(messageId) ?? new Uint8Array(1);
    return {
      ...{ topic: TOPIC, messageId, body, bodyEncoding: 'identity', tag: 'T', keys: [messageId] },
      ...{ userProperties: {}, bornTimestampMs: 1, bornHost: '10.1.0.1:5', traceContext: null },
    };
  }

  #anyNode(): StackNode {
    return this.#random.pick(this.#world.nodes);
  }
}
