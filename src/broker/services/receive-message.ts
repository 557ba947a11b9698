/**
 * Receive (POP): hands messages to consumers of a group, each to one at a time. Checks the request and
 * finds its lane; the lanes do the work and sleep until something happens: a message, the end of an
 * invisible time, a change of leadership.
 */
import type { Term } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { Replica } from '../../replica/replica.ts';
import type { TopicConfig } from '../../store/derived/derived-state.ts';
import type { Background } from '../background.ts';
import type { BrokerCounters } from '../counters.ts';
import type { LeaderTime } from '../leader-time.ts';
import { CONSUME_LIMITS as LIMITS, NAME_LIMITS } from '../limits.ts';
import { deliveredMessageOf } from '../message-contents.ts';
import type { MessageLocks } from '../message-locks.ts';
import { checkGroupName, checkTopicName, quoted } from '../names.ts';
import type { Proposer } from '../proposer.ts';
import { encodeReceiptHandle } from '../receipt-handle.ts';
import { BrokerError, type DeliveredMessage, type ReceiveRequest } from '../verbs.ts';
import type { ClientTable } from './clients.ts';
import { ConsumerLane } from './consumer-lane.ts';
import type { DeadLetterer } from './dead-letterer.ts';
import { readMessage } from './message-reader.ts';
import { type Metadata, PERMISSION, topicNotFound } from './metadata.ts';
import { Poll } from './poll.ts';

export interface ReceiveMessageOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly time: LeaderTime;
  readonly proposer: Proposer;
  readonly locks: MessageLocks;
  readonly metadata: Metadata;
  readonly clients: ClientTable;
  readonly deadLetterer: DeadLetterer;
  readonly background: Background;
  readonly counters: BrokerCounters;
}

/** How long a call may take, and who listens. */
export interface ReceiveContext {
  readonly remainingMs: number;
  readonly signal: AbortSignal;
  readonly isRetry: boolean;
}

export class ReceiveMessage {
  readonly #options: ReceiveMessageOptions;
  /** By topic, then group. */
  readonly #lanes = new Map<string, Map<string, ConsumerLane>>();
  #pollCount = 0;
  #deliveryCount = 0;

  constructor(options: ReceiveMessageOptions) {
    this.#options = options;
  }

  async receive(
    request: ReceiveRequest,
    context: ReceiveContext,
  ): Promise<readonly DeliveredMessage[]> {
    const { replica, metadata, clients } = this.#options;
    checkReceive(request);
    clients.seen(request.clientId);
    const topic = replica.state.topic(request.topic);
    if (topic === null) throw topicNotFound(request.topic);
    if ((topic.permission & PERMISSION.read) === 0) {
      throw new BrokerError('forbidden', `Topic "${request.topic}" may not be read.`);
    }
    await metadata.groupForReceive(request.group);
    if (context.isRetry) {
      const earlier = await this.#resume(request, topic);
      if (earlier.length > 0) return earlier;
    }
    return this.#poll(request, context);
  }

  /** Something about deliveries of the group from the topic has changed. */
  wake(group: string, topic: string): void {
    this.#lanes.get(topic)?.get(group)?.wake();
  }

