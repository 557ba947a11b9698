/**
 * What each group has consumed of each queue: the next offset, and the deliveries in flight below it.
 * Rows are the truth; what polls read is kept in memory in a bounded cache.
 *
 * Invariant: every delivery in flight is below the next offset and not below the queue's first, and the
 * next offset is at most the queue's. A group whose row is before the queue's first offset, or is not there,
 * is at the first.
 */
import { assert } from '../../base/assert.ts';
import { advance, QueueOffset } from '../../base/units.ts';
import type {
  AcknowledgedDelivery,
  ChangeInvisibleCommand,
  DeliverCommand,
  QueueDeliveries,
} from '../../protocol/command-record.ts';
import type { AdvancedQueue, QueueRange } from './consume-queues.ts';
import type { HandleOutcome, InFlight, QueueProgress } from './derived-state.ts';
import { consumerOffsetOf, decodeInFlight, encodeInFlight, placeOf } from './in-flight-row.ts';
import { prefixEnd, readU32Key, readU64Key, TABLE, textKey, u32Key, u64Key } from './key-codec.ts';
import { PROGRESS_CACHE_MAX } from './limits.ts';
import { LruCache } from './lru-cache.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

interface State {
  /** Key without the table letter: topic number, group, queue id. */
  readonly suffix: string;
  /** False before the group's first command for the queue. */
  stored: boolean;
  nextOffset: QueueOffset;
  /** Ascending. */
  readonly inFlight: InFlight[];
  /** What readers hold; made again after a change. */
  published: QueueProgress | null;
}

/** Names one queue as one group sees it. */
export interface ProgressKey {
  readonly group: string;
  readonly topicNumber: number;
  readonly queueId: number;
}

const OFFSET_ROW_SIZE_BYTES = 8;
/** At the end of the key of a progress row. */
const QUEUE_ID_SIZE_BYTES = 4;
const PRESENT = Uint8Array.of(1);

