/**
 * Reads that wait for the proof that we still lead (ReadIndex, Raft thesis 6.4): a majority must
 * answer a question that was asked after the read arrived.
 *
 * A question is a round: a number in our heartbeats, never used twice in a term, and a term belongs to
 * one leadership. So an answer can never be taken for the answer to a later question, which has
 * returned stale data elsewhere (etcd #20418, H24). One round is under way at a time; reads that
 * arrive meanwhile share the next one. No clock is asked, so no pause can make a lease of it (H25).
 *
 * Not here: counting the answers (leader.ts).
 */
import { assert } from '../base/assert.ts';
import type { LogIndex } from '../base/units.ts';
import { READS_WAITING_MAX } from './limits.ts';
import type { SafetyRules } from './rules.ts';

interface WaitingRead {
  readonly tag: number;
  /** The commit index when the read arrived: an answer from there on misses nothing acknowledged. */
  readonly index: LogIndex;
  /** The first round asked after the read arrived. */
  readonly round: number;
}

export type ConfirmedRead = Pick<WaitingRead, 'tag' | 'index'>;

export class ReadRounds {
  readonly #rules: SafetyRules;
  /** Arrived before the leader had committed in its own term: it does not know its commit index. */
  #early: number[] = [];
  /** Ascending by round. */
  #waiting: WaitingRead[] = [];
  #round = 0;

  constructor(rules: SafetyRules) {
    this.#rules = rules;
  }

  /** The round that heartbeats carry now. */
  get round(): number {
    return this.#round;
  }

  get waitingCount(): number {
    return this.#early.length + this.#waiting.length;
  }

  get isFull(): boolean {
    return this.waitingCount >= READS_WAITING_MAX;
  }

  addEarly(tag: number): void {
    assert(!this.isFull, 'waiting reads are bounded');
    this.#early.push(tag);
  }

  /** @returns the early reads; the caller adds them again, now that it knows the commit index. */
  takeEarly(): readonly number[] {
    const early = this.#early;
    this.#early = [];
    return early;
  }

  /** @returns whether a new round began: it must be asked at once. */
  add(tag: number, index: LogIndex): boolean {
    assert(!this.isFull, 'waiting reads are bounded');
    const isUnderWay = this.#waiting[0]?.round === this.#round;
    this.#waiting.push({ tag, index, round: this.#round + 1 });
    return isUnderWay ? false : this.#begin();
  }

  /** @param answered the highest round that a majority has answered */
  confirm(answered: number): {
    readonly reads: readonly ConfirmedRead[];
    readonly begins: boolean;
  } {
    const reads: ConfirmedRead[] = [];
    while (this.#waiting.length > 0) {
      const { tag, index, round } = this.#waiting[0]!; // length > 0
      if (round > this.#round || !this.#rules.roundConfirms(answered, round)) break;
      this.#waiting.shift();
      reads.push({ tag, index });
    }
    const next = this.#waiting[0];
    const begins = next !== undefined && next.round > this.#round && this.#begin();
    return { reads, begins };
  }

  /** The leadership is over. @returns the tags of all reads, which nobody can confirm any more. */
  drain(): readonly number[] {
    const tags = [...this.#early, ...this.#waiting.map(({ tag }) => tag)];
    this.#early = [];
    this.#waiting = [];
    return tags;
  }

  #begin(): boolean {
    this.#round += 1;
    return true;
  }
}
