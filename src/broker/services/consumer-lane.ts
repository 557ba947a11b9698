/**
 * Deliveries of one group from one topic. Polls wait here; a turn plans for all of them at once, puts
 * the decisions into the log as one proposal and answers when that is applied.
 *
 * Invariants:
 * - One turn at a time, so two polls never get the same message.
 * - A message is handed out only after its delivery is applied, and only if apply accepted it.
 * - A poll that has gone away before the proposal costs nothing; after it, what it was given becomes
 *   visible again at once.
 */
import { assert } from '../../base/assert.ts';
import type { QueueOffset, Term } from '../../base/units.ts';
import type { Clock, Timer } from '../../io/clock.ts';
import type { Delivery, QueueDeliveries } from '../../protocol/command-record.ts';
import { type StoredMessage, tagOf } from '../../protocol/message-record.ts';
import type { Replica } from '../../replica/replica.ts';
import type { GroupConfig, TopicConfig } from '../../store/derived/derived-state.ts';
import { type Background, isExpected } from '../background.ts';
import type { BrokerCounters } from '../counters.ts';
import type { LeaderTime } from '../leader-time.ts';
import { AUTO_RENEW } from '../limits.ts';
import { deliveredMessageOf } from '../message-contents.ts';
import { type MessageLocks, messageKey, type ReleaseLock } from '../message-locks.ts';
import { deadLetterTopicOf } from '../names.ts';
import { commandRecord, type EncodedRecord, type Proposer } from '../proposer.ts';
import { encodeReceiptHandle } from '../receipt-handle.ts';
import type { DeliveredMessage } from '../verbs.ts';
import type { DeadLetterer } from './dead-letterer.ts';
import {
  type DeliveryPlan,
  type PickedMessage,
  planDelivery,
  type QueueSurvey,
  surveyQueues,
} from './delivery-plan.ts';
import { readMessage } from './message-reader.ts';
import { groupNotFound, topicNotFound } from './metadata.ts';
import type { Poll } from './poll.ts';

export interface ConsumerLaneOptions {
  readonly group: string;
  readonly topic: string;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly time: LeaderTime;
  readonly proposer: Proposer;
  readonly locks: MessageLocks;
  readonly deadLetterer: DeadLetterer;
  readonly background: Background;
  readonly counters: BrokerCounters;
  readonly nextDeliveryId: (term: Term) => string;
  /** Nothing waits here any more. */
  readonly onIdle: () => void;
}

/** A poll with what it is about to get. */
interface PlannedPoll {
  readonly poll: Poll;
  readonly plan: DeliveryPlan;
  messages: readonly PlannedMessage[];
  /** As the command lists them. */
  queues: readonly QueueDeliveries[];
}

interface PlannedMessage {
  readonly pick: PickedMessage;
  readonly message: StoredMessage;
  readonly deliveryId: string;
}

export class ConsumerLane {
  readonly #options: ConsumerLaneOptions;
  readonly #polls = new Set<Poll>();
  #running = false;
  /** Something changed since the running turn looked. */
  #dirty = false;
  #expiryTimer: Timer | null = null;
  #startQueue = 0;

  constructor(options: ConsumerLaneOptions) {
    this.#options = options;
  }

  add(poll: Poll): void {
    this.#polls.add(poll);
    this.wake();
  }

  remove(poll: Poll): void {
    this.#polls.delete(poll);
    this.#endIfIdle();
  }

