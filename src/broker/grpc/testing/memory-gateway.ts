/**
 * A broker in memory behind the gateway's port, for tests of the endpoint: stores, delivers by queue
 * and order, hides what was delivered, knows stale handles. No log, no leader, no retention.
 */
import { unreachable } from '../../../base/assert.ts';
import { NodeId, PhysicalOffset, QueueOffset } from '../../../base/units.ts';
import type { Clock } from '../../../io/clock.ts';
import { checkTopicName } from '../../names.ts';
import { checkSend } from '../../services/send-validation.ts';
import {
  type AckOutcome,
  BrokerError,
  type BrokerGateway,
  type BrokerRequest,
  type BrokerResponse,
  type CallContext,
  type DeliveredMessage,
  type LiveNode,
  type OutgoingMessage,
  type ReceiveRequest,
  type SendReceipt,
  type TopicDescription,
} from '../../verbs.ts';

interface StoredMessage extends OutgoingMessage {
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
}

interface Topic {
  readonly name: string;
  readonly queueCount: number;
  readonly messages: StoredMessage[];
}

interface Progress {
  attempts: number;
  invisibleUntilMs: number;
  done: boolean;
}

const POLL_STEP_MS = 5;

export class MemoryGateway implements BrokerGateway {
  readonly calls: { readonly request: BrokerRequest; readonly context: CallContext }[] = [];
  /** Answers requests of a kind with this error instead. */
  readonly refusals = new Map<BrokerRequest['kind'], Error>();
  readonly groups = new Map<string, { maxAttempts: number; fifo: boolean }>();
  /** Polls wait no longer, whatever they ask for. */
  waitMsMax = Number.POSITIVE_INFINITY;
  nodes: readonly LiveNode[] = [
    { nodeId: NodeId('n1'), grpcAddress: '127.0.0.1:8081', isLeaving: false },
  ];
  readonly #topics = new Map<string, Topic>();
  /** By group, topic and place. */
  readonly #progress = new Map<string, Progress>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly local = {
    topic: (name: string): TopicDescription | null => {
      const topic = this.#topics.get(name);
      return topic === undefined ? null : describe(topic);
    },
    liveNodes: () => this.nodes,
    isLeaving: () => this.nodes.some(({ nodeId, isLeaving }) => nodeId === 'n1' && isLeaving),
  };

  addTopic(name: string, queueCount: number): void {
    this.#topics.set(name, { name, queueCount, messages: [] });
  }

  requests<Kind extends BrokerRequest['kind']>(
    kind: Kind,
  ): Extract<BrokerRequest, { kind: Kind }>[] {
    return this.calls
      .map(({ request }) => request)
      .filter(
        (request): request is Extract<BrokerRequest, { kind: Kind }> => request.kind === kind,
      );
  }

  async call(request: BrokerRequest, context: CallContext): Promise<BrokerResponse> {
    this.calls.push({ request, context });
    const refusal = this.refusals.get(request.kind);
    if (refusal !== undefined) throw refusal;
    switch (request.kind) {
      case 'send':
        checkSend(request);
        return { kind: 'sent', receipts: request.messages.map((each) => this.#store(each)) };
      case 'receive':
        return { kind: 'received', messages: await this.#receive(request, context.signal) };
      case 'ack':
        return { kind: 'acked', outcomes: request.handles.map((handle) => this.#ack(handle)) };
      case 'changeInvisible':
        return {
          kind: 'invisibleChanged',
          handle: this.#hide(request.handle, request.invisibleMs),
        };
      case 'deadLetter':
        if (this.#ack(request.handle) !== 'ok') throw invalidHandle();
        return { kind: 'deadLettered' };
      case 'topicDescribe':
        return { kind: 'topic', topic: describe(this.#topicNamed(request.topic)) };
      case 'topicPut':
        checkTopicName(request.topic);
        this.addTopic(request.topic, request.queueCount);
        return { kind: 'topicPut', created: true };
      case 'groupDescribe':
        return this.#describeGroup(request.group);
      case 'clientSeen':
      case 'clientGone':
        return { kind: 'noted' };
      case 'topicDelete':
      case 'topicList':
      case 'groupPut':
      case 'status':
        throw new BrokerError('unsupported', `${request.kind} is not served in memory`);
      default:
        return unreachable(request);
    }
  }

  #topicNamed(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new BrokerError('topicNotFound', `No topic "${name}"`);
    return topic;
  }

  #describeGroup(group: string): BrokerResponse {
    const config = this.groups.get(group);
    if (config === undefined) throw new BrokerError('groupNotFound', `No group "${group}"`);
    return { kind: 'group', group: { group, ...config, createdAtMs: 0, queues: [] } };
  }

  #store(message: OutgoingMessage): SendReceipt {
    const topic = this.#topicNamed(message.topic);
    const known = topic.messages.find(({ messageId }) => messageId === message.messageId);
    const stored = known ?? this.#append(topic, message);
    return {
      messageId: stored.messageId,
      queueId: stored.queueId,
      queueOffset: stored.queueOffset,
      physicalOffset: PhysicalOffset(0),
      duplicate: known !== undefined,
    };
  }

  #append(topic: Topic, message: OutgoingMessage): StoredMessage {
    const queueId = topic.messages.length % topic.queueCount;
    const before = topic.messages.filter((each) => each.queueId === queueId).length;
    const stored = { ...message, queueId, queueOffset: QueueOffset(before) };
    topic.messages.push(stored);
    return stored;
  }

  async #receive(request: ReceiveRequest, signal: AbortSignal): Promise<DeliveredMessage[]> {
    const topic = this.#topicNamed(request.topic);
    const endMs = this.#clock.monotonicMs() + Math.min(request.waitMs, this.waitMsMax);
    for (;;) {
      if (signal.aborted) return [];
      const found = this.#visible(topic, request);
      const leftMs = endMs - this.#clock.monotonicMs();
      if (found.length > 0 || leftMs <= 0) return found;
      await new Promise<void>((resolve) =>
        this.#clock.setTimer(Math.min(POLL_STEP_MS, leftMs), resolve),
      );
    }
  }

  #visible(topic: Topic, request: ReceiveRequest): DeliveredMessage[] {
    const nowMs = this.#clock.monotonicMs();
    const found: DeliveredMessage[] = [];
    for (const [at, message] of topic.messages.entries()) {
      if (found.length >= request.batchSize) break;
      const key = `${request.group}/${topic.name}/${at}`;
      const progress = this.#progress.get(key) ?? { attempts: 0, invisibleUntilMs: 0, done: false };
      const { tags } = request.filter;
      const passes = tags.length === 0 || (message.tag !== null && tags.includes(message.tag));
      if (progress.done || !passes || progress.invisibleUntilMs > nowMs) continue;
      progress.attempts++;
      progress.invisibleUntilMs = nowMs + request.invisibleMs;
      this.#progress.set(key, progress);
      found.push(delivered(message, `${key}/${progress.attempts}`, progress.attempts, request));
    }
    return found;
  }

  #ack(handle: string): AckOutcome {
    const progress = this.#progressOf(handle);
    if (progress === null) return 'invalidHandle';
    if (progress.attempts !== Number(handle.slice(handle.lastIndexOf('/') + 1))) {
      return 'staleHandle';
    }
    progress.done = true;
    return 'ok';
  }

  /** Makes the handle void by counting one more delivery. */
  #hide(handle: string, invisibleMs: number): string {
    const progress = this.#progressOf(handle);
    if (progress === null) throw invalidHandle();
    progress.attempts++;
    progress.invisibleUntilMs = this.#clock.monotonicMs() + invisibleMs;
    return `${handle.slice(0, handle.lastIndexOf('/'))}/${progress.attempts}`;
  }

  #progressOf(handle: string): Progress | null {
    return this.#progress.get(handle.slice(0, handle.lastIndexOf('/'))) ?? null;
  }
}

function invalidHandle(): BrokerError {
  return new BrokerError('invalidHandle', 'The receipt handle names no delivery');
}

function describe({ name, queueCount }: Topic): TopicDescription {
  const queues = Array.from({ length: queueCount }, (_, queueId) => ({
    queueId,
    minOffset: QueueOffset(0),
    nextOffset: QueueOffset(0),
  }));
  return { topic: name, queueCount, permission: 6, messageTypes: [1], createdAtMs: 0, queues };
}

function delivered(
  message: StoredMessage,
  handle: string,
  attempt: number,
  { invisibleMs }: ReceiveRequest,
): DeliveredMessage {
  return {
    ...message,
    storeTimestampMs: message.bornTimestampMs,
    storeHost: '127.0.0.1:10911',
    attempt,
    handle,
    invisibleMs,
    deadLetterOf: null,
  };
}
