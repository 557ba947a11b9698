/**
 * Send: store messages once, together or not at all.
 *
 * Invariant (promise 2 of the design): within the window, a message id is stored once per topic. Three
 * places can know it: the applied state, this request, and requests that are being proposed; the
 * check of all three and the claim of the id happen in one turn.
 */
import { assert } from '../../base/assert.ts';
import type { Term } from '../../base/units.ts';
import { MESSAGE_OVERHEAD_BYTES } from '../../protocol/message-record.ts';
import type { DerivedState, FirstOutcome, TopicConfig } from '../../store/derived/derived-state.ts';
import type { BrokerCounters } from '../counters.ts';
import { storedMessageOf } from '../message-contents.ts';
import type { Proposer } from '../proposer.ts';
import type { MessageStored, QueueAppender } from '../queue-appender.ts';
import type { RoomGate } from '../room-gate.ts';
import { BrokerError, type OutgoingMessage, type SendReceipt, type SendRequest } from '../verbs.ts';
import { MESSAGE_TYPE_NORMAL, type Metadata, PERMISSION, topicNotFound } from './metadata.ts';
import { checkSend } from './send-validation.ts';

export interface SendMessageOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly appender: QueueAppender;
  readonly metadata: Metadata;
  readonly gate: RoomGate;
  readonly counters: BrokerCounters;
  readonly storeHost: string;
}

export class SendMessage {
  readonly #options: SendMessageOptions;
  /** Ids that are being proposed; settles when their outcome is known, whatever it is. */
  readonly #claims = new Map<string, Promise<void>>();
  #nextQueue = 0;

  constructor(options: SendMessageOptions) {
    this.#options = options;
  }

  async send(request: SendRequest): Promise<readonly SendReceipt[]> {
    const { state, proposer, metadata, gate, counters } = this.#options;
    const topic = checkSend(request);
    await metadata.topicForSend(topic);
    let claim = this.#claimOn(topic, request.messages);
    while (claim !== null) {
      await claim;
      claim = this.#claimOn(topic, request.messages);
    }
    // From the last look at the claims to our own, nothing else runs: what was looked up stays true.
    const term = proposer.requireTerm();
    const config = state.topic(topic);
    if (config === null) throw topicNotFound(topic);
    checkWritable(config);
    const receipts = new Map<string, SendReceipt>();
    const fresh = new Map<string, OutgoingMessage>();
    for (const message of request.messages) {
      const { messageId } = message;
      const first = state.firstOutcome(topic, messageId);
      if (first === null) fresh.set(messageId, fresh.get(messageId) ?? message);
      else receipts.set(messageId, receiptOf(messageId, first, true));
    }
    if (fresh.size > 0) {
      // What was stored before is told also when there is no room for more.
      gate.requireRoom();
      const stored = await this.#store(term, config, [...fresh.values()]);
      for (const each of stored) {
        receipts.set(each.messageId, receiptOf(each.messageId, each, false));
      }
    }
    counters.sent += fresh.size;
    counters.sentDuplicates += request.messages.length - fresh.size;
    return request.messages.map(({ messageId }) => takeReceipt(receipts, messageId));
  }

  /** @returns the end of someone else's proposal of one of the ids; null: nobody is at it */
  #claimOn(topic: string, messages: readonly OutgoingMessage[]): Promise<void> | null {
    if (this.#claims.size === 0) return null;
    for (const { messageId } of messages) {
      const claim = this.#claims.get(claimKey(topic, messageId));
      if (claim !== undefined) return claim;
    }
    return null;
  }

  async #store(
    term: Term,
    config: TopicConfig,
    messages: readonly OutgoingMessage[],
  ): Promise<readonly MessageStored[]> {
    const { appender, storeHost } = this.#options;
    const queueId = this.#nextQueue++ % config.queueCount;
    const keys = messages.map(({ messageId }) => claimKey(config.topic, messageId));
    const appending = appender.append(config.topic, queueId, {
      term,
      messages: messages.map((message) => (place) => storedMessageOf(message, place, storeHost)),
      commands: [],
      sizeBytes: messages.reduce((sum, message) => sum + roughSizeBytes(message), 0),
    });
    const settled = appending.then(
      () => {},
      // The failure belongs to the request that claimed; the others look again.
      () => {},
    );
    for (const key of keys) this.#claims.set(key, settled);
    try {
      return (await appending).stored;
    } finally {
      for (const key of keys) this.#claims.delete(key);
    }
  }
}

function receiptOf(messageId: string, first: FirstOutcome, duplicate: boolean): SendReceipt {
  const { queueId, queueOffset, physicalOffset } = first;
  return { messageId, queueId, queueOffset, physicalOffset, duplicate };
}

/** An id that comes again in the same request is a duplicate of its first appearance. */
function takeReceipt(receipts: Map<string, SendReceipt>, messageId: string): SendReceipt {
  const receipt = receipts.get(messageId);
  assert(receipt !== undefined, 'each message of a send has a receipt', () => ({ messageId }));
  receipts.set(messageId, { ...receipt, duplicate: true });
  return receipt;
}

function checkWritable(config: TopicConfig): void {
  if ((config.permission & PERMISSION.write) === 0) {
    throw new BrokerError('forbidden', `Topic "${config.topic}" does not accept messages.`);
  }
  if (!config.messageTypes.includes(MESSAGE_TYPE_NORMAL)) {
    throw new BrokerError(
      'typeNotAccepted',
      `Topic "${config.topic}" does not accept normal messages (types: ${config.messageTypes.join(', ')}).`,
    );
  }
}

/** Good enough to bound what waits. */
function roughSizeBytes(message: OutgoingMessage): number {
  return MESSAGE_OVERHEAD_BYTES + message.body.length + message.topic.length;
}

function claimKey(topic: string, messageId: string): string {
  // A topic has no blanks.
  return `${topic} ${messageId}`;
}
