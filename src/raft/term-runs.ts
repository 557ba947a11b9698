/**
 * The term of every log entry, exactly, in a few numbers: terms never decrease along the log, so it
 * is enough to keep where each one starts. There are as many runs as there were elections.
 */
import { assert } from '../base/assert.ts';
import { LogIndex, type Term } from '../base/units.ts';
import type { EntryId } from './entry.ts';

interface TermRun {
  readonly start: LogIndex;
  readonly term: Term;
}

export class TermRuns {
  /** Ascending in both fields. The first run starts at the base, which is known but not an entry. */
  readonly #runs: TermRun[];

  constructor(base: EntryId) {
    this.#runs = [{ start: base.index, term: base.term }];
  }

  get lastTerm(): Term {
    return this.#last().term;
  }

  /** The memory of this object, in runs; 1 for an empty log. */
  get runCount(): number {
    return this.#runs.length;
  }

  append(index: LogIndex, term: Term): void {
    const last = this.#last();
    assert(term >= last.term, 'terms do not decrease along the log', () => ({ index, term, last }));
    if (term > last.term) this.#runs.push({ start: index, term });
  }

  /** Forgets entries from `index` on. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#first().start, 'the base stays', () => ({ index }));
    while (this.#last().start >= index) this.#runs.pop();
  }

  /** Makes an index that is in the log the base. */
  forgetBefore(base: LogIndex): void {
    assert(base >= this.#first().start, 'the base goes forward', () => ({ base }));
    const at = this.#runWhere((run) => run.start <= base);
    const { term } = this.#runs[at]!; // #runWhere gives a position
    this.#runs.splice(0, at + 1, { start: base, term });
  }

  /** Requires the base or an index that is in the log. */
  termOf(index: LogIndex): Term {
    const last = this.#last();
    if (index >= last.start) return last.term;
    return this.#runs[this.#runWhere((run) => run.start <= index)]!.term; // run 0 qualifies
  }

  /** Largest index at or below `bound` whose term is at most `term`; the base when there is none. */
  lastIndexAtMost(term: Term, bound: LogIndex): LogIndex {
    const first = this.#first();
    if (first.term > term || first.start > bound) return first.start;
    const at = this.#runWhere((run) => run.term <= term && run.start <= bound);
    const next = this.#runs[at + 1];
    if (next === undefined) return bound;
    return LogIndex(Math.min(bound, next.start - 1));
  }

  /** Position of the last run for which `holds`: true for the first, and after a false never true. */
  #runWhere(holds: (run: TermRun) => boolean): number {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (holds(this.#runs[middle]!))
        low = middle; // low < middle <= high
      else high = middle - 1;
    }
    return low;
  }

  #first(): TermRun {
    return this.#runs[0]!; // never empty, as below
  }

  #last(): TermRun {
    return this.#runs[this.#runs.length - 1]!; // never empty: the run of the base stays
  }
}
