/**
 * Appends messages to queues. The leader fixes queue offset and store time here; they travel in the
 * record, and apply asserts that offsets are dense.
 *
 * Invariant: the next offset of a queue is what the applied state says, plus the messages of proposals
 * of the same leadership that have their place in front (Replica.propose): those are applied first, or
 * the leadership has ended and later ones are not applied either. A refused proposal has no place and
 * leaves no gap.
 */
import { assert } from '../base/assert.ts';
import { advance, type QueueOffset, type Term } from '../base/units.ts';
import { encodeMessageRecord, type StoredMessage } from '../protocol/message-record.ts';
import type { DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import { BatchLane } from './batch-lane.ts';
import type { LeaderTime } from './leader-time.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { LANE_OPEN_MAX } from './limits.ts';
import type { EncodedRecord, Proposer } from './proposer.ts';
import { BrokerError } from './verbs.ts';

/** What the leader adds when it appends. */
export interface QueuePlace {
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly storeTimestampMs: number;
}

/** Messages for one queue, and commands that must be applied with them. */
export interface AppendJob {
  /** The leadership in which it was decided that these messages are new. */
  readonly term: Term;
  readonly messages: readonly ((place: QueuePlace) => StoredMessage)[];
  readonly commands: readonly EncodedRecord[];
  readonly sizeBytes: number;
}

export type MessageStored = Extract<RecordResult, { readonly kind: 'messageStored' }>;

export interface Appended {
  readonly stored: readonly MessageStored[];
  /** Of the commands. */
  readonly others: readonly RecordResult[];
}

type Lane = BatchLane<AppendJob, Appended>;

interface AppendBatch {
  readonly jobs: readonly AppendJob[];
  readonly tail: QueueTail;
  readonly onQueued: () => void;
}

interface PlacedRecords {
  readonly records: readonly EncodedRecord[];
  /** Of the queue, after these. */
  readonly nextOffset: QueueOffset;
  readonly storeTimestampMs: number;
}

/** Where a queue will end when its open proposals are applied. */
interface QueueTail {
  readonly term: Term;
  /** Proposals with a place that are not settled. */
  openCount: number;
  nextOffset: QueueOffset;
  storeTimestampMs: number;
}

export class QueueAppender {
  readonly #state: DerivedState;
  readonly #proposer: Proposer;
  readonly #time: LeaderTime;
  readonly #lanes = new Map<string, Lane>();
  /** Topics that are being deleted, with the number of lanes that still run. */
  readonly #closing = new Map<string, { onIdle: () => void }>();

  constructor(state: DerivedState, proposer: Proposer, time: LeaderTime) {
    this.#state = state;
    this.#proposer = proposer;
    this.#time = time;
  }

  append(topic: string, queueId: number, job: AppendJob): Promise<Appended> {
    const key = laneKey(topic, queueId);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = this.#openLane(topic, queueId, key);
      this.#lanes.set(key, lane);
    }
    return lane.run(job, job.sizeBytes);
  }

  /**
   * Runs `act` while nothing is being appended to the topic: a message must not reach the log after
   * the command that deletes its topic.
   */
  async exclusively<T>(topic: string, act: () => Promise<T>): Promise<T> {
    if (this.#closing.has(topic)) {
      throw new BrokerError('busy', `Topic "${topic}" is being deleted already. Try again later.`);
    }
    let onIdle = () => {};
    const idle = new Promise<void>((resolve) => {
      onIdle = resolve;
    });
    this.#closing.set(topic, { onIdle });
    try {
      if (this.#isAppending(topic)) await idle;
      return await act();
    } finally {
      this.#closing.delete(topic);
    }
  }

  #isAppending(topic: string): boolean {
    const prefix = laneKey(topic, '');
    for (const key of this.#lanes.keys()) if (key.startsWith(prefix)) return true;
    return false;
  }

  #openLane(topic: string, queueId: number, key: string): Lane {
    let tail: QueueTail | null = null;
    return new BatchLane(
      (jobs, onQueued) => {
        tail = this.#tailOf(topic, queueId, tail);
        return this.#flush(topic, queueId, { jobs, tail, onQueued });
      },
      () => {
        this.#lanes.delete(key);
        if (!this.#isAppending(topic)) this.#closing.get(topic)?.onIdle();
      },
      LANE_OPEN_MAX,
    );
  }

  /** Fails as a whole: jobs of one batch were decided in the same leadership or are all outdated. */
  async #flush(topic: string, queueId: number, batch: AppendBatch): Promise<readonly Appended[]> {
    const { jobs, tail } = batch;
    if (jobs.some((job) => job.term !== tail.term)) throw new LeadershipLost();
    const config = this.#state.topic(topic);
    if (config === null || this.#closing.has(topic)) {
      throw new BrokerError(
        'topicNotFound',
        `Topic "${topic}" was deleted. Create it again first.`,
      );
    }
    assert(queueId < config.queueCount, 'a queue of the topic');
    const { records, ...end } = this.#recordsOf(queueId, jobs, tail);
    let isQueued = false;
    try {
      const results = await this.#proposer.propose(tail.term, records, () => {
        isQueued = true;
        tail.openCount++;
        tail.nextOffset = end.nextOffset;
        tail.storeTimestampMs = end.storeTimestampMs;
        batch.onQueued();
      });
      return split(jobs, results);
    } finally {
      if (isQueued) tail.openCount--;
    }
  }

  #tailOf(topic: string, queueId: number, known: QueueTail | null): QueueTail {
    const term = this.#proposer.requireTerm();
    if (known?.term === term && known.openCount > 0) return known;
    const nextOffset = this.#state.queueRange(topic, queueId).next;
    if (known?.term === term) {
      assert(known.nextOffset === nextOffset, 'settled proposals are in the applied state', () => ({
        topic,
        queueId,
        expected: known.nextOffset,
        nextOffset,
      }));
    }
    const storeTimestampMs = this.#lastStoredMs(topic, queueId);
    return { term, openCount: 0, nextOffset, storeTimestampMs };
  }

  #recordsOf(queueId: number, jobs: readonly AppendJob[], tail: QueueTail): PlacedRecords {
    let nextOffset = tail.nextOffset;
    const storeTimestampMs = Math.max(this.#time.nowMs(), tail.storeTimestampMs);
    const records: EncodedRecord[] = [];
    for (const job of jobs) {
      for (const messageAt of job.messages) {
        const message = messageAt({ queueId, queueOffset: nextOffset, storeTimestampMs });
        records.push({ kind: 'message', bytes: encodeMessageRecord(message) });
        nextOffset = advance(nextOffset, 1);
      }
      records.push(...job.commands);
    }
    return { records, nextOffset, storeTimestampMs };
  }

  /** Store times of a queue never fall, even when the former leader's clock was ahead of ours. */
  #lastStoredMs(topic: string, queueId: number): number {
    const { min, next } = this.#state.queueRange(topic, queueId);
    if (next === min) return 0;
    return this.#state.queueUnit(topic, queueId, advance(next, -1))?.storeTimestampMs ?? 0;
  }
}

function split(jobs: readonly AppendJob[], results: readonly RecordResult[]): readonly Appended[] {
  let at = 0;
  return jobs.map((job) => {
    const stored = results.slice(at, at + job.messages.length).map((result) => {
      assert(result.kind === 'messageStored', 'a message record stores a message');
      return result;
    });
    at += stored.length;
    const others = results.slice(at, at + job.commands.length);
    at += others.length;
    return { stored, others };
  });
}

function laneKey(topic: string, queueId: number | ''): string {
  // Names have no blanks.
  return `${topic} ${queueId}`;
}
