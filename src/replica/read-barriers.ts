/**
 * Reads that wait for their place in the log: first for a majority to confirm, after the call, that
 * this node still leads (thesis 6.4, hazard H24), then for the confirmed index to be applied here.
 *
 * Calls that come in one turn of the event loop share one question to the core. It is asked after all
 * of them, so its answer holds for each.
 */
import type { LogIndex } from '../base/units.ts';
import type { ReadResult } from '../raft/effects.ts';
import { READ_BARRIERS_MAX } from './limits.ts';
import type { ReadOutcome } from './replica.ts';

export interface ReadBarriersOptions {
  /** Runs a function later, once. */
  readonly later: (run: () => void) => void;
  /** Asks the core; its answer comes to `onResult`. */
  readonly ask: (tag: number) => void;
  readonly appliedIndex: () => LogIndex;
}

type Resolve = (outcome: ReadOutcome) => void;

export class ReadBarriers {
  readonly #options: ReadBarriersOptions;
  /** Not asked yet. */
  #gathering: Resolve[] = [];
  readonly #asked = new Map<number, readonly Resolve[]>();
  /** Confirmed, not applied yet. */
  #confirmed: { readonly index: LogIndex; readonly readers: readonly Resolve[] }[] = [];
  #nextTag = 1;
  #count = 0;
  #closed = false;

  constructor(options: ReadBarriersOptions) {
    this.#options = options;
  }

  /** Callers without an answer. */
  get waitingCount(): number {
    return this.#count;
  }

  wait(): Promise<ReadOutcome> {
    if (this.#closed) return Promise.resolve({ kind: 'rejected', why: 'notLeader' });
    if (this.#count >= READ_BARRIERS_MAX) return Promise.resolve({ kind: 'rejected', why: 'busy' });
    this.#count++;
    return new Promise((resolve) => {
      this.#gathering.push(resolve);
      if (this.#gathering.length === 1) this.#options.later(() => this.#ask());
    });
  }

  onResult(result: ReadResult): void {
    const readers = this.#asked.get(result.tag) ?? [];
    this.#asked.delete(result.tag);
    if (result.result === 'refused') {
      const why = result.why === 'tooMany' ? 'busy' : 'notLeader';
      this.#answer(readers, { kind: 'rejected', why });
      return;
    }
    this.#confirmed.push({ index: result.index, readers });
    this.onApplied();
  }

  /** The applied index has grown. What was confirmed holds also when we lead no more. */
  onApplied(): void {
    if (this.#confirmed.length === 0) return;
    const appliedIndex = this.#options.appliedIndex();
    const waiting = this.#confirmed.filter(({ index }) => index > appliedIndex);
    for (const { index, readers } of this.#confirmed) {
      if (index <= appliedIndex) this.#answer(readers, { kind: 'ok', index });
    }
    this.#confirmed = waiting;
  }

  close(): void {
    this.#closed = true;
    const rejected: ReadOutcome = { kind: 'rejected', why: 'notLeader' };
    this.#answer(this.#gathering, rejected);
    for (const readers of this.#asked.values()) this.#answer(readers, rejected);
    for (const { readers } of this.#confirmed) this.#answer(readers, rejected);
    this.#gathering = [];
    this.#asked.clear();
    this.#confirmed = [];
  }

  #ask(): void {
    if (this.#closed) return;
    const tag = this.#nextTag++;
    this.#asked.set(tag, this.#gathering);
    this.#gathering = [];
    this.#options.ask(tag);
  }

  #answer(readers: readonly Resolve[], outcome: ReadOutcome): void {
    this.#count -= readers.length;
    for (const resolve of readers) resolve(outcome);
  }
}