  wakeTopic(topic: string): void {
    for (const lane of this.#lanes.get(topic)?.values() ?? []) lane.wake();
  }

  /** The right to deliver is gone: every poll ends with the error, at once. */
  failAll(error: Error): void {
    for (const lanes of [...this.#lanes.values()]) {
      for (const lane of [...lanes.values()]) lane.failAll(error);
    }
  }

  get pollCount(): number {
    return this.#pollCount;
  }

  #poll(
    request: ReceiveRequest,
    { remainingMs, signal }: ReceiveContext,
  ): Promise<readonly DeliveredMessage[]> {
    if (this.#pollCount >= LIMITS.pollsMax) {
      throw new BrokerError(
        'busy',
        `${this.#pollCount} polls are waiting, the most is ${LIMITS.pollsMax}. Poll with fewer consumers or larger batches.`,
      );
    }
    if (signal.aborted) return Promise.resolve([]);
    const waitMs = Math.min(request.waitMs, LIMITS.waitMsMax, remainingMs - LIMITS.answerMarginMs);
    const lane = this.#laneOf(request);
    this.#pollCount++;
    return new Promise((resolve, reject) => {
      const poll = new Poll({
        request: { ...request, batchSize: clamp(request.batchSize, 1, LIMITS.batchSizeMax) },
        waitMs: Math.max(0, waitMs),
        clock: this.#options.clock,
        signal,
        resolve,
        reject,
        onSettled: (settled) => {
          this.#pollCount--;
          lane.remove(settled);
        },
      });
      lane.add(poll);
    });
  }

  /**
   * An earlier try of this very call may have been given messages whose answer got lost: they are
   * held for it, so it gets them now instead of after the invisible time.
   */
  async #resume(request: ReceiveRequest, topic: TopicConfig): Promise<DeliveredMessage[]> {
    const { replica, time } = this.#options;
    const { group, clientId, attemptId } = request;
    const messages: DeliveredMessage[] = [];
    if (attemptId === '') return messages;
    for (let queueId = 0; queueId < topic.queueCount; queueId++) {
      const { inFlight } = replica.state.progress(group, topic.topic, queueId);
      for (const held of inFlight) {
        if (held.clientId !== clientId || held.attemptId !== attemptId) continue;
        const { queueOffset, deliveryId, attempt } = held;
        const unit = replica.state.queueUnit(topic.topic, queueId, queueOffset);
        const invisibleMs = held.invisibleUntilMs - time.nowMs();
        if (unit === null || invisibleMs <= 0) continue;
        const handle = { group, topic: topic.topic, queueId, queueOffset, deliveryId };
        const message = await readMessage(replica.log, unit);
        if (message === null) continue;
        messages.push(
          deliveredMessageOf(message, {
            attempt,
            handle: encodeReceiptHandle(handle),
            invisibleMs,
          }),
        );
      }
    }
    return messages;
  }

  #laneOf({ group, topic }: ReceiveRequest): ConsumerLane {
    let lanes = this.#lanes.get(topic);
    if (lanes === undefined) {
      lanes = new Map();
      this.#lanes.set(topic, lanes);
    }
    const known = lanes.get(group);
    if (known !== undefined) return known;
    const lane = new ConsumerLane({
      ...this.#options,
      group,
      topic,
      nextDeliveryId: (term) => this.#nextDeliveryId(term),
      onIdle: () => this.#forget(group, topic),
    });
    lanes.set(group, lane);
    return lane;
  }

  #forget(group: string, topic: string): void {
    const lanes = this.#lanes.get(topic);
    lanes?.delete(group);
    if (lanes?.size === 0) this.#lanes.delete(topic);
  }

  /** Unique in the history of all groups: one leader per term, one count per leader. */
  #nextDeliveryId(term: Term): string {
    this.#deliveryCount++;
    return `${term.toString(36)}.${this.#deliveryCount.toString(36)}`;
  }
}

function checkReceive(request: ReceiveRequest): void {
  checkTopicName(request.topic);
  checkGroupName(request.group);
  const { invisibleMs, autoRenew, filter, clientId, attemptId } = request;
  if (!autoRenew && !isWithin(invisibleMs, LIMITS.invisibleMsMin, LIMITS.invisibleMsMax)) {
    throw new BrokerError(
      'illegalInvisibleTime',
      `The invisible time is ${invisibleMs} ms, from ${LIMITS.invisibleMsMin} to ${LIMITS.invisibleMsMax} ms are allowed.`,
    );
  }
  if (filter.tags.length > LIMITS.tagsPerFilterMax) {
    throw new BrokerError(
      'illegalFilter',
      `The filter names ${filter.tags.length} tags, the most is ${LIMITS.tagsPerFilterMax}. Use fewer, or "*" for all.`,
    );
  }
  for (const text of [clientId, attemptId]) {
    if (text.length <= NAME_LIMITS.clientIdLengthMax) continue;
    throw new BrokerError(
      'badRequest',
      `The client or attempt id "${quoted(text)}" has ${text.length} characters, the most is ${NAME_LIMITS.clientIdLengthMax}.`,
    );
  }
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, Number.isSafeInteger(value) ? value : min));
}
