/**
 * Moves a message that a group cannot consume to the group's dead-letter topic: one entry holds the
 * copy and the acknowledgement, so that the message is in exactly one of the two places.
 *
 * The copy cannot be refused by apply, so the message is locked and looked at again before the move.
 */
import { assert } from '../../base/assert.ts';
import type { QueueOffset, Term } from '../../base/units.ts';
import type { StoredMessage } from '../../protocol/message-record.ts';
import type { Replica } from '../../replica/replica.ts';
import type {
  GroupConfig,
  HandleOutcome,
  InFlight,
  TopicConfig,
} from '../../store/derived/derived-state.ts';
import type { Background } from '../background.ts';
import type { BrokerCounters } from '../counters.ts';
import type { LeaderTime } from '../leader-time.ts';
import { deadLetterOf } from '../message-contents.ts';
import { type MessageLocks, messageKey } from '../message-locks.ts';
import { deadLetterTopicOf } from '../names.ts';
import { commandRecord, type Proposer } from '../proposer.ts';
import type { QueueAppender } from '../queue-appender.ts';
import { isExhausted } from './delivery-plan.ts';
import { readMessage } from './message-reader.ts';
import type { Metadata } from './metadata.ts';

export interface DeadLettererOptions {
  readonly replica: Replica;
  readonly time: LeaderTime;
  readonly proposer: Proposer;
  readonly appender: QueueAppender;
  readonly metadata: Metadata;
  readonly locks: MessageLocks;
  readonly background: Background;
  readonly counters: BrokerCounters;
  readonly storeHost: string;
}

/** One delivery of one message. */
export interface DeliveryName {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly deliveryId: string;
}

export interface ExhaustedDelivery {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
  readonly queueId: number;
  readonly inFlight: InFlight;
}

export class DeadLetterer {
  readonly #options: DeadLettererOptions;

  constructor(options: DeadLettererOptions) {
    this.#options = options;
  }

  /** On behalf of the holder of the delivery. */
  async move(name: DeliveryName): Promise<HandleOutcome> {
    const { locks, proposer } = this.#options;
    return locks.withLock(keyOf(name), async () => {
      const term = proposer.requireTerm();
      const held = this.#heldAs(name);
      return typeof held === 'string' ? held : this.#moveLocked(term, name);
    });
  }

  /** For a delivery that expired out of attempts. Does nothing while someone else decides about it. */
  moveInBackground({ group, topic, queueId, inFlight }: ExhaustedDelivery): void {
    const { background, locks, proposer, time } = this.#options;
    const { queueOffset, deliveryId } = inFlight;
    const name = { group: group.group, topic: topic.topic, queueId, queueOffset, deliveryId };
    const release = locks.tryLock(keyOf(name));
    if (release === null) return;
    background.run(async () => {
      try {
        const term = proposer.requireTerm();
        const held = this.#heldAs(name);
        if (typeof held === 'string' || held.invisibleUntilMs > time.nowMs()) return;
        assert(isExhausted(held, group, false), 'attempts of a delivery do not change');
        await this.#moveLocked(term, name);
      } finally {
        release();
      }
    });
  }

  #heldAs(name: DeliveryName): InFlight | 'gone' | 'stale' {
    const { inFlight } = this.#options.replica.state.progress(name.group, name.topic, name.queueId);
    const held = inFlight.find(({ queueOffset }) => queueOffset === name.queueOffset);
    if (held === undefined) return 'gone';
    return held.deliveryId === name.deliveryId ? held : 'stale';
  }

  async #moveLocked(term: Term, name: DeliveryName): Promise<HandleOutcome> {
    const { appender, counters, metadata, storeHost } = this.#options;
    const message = await this.#read(name);
    if (message === null) return 'gone';
    const target = (await metadata.deadLetterTopic(deadLetterTopicOf(name.group))).topic;
    const { group, topic, queueId, queueOffset, deliveryId } = name;
    const { others } = await appender.append(target, 0, {
      term,
      messages: [(place) => deadLetterOf(message, target, place, storeHost)],
      commands: [
        commandRecord({
          kind: 'acknowledge',
          group,
          topic,
          deliveries: [{ queueId, queueOffset, deliveryId }],
        }),
      ],
      sizeBytes: message.body.length,
    });
    const [result] = others;
    assert(result?.kind === 'acknowledged', 'an acknowledgement has its own result');
    counters.deadLettered++;
    return result.outcomes[0] ?? 'gone';
  }

  /** null when retention has taken the message. */
  async #read({ topic, queueId, queueOffset }: DeliveryName): Promise<StoredMessage | null> {
    const { log, state } = this.#options.replica;
    const unit = state.queueUnit(topic, queueId, queueOffset);
    return unit === null ? null : readMessage(log, unit);
  }
}

function keyOf({ group, topic, queueId, queueOffset }: DeliveryName): string {
  return messageKey(group, topic, queueId, queueOffset);
}
