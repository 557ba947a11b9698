/**
 * Derived state as plainly as it can be said, for comparison in tests: arrays and maps, no rows, no
 * caches, no purging. Written from the contract, not from the implementation.
 */
import { unreachable } from '../../base/assert.ts';
import { LogIndex, QueueOffset } from '../../base/units.ts';
import type {
  AcknowledgedDelivery,
  AdvanceLogStartCommand,
  ChangeInvisibleCommand,
  Command,
  DeliverCommand,
} from '../../protocol/command-record.ts';
import { javaHashCode } from '../../protocol/java-hash.ts';
import type { DedupWindowBounds } from './dedup-window.ts';
import type { DerivedState } from './derived-state.ts';
import { CHECKPOINTS_KEPT_MAX } from './limits.ts';
import { AdminModel } from './test-admin-model.ts';
import { messageRecord, type TestMessage } from './test-log.ts';

export interface ModelInFlight {
  queueOffset: number;
  deliveryId: string;
  attempt: number;
  invisibleUntilMs: number;
  clientId: string;
  autoRenew: boolean;
  attemptId: string;
  firstDeliveredAtMs: number;
}

interface ModelMessage {
  readonly message: TestMessage;
  readonly physicalOffset: number;
  readonly storeTimestampMs: number;
  /** Number of the message in the whole log. */
  readonly place: number;
}

interface ModelProgress {
  nextOffset: number;
  inFlight: ModelInFlight[];
}

export class ModelTopic {
  queueCount = 0;
  permission = 0;
  minRetentionMs = 0;
  messageTypes: readonly number[] = [];
  readonly createdAtMs: number;
  readonly messages: ModelMessage[] = [];
  /** By `group/queue`. */
  readonly progress = new Map<string, ModelProgress>();
  /** The message that stands for an id. */
  readonly first = new Map<string, ModelMessage>();
  constructor(createdAtMs: number) {
    this.createdAtMs = createdAtMs;
  }
  queue(queueId: number): readonly ModelMessage[] {
    return this.messages.filter(({ message }) => message.queueId === queueId);
  }
}

export class Model {
  readonly topics = new Map<string, ModelTopic>();
  readonly groups = new Map<string, { maxAttempts: number; fifo: boolean; createdAtMs: number }>();
  readonly #bounds: DedupWindowBounds;
  readonly #storeTimes: number[] = [];
  windowHead = 0;
  checkpoints: number[] = [];
  logStart = { index: 1, offset: 0 };
  readonly admin = new AdminModel();

  constructor(bounds: DedupWindowBounds) {
    this.#bounds = bounds;
  }

