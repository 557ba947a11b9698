/**
 * Producers and consumers with the habits of real clients: they repeat what was not answered, with the
 * same message id, at another node, and now and then something that was answered long ago.
 */
import { Prng } from '../../src/base/prng.ts';
import {
  BrokerError,
  type BrokerRequest,
  type DeliveredMessage,
  type OutgoingMessage,
  type SendReceipt,
} from '../../src/broker/verbs.ts';
import type { StackNode } from './stack-node.ts';
import type { CallResult, StackWorld } from './stack-world.ts';

export const TOPIC = 'payments';
export const GROUP = 'ledger';

const PAUSE_MS_MAX = 60;
const SEND_TIMEOUT_MS = 2_000;
const TRIES_MAX = 12;
const RECEIVE_TIMEOUT_MS = 1_500;
const INVISIBLE_MS = 3_000;
/** Where the log is to move on: what is forgotten comes back soon, and messages are large. */
const QUICK_INVISIBLE_MS = 1_000;

interface Client {
  readonly name: string;
  readonly random: Prng;
  messageCount: number;
  /** The node that answered last. */
  answering: StackNode | null;
}

function clientOf(seed: number, name: string): Client {
  return { name, random: new Prng(seed, name), messageCount: 0, answering: null };
}

export class Workload {
  readonly #world: StackWorld;
  /** Of each message that was acknowledged to a producer, the first receipt. */
  readonly receipts = new Map<string, SendReceipt>();
  readonly bodies = new Map<string, Uint8Array>();
  /** Of each message whose acknowledgement was answered, when. */
  readonly doneAtMs = new Map<string, number>();
  /** Of these the consumer does not know whether its acknowledgement arrived. */
  readonly #askedFor = new Set<string>();
  /** Of these some try ended without an answer, or with one that leaves the outcome open. */
  readonly #unknown = new Set<string>();
  readonly #failed = new Set<string>();
  /** Where consumers have seen each message. */
  readonly delivered = new Map<
    string,
    { readonly queueId: number; readonly queueOffset: number }
  >();
  readonly #clients: Promise<void>[] = [];
  #running = 0;
  /** Somebody has begun to consume. */
  #hasGroup = false;
  stopping = false;
  /** The clients are gone, whatever they waited for. */
  #isGone = false;
  repeats = 0;
  /** Calls that were answered. */
  answeredCount = 0;

  constructor(world: StackWorld) {
    this.#world = world;
  }

  /** Pauses between two messages, at most, by the time; for those who come in bursts. */
  pauseMsAt: (nowMs: number) => number = () => PAUSE_MS_MAX;

  /** From one moment to the next: nobody hears anything any more. */
  abandon(): void {
    this.stopping = true;
    this.#isGone = true;
  }

  start(producers: number, consumers: number): void {
    const { seed } = this.#world;
    for (let i = 0; i < producers; i++) {
      const name = `p${i}`;
      this.#run(() => this.#produce(clientOf(seed, name)));
    }
    for (let i = 0; i < consumers; i++) {
      const name = `consumer-${i}`;
      this.#run(() => this.#consume(clientOf(seed, name)));
    }
    this.#run(() => this.#watch(clientOf(seed, 'watcher')));
  }