  failAll(error: unknown): void {
    for (const poll of [...this.#polls]) poll.fail(error);
  }

  /** There may be something to deliver. */
  wake(): void {
    this.#dirty = true;
    // Failures become the answers of the polls; a rejection of the promise is a bug and ends us.
    if (!this.#running && this.#polls.size > 0) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#dirty && this.#polls.size > 0) {
      this.#dirty = false;
      try {
        await this.#turn();
      } catch (error) {
        if (!isExpected(error)) throw error;
        this.failAll(error);
      }
    }
    this.#running = false;
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#running || this.#polls.size > 0) return;
    this.#expiryTimer?.cancel();
    this.#expiryTimer = null;
    this.#options.onIdle();
  }

  async #turn(): Promise<void> {
    const { proposer, replica, deadLetterer } = this.#options;
    const term = proposer.requireTerm();
    const topic = replica.state.topic(this.#options.topic);
    if (topic === null) throw topicNotFound(this.#options.topic);
    const group = replica.state.group(this.#options.group);
    if (group === null) throw groupNotFound(this.#options.group);

    const survey = this.#survey(topic, group);
    for (const { queueId, inFlight } of survey.exhausted) {
      deadLetterer.moveInBackground({ group, topic, queueId, inFlight });
    }
    this.#armExpiryTimer(survey.nextExpiryMs);
    const planned = this.#plan(survey);
    if (planned.length === 0) return;

    const releases = this.#lockRedeliveries(planned);
    try {
      await this.#deliver(term, planned);
    } finally {
      for (const release of releases) release();
    }
    // Polls that are still here are looked at again.
    this.#dirty = true;
  }

  #survey(topic: TopicConfig, group: GroupConfig): QueueSurvey {
    const { replica, time, locks } = this.#options;
    return surveyQueues({
      state: replica.state,
      topic,
      group,
      nowMs: time.nowMs(),
      isDeadLetterTopic: topic.topic === deadLetterTopicOf(group.group),
      isLocked: (queueId, at) => locks.isLocked(this.#keyOf(queueId, at)),
    });
  }

  #plan(survey: QueueSurvey): PlannedPoll[] {
    const planned: PlannedPoll[] = [];
    for (const poll of [...this.#polls]) {
      if (poll.isGone) continue;
      const plan = planDelivery(survey.views, {
        state: this.#options.replica.state,
        topic: this.#options.topic,
        filter: poll.request.filter,
        countMax: poll.request.batchSize,
        startQueue: this.#startQueue,
      });
      if (plan.nextOffsets.size === 0) {
        poll.onNothingFound();
        continue;
      }
      poll.onFound();
      this.#startQueue++;
      planned.push({ poll, plan, messages: [], queues: [] });
    }
    return planned;
  }

  #lockRedeliveries(planned: readonly PlannedPoll[]): ReleaseLock[] {
    const releases: ReleaseLock[] = [];
    for (const { queueId, queueOffset, attempt } of planned.flatMap(({ plan }) => plan.picks)) {
      if (attempt === 1) continue;
      const release = this.#options.locks.tryLock(this.#keyOf(queueId, queueOffset));
      assert(release !== null, 'the survey leaves locked messages out');
      releases.push(release);
    }
    return releases;
  }

  async #deliver(term: Term, planned: readonly PlannedPoll[]): Promise<void> {
    for (const each of planned) {
      each.messages = await this.#read(term, each);
      each.queues = queuesOf(each);
    }
    // Later plans build on the offsets of earlier ones: when one falls, all are made again.
    if (planned.some(({ poll }) => poll.isGone)) return;
    const { proposer, time } = this.#options;
    const atMs = time.nowMs();
    const results = await proposer.propose(
      term,
      planned.map((each) => this.#record(each, atMs)),
    );
    for (const [at, each] of planned.entries()) {
      const result = results[at];
      assert(result?.kind === 'delivered', 'a delivery has its own result');
      this.#answer(term, each, result.accepted);
    }
  }

  /** The hash of a tag let pass what the tag itself may not; and retention may take what was planned. */
  async #read(term: Term, { poll, plan }: PlannedPoll): Promise<readonly PlannedMessage[]> {
    const { tags } = poll.request.filter;
    const messages: PlannedMessage[] = [];
    for (const pick of plan.picks) {
      const message = await readMessage(this.#options.replica.log, pick.unit);
      if (message === null) continue;
      const tag = tagOf(message);
      if (tags.length > 0 && (tag === null || !tags.includes(tag))) continue;
      messages.push({ pick, message, deliveryId: this.#options.nextDeliveryId(term) });
    }
    return messages;
  }

  #record({ poll, queues }: PlannedPoll, atMs: number): EncodedRecord {
    const { group, topic } = this.#options;
    const { clientId, attemptId, autoRenew } = poll.request;
    return commandRecord({
      kind: 'deliver',
      group,
      topic,
      clientId,
      autoRenew,
      attemptId,
      atMs,
      invisibleUntilMs: atMs + invisibleMsOf(poll),
      queues,
    });
  }

  #answer(term: Term, { poll, messages, queues }: PlannedPoll, accepted: readonly boolean[]): void {
    const inOrder = queues.flatMap(({ deliveries }) => deliveries);
    assert(inOrder.length === accepted.length, 'each delivery has its verdict');
    const refused = new Set(
      inOrder.filter((_, at) => accepted[at] === false).map(({ deliveryId }) => deliveryId),
    );
    const given = messages.filter(({ deliveryId }) => !refused.has(deliveryId));
    if (poll.isGone) {
      this.#takeBack(term, given);
      return;
    }
    if (given.length === 0) return;
    const { counters } = this.#options;
    counters.received += given.length;
    counters.redelivered += given.filter(({ pick }) => pick.attempt > 1).length;
    poll.deliver(given.map((each) => this.#delivered(poll, each)));
  }

  #delivered(poll: Poll, { pick, message, deliveryId }: PlannedMessage): DeliveredMessage {
    const { group, topic } = this.#options;
    const { queueId, queueOffset, attempt } = pick;
    return deliveredMessageOf(message, {
      attempt,
      handle: encodeReceiptHandle({ group, topic, queueId, queueOffset, deliveryId }),
      invisibleMs: invisibleMsOf(poll),
    });
  }

  #takeBack(term: Term, given: readonly PlannedMessage[]): void {
    const { background, group, topic, time } = this.#options;
    if (given.length === 0) return;
    const nowMs = time.nowMs();
    background.run(async () => {
      await this.#options.proposer.propose(
        term,
        given.map(({ pick, deliveryId }) =>
          commandRecord({
            kind: 'changeInvisible',
            group,
            topic,
            queueId: pick.queueId,
            queueOffset: pick.queueOffset,
            deliveryId,
            invisibleUntilMs: nowMs,
            newDeliveryId: null,
          }),
        ),
      );
      this.wake();
    });
  }

  #armExpiryTimer(nextExpiryMs: number | null): void {
    const { clock, time } = this.#options;
    this.#expiryTimer?.cancel();
    this.#expiryTimer =
      nextExpiryMs === null
        ? null
        : clock.setTimer(Math.max(1, nextExpiryMs - time.nowMs()), () => this.wake());
  }

  #keyOf(queueId: number, queueOffset: QueueOffset): string {
    return messageKey(this.#options.group, this.#options.topic, queueId, queueOffset);
  }
}

function queuesOf({ plan, messages }: PlannedPoll): readonly QueueDeliveries[] {
  const deliveriesByQueue = new Map<number, Delivery[]>();
  for (const { pick, deliveryId } of messages) {
    const deliveries = deliveriesByQueue.get(pick.queueId) ?? [];
    deliveries.push({ queueOffset: pick.queueOffset, attempt: pick.attempt, deliveryId });
    deliveriesByQueue.set(pick.queueId, deliveries);
  }
  return [...plan.nextOffsets].map(([queueId, nextOffset]) => ({
    queueId,
    nextOffset,
    deliveries: deliveriesByQueue.get(queueId) ?? [],
  }));
}

function invisibleMsOf(poll: Poll): number {
  return poll.request.autoRenew ? AUTO_RENEW.invisibleMs : poll.request.invisibleMs;
}