  store(message: TestMessage, physicalOffset: number): void {
    const topic = this.topics.get(message.topic)!;
    const storeTimestampMs = message.storeTimestampMs ?? 1_000;
    const newestMs = Math.max(...this.#storeTimes, storeTimestampMs);
    const place = this.#storeTimes.push(newestMs) - 1;
    const oldEnough = this.#storeTimes.filter((time) => time < newestMs - this.#bounds.ageMsMax);
    const tooOld = Math.min(oldEnough.length, place + 1 - this.#bounds.countMin);
    this.windowHead = Math.max(this.windowHead, tooOld, place + 1 - this.#bounds.countMax);
    const stored = { message, physicalOffset, storeTimestampMs, place };
    topic.messages.push(stored);
    const first = topic.first.get(message.messageId);
    if (first === undefined || first.place < this.windowHead) {
      topic.first.set(message.messageId, stored);
    }
  }

  /** @param place of the command; where a log start may not go beyond */
  command(command: Command, place: { index: number; offset: number }): unknown {
    switch (command.kind) {
      case 'topicPut': {
        const before = this.topics.get(command.topic);
        const topic = before ?? new ModelTopic(command.atMs);
        topic.queueCount = Math.max(topic.queueCount, command.queueCount);
        topic.permission = command.permission;
        topic.messageTypes = command.messageTypes;
        this.topics.set(command.topic, topic);
        return { kind: 'topicPut', created: before === undefined };
      }
      case 'topicDelete':
        return { kind: 'topicDeleted', existed: this.topics.delete(command.topic) };
      case 'groupPut': {
        const before = this.groups.get(command.group);
        const { maxAttempts, fifo, atMs } = command;
        const createdAtMs = before?.createdAtMs ?? atMs;
        this.groups.set(command.group, { maxAttempts, fifo, createdAtMs });
        return { kind: 'groupPut', created: before === undefined };
      }
      case 'deliver':
        return { kind: 'delivered', accepted: this.#deliver(command) };
      case 'acknowledge':
        return {
          kind: 'acknowledged',
          outcomes: command.deliveries.map((d) =>
            this.#acknowledge(command.group, command.topic, d),
          ),
        };
      case 'changeInvisible':
        return { kind: 'invisibleChanged', outcome: this.#changeInvisible(command) };
      case 'offsetSave': {
        const topic = this.#topicWithQueue(command.topic, command.queueId);
        if (topic !== null) {
          const progress = progressOf(topic, command.group, command.queueId);
          const end = topic.queue(command.queueId).length;
          progress.inFlight = progress.inFlight.filter((d) => d.queueOffset < command.queueOffset);
          const min = this.minOf(topic, command.queueId);
          progress.nextOffset = Math.max(min, Math.min(command.queueOffset, end));
        }
        return { kind: 'offsetSaved' };
      }
      case 'advanceLogStart':
        return this.#advanceLogStart(command, place);
      case 'topicRetentionPut': {
        const topic = this.topics.get(command.topic);
        if (topic !== undefined) topic.minRetentionMs = command.minRetentionMs;
        return { kind: 'topicRetentionPut', existed: topic !== undefined };
      }
      case 'admin':
        return { kind: 'adminApplied', ...this.admin.apply(command, place.index) };
      case 'checkpoint': {
        const index = LogIndex(place.index - 1);
        if (!this.checkpoints.includes(index)) this.checkpoints.push(index);
        this.checkpoints = this.checkpoints.slice(-CHECKPOINTS_KEPT_MAX);
        return { kind: 'checkpointMarked', index };
      }
      case 'checkpointClaim': {
        const { index } = command;
        return { kind: 'checkpointClaimed', index, isKnown: this.checkpoints.includes(index) };
      }
      default:
        return unreachable(command);
    }
  }

  /** Offset of the first message that is still there, or of the next. */
  minOf(topic: ModelTopic, queueId: number): number {
    const messages = topic.queue(queueId);
    const gone = messages.filter(({ physicalOffset }) => physicalOffset < this.logStart.offset);
    return gone.length;
  }

  #advanceLogStart(command: AdvanceLogStartCommand, place: { index: number; offset: number }) {
    const { physicalOffset: offset, firstIndex: index } = command;
    const result = { kind: 'logStartAdvanced', advanced: false, messageCount: 0, deliveryCount: 0 };
    const { logStart } = this;
    if (offset <= logStart.offset || index <= logStart.index) return result;
    if (offset > place.offset || index > place.index) return result;
    result.advanced = true;
    this.logStart = { index, offset };
    for (const topic of this.topics.values()) {
      result.messageCount += topic.messages.filter(({ physicalOffset }) => {
        return physicalOffset >= logStart.offset && physicalOffset < offset;
      }).length;
      for (const [key, progress] of topic.progress) {
        const min = this.minOf(topic, Number(key.split('/')[1]));
        const kept = progress.inFlight.filter((d) => d.queueOffset >= min);
        result.deliveryCount += progress.inFlight.length - kept.length;
        progress.inFlight = kept;
        progress.nextOffset = Math.max(progress.nextOffset, min);
      }
    }
    return result;
  }

  #topicWithQueue(name: string, queueId: number): ModelTopic | null {
    const topic = this.topics.get(name);
    return topic !== undefined && queueId < topic.queueCount ? topic : null;
  }

  #deliver(command: DeliverCommand): boolean[] {
    const accepted: boolean[] = [];
    for (const queue of command.queues) {
      const topic = this.#topicWithQueue(command.topic, queue.queueId);
      if (topic === null) {
        for (const _ of queue.deliveries) accepted.push(false);
        continue;
      }
      const progress = progressOf(topic, command.group, queue.queueId);
      const end = topic.queue(queue.queueId).length;
      const before = Math.max(progress.nextOffset, this.minOf(topic, queue.queueId));
      progress.nextOffset = before;
      for (const { queueOffset, attempt, deliveryId } of queue.deliveries) {
        const earlier = progress.inFlight.find((d) => d.queueOffset === queueOffset);
        const ok =
          earlier === undefined
            ? queueOffset >= before && queueOffset < end
            : attempt === earlier.attempt + 1;
        accepted.push(ok);
        if (!ok) continue;
        progress.inFlight = progress.inFlight.filter((d) => d !== earlier);
        progress.inFlight.push({
          queueOffset,
          deliveryId,
          attempt,
          invisibleUntilMs: command.invisibleUntilMs,
          clientId: command.clientId,
          autoRenew: command.autoRenew,
          attemptId: command.attemptId,
          firstDeliveredAtMs: earlier?.firstDeliveredAtMs ?? command.atMs,
        });
        progress.inFlight.sort((a, b) => a.queueOffset - b.queueOffset);
        progress.nextOffset = Math.max(progress.nextOffset, queueOffset + 1);
      }
      progress.nextOffset = Math.max(progress.nextOffset, Math.min(queue.nextOffset, end));
    }
    return accepted;
  }

  #find(group: string, topicName: string, queueId: number, offset: number) {
    const progress = this.topics.get(topicName)?.progress.get(`${group}/${queueId}`);
    const delivery = progress?.inFlight.find((d) => d.queueOffset === offset);
    return progress === undefined || delivery === undefined ? null : { progress, delivery };
  }

  #acknowledge(group: string, topic: string, handle: AcknowledgedDelivery): string {
    const found = this.#find(group, topic, handle.queueId, handle.queueOffset);
    if (found === null) return 'gone';
    if (found.delivery.deliveryId !== handle.deliveryId) return 'stale';
    found.progress.inFlight = found.progress.inFlight.filter((d) => d !== found.delivery);
    return 'ok';
  }

