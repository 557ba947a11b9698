/**
 * Change the invisible time: prolong a delivery, or give the message back (0 ms). The handle is
 * replaced; the old one is void.
 *
 * A repeated call whose first answer was lost finds the successor of its handle in force: that was
 * its own doing, so it gets the answer that was lost.
 */
import { assert } from '../../base/assert.ts';
import type { DerivedState } from '../../store/derived/derived-state.ts';
import type { LeaderTime } from '../leader-time.ts';
import { CONSUME_LIMITS } from '../limits.ts';
import { type MessageLocks, messageKey } from '../message-locks.ts';
import type { Proposer } from '../proposer.ts';
import { encodeReceiptHandle, type ReceiptHandle, successorOf } from '../receipt-handle.ts';
import { BrokerError, type ChangeInvisibleRequest } from '../verbs.ts';
import { handleFor, invalidHandle } from './handles.ts';

export interface ChangeInvisibleOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly locks: MessageLocks;
  readonly time: LeaderTime;
  /** The deadline of a delivery of the group and topic has moved. */
  readonly wake: (group: string, topic: string) => void;
}

export class ChangeInvisible {
  readonly #options: ChangeInvisibleOptions;

  constructor(options: ChangeInvisibleOptions) {
    this.#options = options;
  }

  /** @returns the new handle */
  async change(request: ChangeInvisibleRequest, isRetry: boolean): Promise<string> {
    const { locks, state, wake } = this.#options;
    checkInvisibleMs(request.invisibleMs);
    const handle = handleFor(request, request.handle);
    if (handle === null || state.topic(handle.topic) === null) {
      throw invalidHandle('is not one of this group and topic');
    }
    const { group, topic, queueId, queueOffset } = handle;
    const successor = { ...handle, deliveryId: successorOf(handle.deliveryId) };
    try {
      await locks.withLock(messageKey(group, topic, queueId, queueOffset), async () => {
        if (isRetry && this.#isInForce(successor)) return;
        await this.#propose(handle, successor.deliveryId, request.invisibleMs);
      });
    } finally {
      wake(group, topic);
    }
    return encodeReceiptHandle(successor);
  }

  #isInForce({ group, topic, queueId, queueOffset, deliveryId }: ReceiptHandle): boolean {
    const { inFlight } = this.#options.state.progress(group, topic, queueId);
    return inFlight.some(
      (held) => held.queueOffset === queueOffset && held.deliveryId === deliveryId,
    );
  }

  async #propose(handle: ReceiptHandle, newDeliveryId: string, invisibleMs: number): Promise<void> {
    const { proposer, time } = this.#options;
    const result = await proposer.proposeCommand(proposer.requireTerm(), {
      kind: 'changeInvisible',
      ...handle,
      invisibleUntilMs: time.nowMs() + invisibleMs,
      newDeliveryId,
    });
    assert(result.kind === 'invisibleChanged', 'a change has its own result');
    if (result.outcome === 'gone')
      throw invalidHandle('belongs to a message that was acknowledged');
    if (result.outcome === 'stale') throw invalidHandle('was replaced by a later delivery');
  }
}

function checkInvisibleMs(invisibleMs: number): void {
  const { invisibleMsMax } = CONSUME_LIMITS;
  if (Number.isSafeInteger(invisibleMs) && invisibleMs >= 0 && invisibleMs <= invisibleMsMax)
    return;
  throw new BrokerError(
    'illegalInvisibleTime',
    `The invisible time is ${invisibleMs} ms, from 0 to ${invisibleMsMax} ms are allowed. Prolong again before it ends if more is needed.`,
  );
}
