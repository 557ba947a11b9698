/**
 * Which messages a poll gets: a pure decision over the applied state. Nothing is handed out before
 * the decision is in the log.
 *
 * Order: what came back (its invisible time is over) before what is new, oldest first; among queues
 * whose heads are equally old, the start rotates. New messages that the filter leaves out count as
 * consumed; redeliveries that it leaves out stay for a consumer with another filter.
 *
 * Polls of one turn are planned one after the other over the same views, so that each sees what the
 * former took.
 */
import { advance, QueueOffset } from '../../base/units.ts';
import { tagsCodeOf } from '../../protocol/java-hash.ts';
import type {
  DerivedState,
  GroupConfig,
  InFlight,
  QueueUnit,
  TopicConfig,
} from '../../store/derived/derived-state.ts';
import { CONSUME_LIMITS } from '../limits.ts';
import type { TagFilter } from '../verbs.ts';

/** One queue as the polls of one turn see it. */
export interface QueueView {
  readonly queueId: number;
  /** Never delivered from here on; moves as polls take messages. */
  nextOffset: QueueOffset;
  /** One past the last message. */
  readonly end: QueueOffset;
  /** Expired deliveries with attempts left, ascending; shrinks as polls take them. */
  due: InFlight[];
}

export interface QueueSurvey {
  readonly views: readonly QueueView[];
  /** Expired, and out of attempts: dead letters. */
  readonly exhausted: readonly { readonly queueId: number; readonly inFlight: InFlight }[];
  /** When the next delivery expires; null: none is in flight. */
  readonly nextExpiryMs: number | null;
}

export interface PickedMessage {
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly unit: QueueUnit;
  readonly attempt: number;
}

export interface DeliveryPlan {
  readonly picks: readonly PickedMessage[];
  /**
   * Where each queue that the plan touches goes on: it gives messages, or moves past those that the
   * filter left out. Empty when there is nothing to do.
   */
  readonly nextOffsets: ReadonlyMap<number, QueueOffset>;
}

export interface SurveyOptions {
  readonly state: DerivedState;
  readonly topic: TopicConfig;
  readonly group: GroupConfig;
  readonly nowMs: number;
  readonly isDeadLetterTopic: boolean;
  /** Someone else is deciding about the message right now. */
  readonly isLocked: (queueId: number, queueOffset: QueueOffset) => boolean;
}

export function surveyQueues(options: SurveyOptions): QueueSurvey {
  const { state, topic, group, nowMs } = options;
  const views: QueueView[] = [];
  const exhausted: { queueId: number; inFlight: InFlight }[] = [];
  let nextExpiryMs: number | null = null;
  for (let queueId = 0; queueId < topic.queueCount; queueId++) {
    const range = state.queueRange(topic.topic, queueId);
    const progress = state.progress(group.group, topic.topic, queueId);
    const due: InFlight[] = [];
    for (const inFlight of progress.inFlight) {
      if (inFlight.invisibleUntilMs > nowMs) {
        nextExpiryMs = Math.min(nextExpiryMs ?? Infinity, inFlight.invisibleUntilMs);
      } else if (!options.isLocked(queueId, inFlight.queueOffset)) {
        if (isExhausted(inFlight, group, options.isDeadLetterTopic)) {
          exhausted.push({ queueId, inFlight });
        } else due.push(inFlight);
      }
    }
    // Retention may have passed what the group never read.
    const nextOffset = QueueOffset(Math.max(progress.nextOffset, range.min));
    views.push({ queueId, nextOffset, end: range.next, due });
  }
  return { views, exhausted, nextExpiryMs };
}

/** A message of the group's own dead-letter topic has nowhere left to go: it is tried for ever. */
export function isExhausted(
  inFlight: InFlight,
  group: GroupConfig,
  isDeadLetterTopic: boolean,
): boolean {
  return !isDeadLetterTopic && inFlight.attempt >= group.maxAttempts;
}

export interface PlanOptions {
  readonly state: DerivedState;
  readonly topic: string;
  readonly filter: TagFilter;
  readonly countMax: number;
  /** Rotates among queues with equally old heads. */
  readonly startQueue: number;
}

