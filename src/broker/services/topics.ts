/** Topics by command: put, delete, describe, list. */
import { assert } from '../../base/assert.ts';
import type { DerivedState, TopicConfig } from '../../store/derived/derived-state.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { checkTopicName } from '../names.ts';
import type { Proposer } from '../proposer.ts';
import type { QueueAppender } from '../queue-appender.ts';
import type { RoomGate } from '../room-gate.ts';
import { BrokerError, type TopicDescription } from '../verbs.ts';
import { type Metadata, topicNotFound } from './metadata.ts';

export interface TopicsOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly appender: QueueAppender;
  readonly metadata: Metadata;
  readonly gate: RoomGate;
}

export class Topics {
  readonly #options: TopicsOptions;

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** @returns whether it is new */
  async put(topic: string, queueCount: number): Promise<boolean> {
    const { state, proposer, metadata, gate } = this.#options;
    checkTopicName(topic);
    const countMax = METADATA_LIMITS.queueCountMax;
    if (!Number.isSafeInteger(queueCount) || queueCount < 1 || queueCount > countMax) {
      throw new BrokerError(
        'badRequest',
        `The queue count is ${queueCount}, from 1 to ${countMax} are allowed. More throughput comes from more broker groups.`,
      );
    }
    const before = state.topic(topic)?.queueCount ?? 0;
    if (queueCount < before) {
      throw new BrokerError(
        'badRequest',
        `Topic "${topic}" has ${before} queues; ${queueCount} would lose what lies in the others. Ask for ${before} or more.`,
      );
    }
    gate.requireRoom();
    return metadata.putTopic(proposer.requireTerm(), topic, queueCount);
  }

  /** @returns whether it existed */
  async delete(topic: string): Promise<boolean> {
    const { state, proposer, appender } = this.#options;
    if (state.topic(topic) === null) return false;
    return appender.exclusively(topic, async () => {
      const command = { kind: 'topicDelete', topic } as const;
      const result = await proposer.proposeCommand(proposer.requireTerm(), command);
      assert(result.kind === 'topicDeleted', 'a deletion has its own result');
      return result.existed;
    });
  }

  /** @throws BrokerError topicNotFound, illegalTopic */
  describe(topic: string): TopicDescription {
    checkTopicName(topic);
    const config = this.#options.state.topic(topic);
    if (config === null) throw topicNotFound(topic);
    return describeTopic(this.#options.state, config);
  }

  list(): readonly TopicDescription[] {
    const { state } = this.#options;
    return state.topics().map((config) => describeTopic(state, config));
  }
}

export function describeTopic(state: DerivedState, config: TopicConfig): TopicDescription {
  const { topic, queueCount, permission, messageTypes, createdAtMs } = config;
  const queues = Array.from({ length: queueCount }, (_, queueId) => {
    const { min, next } = state.queueRange(topic, queueId);
    return { queueId, minOffset: min, nextOffset: next };
  });
  return { topic, queueCount, permission, messageTypes, createdAtMs, queues };
}