export class ProgressTable {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #cache = new LruCache<string, State>(PROGRESS_CACHE_MAX);

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
  }

  /** @param queueMin the queue's first offset */
  progress(key: ProgressKey, queueMin: QueueOffset): QueueProgress {
    const state = this.#stateOf(key);
    const nextOffset = nextIn(state, queueMin);
    if (state.published?.nextOffset !== nextOffset) state.published = null;
    state.published ??= {
      nextOffset,
      inFlight: [...state.inFlight],
      consumerOffset: consumerOffsetOf(state.inFlight, nextOffset),
    };
    return state.published;
  }

  /** Numbers of the topics that the group has received from, also of deleted ones not yet purged. */
  topicNumbersOf(group: string): readonly number[] {
    const prefix = TABLE.subscription + textKey(group);
    const rows = this.#overlay.range(prefix, prefixEnd(prefix));
    return [...rows].map(({ key }) => readU32Key(key, prefix.length));
  }

  /**
   * A delivery takes effect when its message was never delivered, or is in flight with one attempt
   * less. Offsets below the new next offset that are not in flight were left out by the filter and
   * count as consumed.
   *
   * @returns for each delivery whether it took effect
   */
  deliver(
    key: ProgressKey,
    command: DeliverCommand,
    queue: QueueDeliveries,
    { min, next: queueNext }: QueueRange,
  ): readonly boolean[] {
    const state = this.#stateOf(key);
    const firstNew = nextIn(state, min);
    let nextOffset = QueueOffset(Math.max(firstNew, Math.min(queue.nextOffset, queueNext)));
    const accepted: boolean[] = [];
    for (const { queueOffset, attempt, deliveryId } of queue.deliveries) {
      const place = placeOf(state.inFlight, queueOffset);
      const earlier = inFlightAt(state, place, queueOffset);
      const isNew = earlier === null && queueOffset >= firstNew && queueOffset < queueNext;
      const isRedelivery = earlier !== null && attempt === earlier.attempt + 1;
      accepted.push(isNew || isRedelivery);
      if (!isNew && !isRedelivery) continue;
      const delivery: InFlight = {
        queueOffset,
        deliveryId,
        attempt,
        invisibleUntilMs: command.invisibleUntilMs,
        clientId: command.clientId,
        autoRenew: command.autoRenew,
        attemptId: command.attemptId,
        firstDeliveredAtMs: earlier?.firstDeliveredAtMs ?? command.atMs,
      };
      state.inFlight.splice(place, earlier === null ? 0 : 1, delivery);
      this.#putInFlight(state, delivery);
      if (nextOffset <= queueOffset) nextOffset = advance(queueOffset, 1);
    }
    this.#setNextOffset(key, state, nextOffset);
    return accepted;
  }

  acknowledge(key: ProgressKey, handle: AcknowledgedDelivery): HandleOutcome {
    const state = this.#stateOf(key);
    const place = placeOf(state.inFlight, handle.queueOffset);
    const delivery = inFlightAt(state, place, handle.queueOffset);
    if (delivery === null) return 'gone';
    if (delivery.deliveryId !== handle.deliveryId) return 'stale';
    state.inFlight.splice(place, 1);
    state.published = null;
    this.#overlay.delete(inFlightKey(state, handle.queueOffset));
    return 'ok';
  }

  changeInvisible(key: ProgressKey, command: ChangeInvisibleCommand): HandleOutcome {
    const state = this.#stateOf(key);
    const place = placeOf(state.inFlight, command.queueOffset);
    const delivery = inFlightAt(state, place, command.queueOffset);
    if (delivery === null) return 'gone';
    if (delivery.deliveryId !== command.deliveryId) return 'stale';
    const changed: InFlight = {
      ...delivery,
      deliveryId: command.newDeliveryId ?? delivery.deliveryId,
      invisibleUntilMs: command.invisibleUntilMs,
      // The consumer has taken the deadline into its own hands: a renewal would undo what it asked
      // for, such as giving the message back in a second.
      autoRenew: delivery.autoRenew && command.newDeliveryId === null,
    };
    state.inFlight[place] = changed;
    state.published = null;
    this.#putInFlight(state, changed);
    return 'ok';
  }

  /**
   * A reset: everything from the offset on is as if never delivered. Deliveries below it stay in flight.
   * An offset beyond the queue means its end: messages to come must not count as consumed; one before
   * the queue means its first.
   */
  reset(key: ProgressKey, offset: QueueOffset, { min, next }: QueueRange): void {
    const state = this.#stateOf(key);
    const place = placeOf(state.inFlight, offset);
    for (const delivery of state.inFlight.splice(place)) {
      this.#overlay.delete(inFlightKey(state, delivery.queueOffset));
    }
    this.#setNextOffset(key, state, QueueOffset(Math.max(min, Math.min(offset, next))));
  }

  /**
   * The first messages of some queues of the topic are gone, and deliveries of them too. All at once; that
   * is rare, and rows of progress are few. A stored next offset before the first means the first.
   *
   * @returns how many deliveries are gone
   */
  advanceMin(topicNumber: number, queues: readonly AdvancedQueue[]): number {
    const minOf = new Map(queues.map(({ queueId, min }) => [queueId, min]));
    const prefix = TABLE.progress + u32Key(topicNumber);
    const keys = [...this.#overlay.range(prefix, prefixEnd(prefix))].map(({ key }) => key);
    let goneCount = 0;
    for (const key of keys) {
      const min = minOf.get(readU32Key(key, key.length - QUEUE_ID_SIZE_BYTES));
      if (min === undefined) continue;
      const state = this.#stateAt(key.slice(TABLE.progress.length));
      const gone = state.inFlight.splice(0, placeOf(state.inFlight, min));
      for (const { queueOffset } of gone) this.#overlay.delete(inFlightKey(state, queueOffset));
      goneCount += gone.length;
      state.published = null;
    }
    return goneCount;
  }

  /** Removes what is left of a deleted topic's row of {@link TABLE.progress}. */
  forget(progressKey: string): void {
    const groupAt = TABLE.progress.length + 4;
    const group = progressKey.slice(groupAt, progressKey.length - QUEUE_ID_SIZE_BYTES);
    const topicNumber = progressKey.slice(TABLE.progress.length, groupAt);
    this.#overlay.delete(progressKey);
    this.#overlay.delete(TABLE.subscription + group + topicNumber);
  }

  #setNextOffset(key: ProgressKey, state: State, nextOffset: QueueOffset): void {
    state.published = null;
    if (state.stored && state.nextOffset === nextOffset) return;
    state.nextOffset = nextOffset;
    const row = this.#rows.begin(OFFSET_ROW_SIZE_BYTES).u64(nextOffset).finish();
    this.#overlay.put(TABLE.progress + state.suffix, row);
    if (state.stored) return;
    state.stored = true;
    const subscription = TABLE.subscription + textKey(key.group) + u32Key(key.topicNumber);
    this.#overlay.put(subscription, PRESENT);
  }

  #putInFlight(state: State, delivery: InFlight): void {
    this.#overlay.put(
      inFlightKey(state, delivery.queueOffset),
      encodeInFlight(this.#rows, delivery),
    );
  }

  #stateOf({ group, topicNumber, queueId }: ProgressKey): State {
    return this.#stateAt(u32Key(topicNumber) + textKey(group) + u32Key(queueId));
  }

  #stateAt(suffix: string): State {
    const cached = this.#cache.get(suffix);
    if (cached !== undefined) return cached;
    const state = this.#load(suffix);
    this.#cache.set(suffix, state);
    return state;
  }

  #load(suffix: string): State {
    const row = this.#overlay.get(TABLE.progress + suffix);
    if (row === null) {
      const nextOffset = QueueOffset(0);
      return { suffix, stored: false, nextOffset, inFlight: [], published: null };
    }
    const reader = new RowReader(row);
    const nextOffset = QueueOffset(reader.u64());
    reader.end();
    const prefix = TABLE.inFlight + suffix;
    const inFlight: InFlight[] = [];
    for (const { key, value } of this.#overlay.range(prefix, prefixEnd(prefix))) {
      inFlight.push(decodeInFlight(value, QueueOffset(readU64Key(key, prefix.length))));
    }
    assert((inFlight.at(-1)?.queueOffset ?? -1) < nextOffset, 'in flight is below next');
    return { suffix, stored: true, nextOffset, inFlight, published: null };
  }
}

function nextIn(state: State, queueMin: QueueOffset): QueueOffset {
  return state.nextOffset < queueMin ? queueMin : state.nextOffset;
}

function inFlightAt(state: State, place: number, queueOffset: QueueOffset): InFlight | null {
  const delivery = state.inFlight[place];
  return delivery?.queueOffset === queueOffset ? delivery : null;
}

function inFlightKey(state: State, queueOffset: QueueOffset): string {
  return TABLE.inFlight + state.suffix + u64Key(queueOffset);
}
