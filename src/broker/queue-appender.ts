/**
 * Appends messages to queues. The leader fixes queue offset and store time here; they travel in the
 * record, and apply asserts that offsets are dense.
 *
 * Invariant: per queue, one proposal is open at a time. The next offset is therefore exactly what the
 * applied state says, whatever became of the proposal before: a refused one leaves no gap, and one
 * with unknown outcome ends the leadership in which the waiting jobs were decided.
 */
import { assert } from '../base/assert.ts';
import { advance, type QueueOffset, type Term } from '../base/units.ts';
import { encodeMessageRecord, type StoredMessage } from '../protocol/message-record.ts';
import type { DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import { BatchLane } from './batch-lane.ts';
import type { LeaderTime } from './leader-time.ts';
import { LeadershipLost } from './leadership-lost.ts';
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
    return new BatchLane(
      (jobs) => this.#flush(topic, queueId, jobs),
      () => {
        this.#lanes.delete(key);
        if (!this.#isAppending(topic)) this.#closing.get(topic)?.onIdle();
      },
    );
  }

  /** Fails as a whole: jobs of one batch were decided in the same leadership or are all outdated. */
  async #flush(
    topic: string,
    queueId: number,
    jobs: readonly AppendJob[],
  ): Promise<readonly Appended[]> {
    const term = this.#proposer.requireTerm();
    if (jobs.some((job) => job.term !== term)) throw new LeadershipLost();
    const config = this.#state.topic(topic);
    if (config === null || this.#closing.has(topic)) {
      throw new BrokerError(
        'topicNotFound',
        `Topic "${topic}" was deleted. Create it again first.`,
      );
    }
    assert(queueId < config.queueCount, 'a queue of the topic');
    const records = this.#recordsOf(topic, queueId, jobs);
    const results = await this.#proposer.propose(term, records);
    return split(jobs, results);
  }

  #recordsOf(topic: string, queueId: number, jobs: readonly AppendJob[]): EncodedRecord[] {
    let queueOffset = this.#state.queueRange(topic, queueId).next;
    const storeTimestampMs = Math.max(this.#time.nowMs(), this.#lastStoredMs(topic, queueId));
    const records: EncodedRecord[] = [];
    for (const job of jobs) {
      for (const messageAt of job.messages) {
        const message = messageAt({ queueId, queueOffset, storeTimestampMs });
        records.push({ kind: 'message', bytes: encodeMessageRecord(message) });
        queueOffset = advance(queueOffset, 1);
      }
      records.push(...job.commands);
    }
    return records;
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