export function planDelivery(views: readonly QueueView[], options: PlanOptions): DeliveryPlan {
  const planner = new Planner(views, options);
  planner.takeDue();
  planner.takeNew();
  return planner.plan();
}

class Planner {
  readonly #views: readonly QueueView[];
  readonly #options: PlanOptions;
  /** null: no filter. A first look; the tag itself is compared when the record is read. */
  readonly #tagCodes: ReadonlySet<number> | null;
  readonly #picks: PickedMessage[] = [];
  readonly #touched = new Set<QueueView>();
  #pickedBytes = 0;
  #scansLeft = CONSUME_LIMITS.scannedUnitsMax;

  constructor(views: readonly QueueView[], options: PlanOptions) {
    const start = views.length === 0 ? 0 : options.startQueue % views.length;
    this.#views = [...views.slice(start), ...views.slice(0, start)];
    this.#options = options;
    const { tags } = options.filter;
    this.#tagCodes = tags.length === 0 ? null : new Set(tags.map(tagsCodeOf));
  }

  takeDue(): void {
    for (const view of this.#views) {
      const kept: InFlight[] = [];
      for (const inFlight of view.due) {
        const { queueOffset } = inFlight;
        const unit = this.#unit(view, queueOffset);
        const taken =
          unit !== null &&
          this.#matches(unit) &&
          this.#pick({ queueId: view.queueId, queueOffset, unit, attempt: inFlight.attempt + 1 });
        if (taken) this.#touched.add(view);
        else kept.push(inFlight);
      }
      view.due = kept;
    }
  }

  takeNew(): void {
    const heads = new Map<QueueView, QueueUnit>();
    for (const view of this.#views) this.#findHead(view, heads);
    for (;;) {
      const view = oldest(heads);
      if (view === null) return;
      const unit = heads.get(view)!; // oldest() gives a key of the map
      const { queueId, nextOffset } = view;
      if (!this.#pick({ queueId, queueOffset: nextOffset, unit, attempt: 1 })) return;
      this.#advance(view);
      heads.delete(view);
      this.#findHead(view, heads);
    }
  }

  plan(): DeliveryPlan {
    return {
      picks: this.#picks,
      nextOffsets: new Map([...this.#touched].map((view) => [view.queueId, view.nextOffset])),
    };
  }

  /** Moves the view to the next message that may match. */
  #findHead(view: QueueView, heads: Map<QueueView, QueueUnit>): void {
    while (view.nextOffset < view.end && this.#scansLeft > 0) {
      this.#scansLeft--;
      const unit = this.#unit(view, view.nextOffset);
      if (unit !== null && this.#matches(unit)) {
        heads.set(view, unit);
        return;
      }
      this.#advance(view);
    }
  }

  #advance(view: QueueView): void {
    view.nextOffset = advance(view.nextOffset, 1);
    this.#touched.add(view);
  }

  #matches(unit: QueueUnit): boolean {
    return this.#tagCodes === null || this.#tagCodes.has(unit.tagsCode);
  }

  /** @returns false when the answer is full */
  #pick(message: PickedMessage): boolean {
    if (this.#picks.length >= this.#options.countMax) return false;
    const sizeBytes = this.#pickedBytes + message.unit.sizeBytes;
    if (this.#picks.length > 0 && sizeBytes > CONSUME_LIMITS.batchSizeBytesMax) return false;
    this.#pickedBytes = sizeBytes;
    this.#picks.push(message);
    return true;
  }

  #unit(view: QueueView, at: QueueOffset): QueueUnit | null {
    return this.#options.state.queueUnit(this.#options.topic, view.queueId, at);
  }
}

/** The first in rotation order among equally old ones: a Map keeps the order of insertion. */
function oldest(heads: ReadonlyMap<QueueView, QueueUnit>): QueueView | null {
  let found: QueueView | null = null;
  let foundMs = Infinity;
  for (const [view, { storeTimestampMs }] of heads) {
    if (storeTimestampMs >= foundMs) continue;
    found = view;
    foundMs = storeTimestampMs;
  }
  return found;
}