  #changeInvisible(command: ChangeInvisibleCommand): string {
    const { group, topic, queueId, queueOffset } = command;
    const found = this.#find(group, topic, queueId, queueOffset);
    if (found === null) return 'gone';
    if (found.delivery.deliveryId !== command.deliveryId) return 'stale';
    found.delivery.invisibleUntilMs = command.invisibleUntilMs;
    if (command.newDeliveryId !== null) {
      found.delivery.deliveryId = command.newDeliveryId;
      found.delivery.autoRenew = false;
    }
    return 'ok';
  }
}

function progressOf(topic: ModelTopic, group: string, queueId: number): ModelProgress {
  const key = `${group}/${queueId}`;
  const progress = topic.progress.get(key) ?? { nextOffset: 0, inFlight: [] };
  topic.progress.set(key, progress);
  return progress;
}

/** All names a test uses. */
export interface Vocabulary {
  readonly topics: readonly string[];
  readonly groups: readonly string[];
  readonly ids: readonly string[];
  readonly keys: readonly string[];
}

/** Everything that the contract lets a caller see. */
export function observedOf(state: DerivedState, words: Vocabulary): unknown {
  return {
    logStart: state.logStart,
    topics: state.topics(),
    groups: state.groups(),
    topicsOf: words.groups.map((group) => state.topicsOf(group)),
    queues: words.topics.map((topic) => {
      return Array.from({ length: state.topic(topic)?.queueCount ?? 0 }, (_, queueId) => {
        const { min, next } = state.queueRange(topic, queueId);
        const units = Array.from({ length: next + 1 }, (_, at) =>
          state.queueUnit(topic, queueId, QueueOffset(at)),
        );
        const progress = words.groups.map((group) => state.progress(group, topic, queueId));
        return { min, next, units, progress };
      });
    }),
    outcomes: words.topics.map((topic) => words.ids.map((id) => state.firstOutcome(topic, id))),
    found: words.topics.map((topic) =>
      [...words.ids, ...words.keys].map((key) => [
        state.findByKey(topic, key, 3),
        state.findByKey(topic, key, 1_000),
      ]),
    ),
  };
}

export function observedOfModel(model: Model, words: Vocabulary): unknown {
  const topics = [...model.topics].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    logStart: model.logStart,
    topics: topics.map(([topic, config]) => {
      const { queueCount, permission, messageTypes, createdAtMs, minRetentionMs } = config;
      return { topic, queueCount, permission, messageTypes, createdAtMs, minRetentionMs };
    }),
    groups: [...model.groups]
      .map(([group, config]) => ({ group, ...config }))
      .sort((a, b) => (a.group < b.group ? -1 : 1)),
    topicsOf: words.groups.map((group) =>
      topics
        .filter(([, topic]) =>
          [...topic.progress.keys()].some((key) => key.startsWith(`${group}/`)),
        )
        .map(([name]) => name),
    ),
    queues: words.topics.map((name) => observedQueues(model, model.topics.get(name), words)),
    outcomes: words.topics.map((name) =>
      words.ids.map((id) => {
        const first = model.topics.get(name)?.first.get(id);
        if (first === undefined || first.place < model.windowHead) return null;
        const { message, physicalOffset, storeTimestampMs } = first;
        const { queueId, queueOffset } = message;
        return { queueId, queueOffset, physicalOffset, storeTimestampMs };
      }),
    ),
    found: words.topics.map((name) =>
      [...words.ids, ...words.keys].map((key) => {
        const offsets = (model.topics.get(name)?.messages ?? [])
          .filter(({ message, physicalOffset }) => {
            if (physicalOffset < model.logStart.offset) return false;
            return message.messageId === key || message.keys?.split(' ').includes(key) === true;
          })
          .map(({ physicalOffset }) => physicalOffset)
          .reverse();
        return [offsets.slice(0, 3), offsets];
      }),
    ),
  };
}

function observedQueues(model: Model, topic: ModelTopic | undefined, words: Vocabulary): unknown[] {
  return Array.from({ length: topic?.queueCount ?? 0 }, (_, queueId) => {
    const messages = topic?.queue(queueId) ?? [];
    const min = topic === undefined ? 0 : model.minOf(topic, queueId);
    const units = messages.map(({ message, physicalOffset, storeTimestampMs }, at) => {
      if (at < min) return null;
      return {
        physicalOffset,
        sizeBytes: messageRecord(message).length,
        tagsCode: message.tag === undefined ? 0 : javaHashCode(message.tag),
        storeTimestampMs,
      };
    });
    const progress = words.groups.map((group) => {
      const found = topic?.progress.get(`${group}/${queueId}`);
      const { nextOffset, inFlight } = found ?? { nextOffset: min, inFlight: [] };
      return { nextOffset, inFlight, consumerOffset: inFlight[0]?.queueOffset ?? nextOffset };
    });
    return { min, next: messages.length, units: [...units, null], progress };
  });
}
