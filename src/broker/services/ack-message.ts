/**
 * Acknowledge: the group is done with a message. Repeating it is harmless: what is gone was
 * acknowledged before. A delivery that expired may still be acknowledged as long as nobody else got
 * the message. Acknowledgements that arrive together travel in one command.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { AcknowledgedDelivery } from '../../protocol/command-record.ts';
import type { DerivedState, HandleOutcome } from '../../store/derived/derived-state.ts';
import { BatchLane } from '../batch-lane.ts';
import type { BrokerCounters } from '../counters.ts';
import { CONSUME_LIMITS } from '../limits.ts';
import { type MessageLocks, messageKey } from '../message-locks.ts';
import type { Proposer } from '../proposer.ts';
import type { ReceiptHandle } from '../receipt-handle.ts';
import { type AckOutcome, type AckRequest, BrokerError } from '../verbs.ts';
import { handleFor } from './handles.ts';

export interface AckMessageOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly locks: MessageLocks;
  readonly counters: BrokerCounters;
  /** A message of the group and topic may be deliverable again. */
  readonly wake: (group: string, topic: string) => void;
}

type Lane = BatchLane<AcknowledgedDelivery, HandleOutcome>;

/** In a command; only bounds the batches. */
const DELIVERY_SIZE_BYTES = 48;

export class AckMessage {
  readonly #options: AckMessageOptions;
  readonly #lanes = new Map<string, Lane>();

  constructor(options: AckMessageOptions) {
    this.#options = options;
  }

  async acknowledge(request: AckRequest): Promise<readonly AckOutcome[]> {
    checkCount(request.handles.length);
    return Promise.all(request.handles.map((text) => this.#acknowledgeOne(request, text)));
  }

  async #acknowledgeOne(request: AckRequest, text: string): Promise<AckOutcome> {
    const { state, locks, counters, wake } = this.#options;
    const handle = handleFor(request, text);
    if (handle === null || state.topic(handle.topic) === null) return 'invalidHandle';
    const { group, topic, queueId, queueOffset, deliveryId } = handle;
    const key = messageKey(group, topic, queueId, queueOffset);
    const outcome = await locks.withLock(key, async () => {
      try {
        const delivery = { queueId, queueOffset, deliveryId };
        return await this.#laneOf(handle).run(delivery, DELIVERY_SIZE_BYTES);
      } catch (error) {
        // While we held the lock a poll may have passed the message over.
        wake(group, topic);
        throw error;
      }
    });
    if (outcome === 'ok') counters.acknowledged++;
    return ackOutcomeOf(outcome);
  }

  #laneOf({ group, topic }: ReceiptHandle): Lane {
    const key = `${group} ${topic}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new BatchLane(
        (deliveries) => this.#flush(group, topic, deliveries),
        () => this.#lanes.delete(key),
      );
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  async #flush(
    group: string,
    topic: string,
    deliveries: readonly AcknowledgedDelivery[],
  ): Promise<readonly HandleOutcome[]> {
    const { proposer } = this.#options;
    const command = { kind: 'acknowledge', group, topic, deliveries } as const;
    const result = await proposer.proposeCommand(proposer.requireTerm(), command);
    assert(result.kind === 'acknowledged', 'an acknowledgement has its own result');
    assert(result.outcomes.length === deliveries.length, 'each delivery has its outcome');
    return result.outcomes;
  }
}

function ackOutcomeOf(outcome: HandleOutcome): AckOutcome {
  switch (outcome) {
    case 'ok':
    case 'gone':
      return 'ok';
    case 'stale':
      return 'staleHandle';
    default:
      return unreachable(outcome);
  }
}

function checkCount(count: number): void {
  if (count > 0 && count <= CONSUME_LIMITS.handlesPerAckMax) return;
  throw new BrokerError(
    'badRequest',
    `The acknowledgement names ${count} messages, from 1 to ${CONSUME_LIMITS.handlesPerAckMax} are allowed. Send it in parts.`,
  );
}