  /** Every try of these was refused for sure. */
  get surelyFailed(): readonly string[] {
    return [...this.#failed].filter((id) => !this.#unknown.has(id) && !this.receipts.has(id));
  }

  get #isQuick(): boolean {
    return this.#world.retentionSizeBytes !== null;
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
        .catch((error: unknown) =>
          this.#world.observer.violation('C1', `a client failed: ${error}`),
        )
        .finally(() => {
          this.#running--;
        }),
    );
  }

  async #produce(client: Client): Promise<void> {
    const { random } = client;
    while (!this.stopping) {
      await this.#world.sleep(random.below(this.pauseMsAt(this.#world.clock.monotonicMs())));
      // By size goes what every group has consumed; before the first group that is everything.
      if (this.#isQuick && this.receipts.size > 0 && !this.#hasGroup) continue;
      const known = [...this.receipts.keys()];
      if (known.length > 0 && random.chance(1, 12)) {
        const id = random.pick(known);
        await this.#send(client, [this.#message(id)]);
        this.repeats++;
        continue;
      }
      const count = random.chance(1, 4) ? 2 + random.below(3) : 1;
      const messages = Array.from({ length: count }, () => this.#newMessage(client));
      await this.#send(client, messages);
    }
    // What is asked for after the storm must be answered.
    await this.#send(client, [this.#newMessage(client)], Number.POSITIVE_INFINITY);
  }

  async #send(
    client: Client,
    messages: readonly OutgoingMessage[],
    triesMax = TRIES_MAX,
  ): Promise<void> {
    const { random } = client;
    const ids = messages.map(({ messageId }) => messageId);
    for (let tries = 0; tries < triesMax && !this.#isGone; tries++) {
      const request = { kind: 'send', messages } as const;
      // An impatient client asks twice at once.
      if (random.chance(1, 10)) {
        const other = random.pick(this.#world.nodes);
        void this.#world
          .call(other, request, SEND_TIMEOUT_MS)
          .then((also) => this.#note(ids, also));
      }
      const result = await this.#ask(client, request, SEND_TIMEOUT_MS);
      this.#note(ids, result);
      if (result.kind === 'answer') return;
      const givesUp = isSureFailure(result) && random.chance(1, 2);
      if (givesUp && triesMax === TRIES_MAX) return;
      await this.#world.sleep(20 + random.below(200));
    }
  }

  #note(ids: readonly string[], result: CallResult): void {
    const { observer } = this.#world;
    this.#expectKnownFailure(result);
    const outcomes = isSureFailure(result) ? this.#failed : this.#unknown;
    if (result.kind !== 'answer') for (const id of ids) outcomes.add(id);
    if (result.kind !== 'answer' || result.response.kind !== 'sent') return;
    this.answeredCount++;
    for (const receipt of result.response.receipts) {
      const { messageId, queueId, queueOffset, physicalOffset } = receipt;
      observer.note('sent', messageId, queueId, queueOffset, physicalOffset);
      observer.checkCount++;
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
      observer.violation('A2', `one message has two receipts: ${pair}`);
    }
  }

  async #consume(client: Client): Promise<void> {
    const { random, name: clientId } = client;
    while (!this.#isGone && (!this.stopping || this.unconsumed.length > 0)) {
      await this.#world.sleep(10 + random.below(80));
      const startedAtMs = this.#world.clock.monotonicMs();
      const result = await this.#ask(
        client,
        {
          ...{ kind: 'receive', group: GROUP, topic: TOPIC, filter: { tags: [] } },
          ...{
            batchSize: 1 + random.below(16),
            invisibleMs: this.#isQuick ? QUICK_INVISIBLE_MS : INVISIBLE_MS,
          },
          ...{ autoRenew: false, waitMs: random.below(800), clientId, attemptId: '' },
        },
        RECEIVE_TIMEOUT_MS,
      );
      this.#expectKnownFailure(result);
      if (result.kind !== 'answer' || result.response.kind !== 'received') continue;
      this.#hasGroup = true;
      this.answeredCount++;
      await this.#handle(client, result.response.messages, startedAtMs);
    }
  }

  async #handle(
    client: Client,
    messages: readonly DeliveredMessage[],
    startedAtMs: number,
  ): Promise<void> {
    const { observer } = this.#world;
    const { random } = client;
    for (const { messageId, body, queueId, queueOffset } of messages) {
      observer.note('delivered', messageId, queueId, queueOffset);
      observer.checkCount++;
      this.delivered.set(messageId, { queueId, queueOffset });
      const doneAtMs = this.doneAtMs.get(messageId);
      if (doneAtMs !== undefined && doneAtMs < startedAtMs) {
        observer.violation('A3', `${messageId} came again after it was acknowledged`);
      }
      const sent = this.bodies.get(messageId);
      if (sent === undefined || Buffer.compare(sent, body) !== 0) {
        observer.violation('A3', `${messageId} was delivered with another body`);
      }
    }
    // Some are forgotten: they come back.
    const done = messages.filter(() => !random.chance(1, this.#isQuick ? 60 : 10));
    if (done.length === 0) return;
    const handles = done.map(({ handle }) => handle);
    for (const { messageId } of done) this.#askedFor.add(messageId);
    const request = { kind: 'ack', group: GROUP, topic: TOPIC, handles } as const;
    const result = await this.#ask(client, request, SEND_TIMEOUT_MS);
    this.#expectKnownFailure(result);
    if (result.kind !== 'answer' || result.response.kind !== 'acked') return;
    this.answeredCount++;
    for (const [at, outcome] of result.response.outcomes.entries()) {
      const id = done[at]?.messageId ?? '';
      const nowMs = this.#world.clock.monotonicMs();
      if (outcome === 'ok' && !this.doneAtMs.has(id)) this.doneAtMs.set(id, nowMs);
      // Somebody else holds it now, and may forget it.
      if (outcome === 'staleHandle') this.#askedFor.delete(id);
      if (outcome !== 'invalidHandle') continue;
      observer.violation('A3', `the handle of ${id} is not known`);
    }
  }

  /** Whoever looks at the topic sees no message that may still be lost. */
  async #watch(client: Client): Promise<void> {
    const { observer } = this.#world;
    while (!this.stopping) {
      await this.#world.sleep(20 + client.random.below(200));
      const request = { kind: 'topicDescribe', topic: TOPIC } as const;
      const result = await this.#ask(client, request, SEND_TIMEOUT_MS);
      this.#expectKnownFailure(result);
      if (result.kind !== 'answer' || result.response.kind !== 'topic') continue;
      this.answeredCount++;
      for (const { queueId, nextOffset } of result.response.topic.queues) {
        observer.note('described', queueId, nextOffset);
        observer.checkCount++;
        const committed = observer.nextOffset(TOPIC, queueId);
        if (nextOffset <= committed) continue;
        const sentence = `queue ${queueId} is shown up to ${nextOffset}, and is applied to ${committed}`;
        observer.violation('A5', sentence);
      }
    }
  }

  /** A busy or slow group is no surprise; that it calls a good request bad is one. */
  #expectKnownFailure(result: CallResult): void {
    if (result.kind !== 'failure') return;
    const { error } = result;
    const expected = ['timeout', 'busy', 'topicNotFound'];
    if (error instanceof BrokerError && expected.includes(error.code)) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.observer.violation('C1', `a good request failed: ${text}`);
  }

  #newMessage(client: Client): OutgoingMessage {
    const { random } = client;
    const id = `${client.name}-${++client.messageCount}`;
    const sizeBytes = random.chance(this.#isQuick ? 4 : 1, 5) ? 4_000 + random.below(4_000) : 60;
    const body = new Uint8Array(sizeBytes + random.below(500));
    const seeded = new Prng(client.messageCount, id);
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

  /** In the storm anybody, for more of a mess; afterwards whoever has answered, as clients do. */
  async #ask(client: Client, request: BrokerRequest, timeoutMs: number): Promise<CallResult> {
    const anyone = client.random.pick(this.#world.nodes);
    const node = (this.stopping ? client.answering : null) ?? anyone;
    const result = await this.#world.call(node, request, timeoutMs);
    client.answering = result.kind === 'answer' ? node : null;
    return result;
  }
}

/** Says that nothing was written: these codes promise it. */
function isSureFailure(result: CallResult): boolean {
  if (result.kind !== 'failure' || !(result.error instanceof BrokerError)) return false;
  return result.error.code !== 'timeout' && result.error.code !== 'internal';
}
