/**
 * The term of every log entry, exactly, in a few numbers: terms never decrease along the log, so it
 * is enough to keep where each one starts.
 */
import { assert } from '../base/assert.ts';
import { LogIndex, Term } from '../base/units.ts';

interface TermRun {
  readonly start: LogIndex;
  readonly term: Term;
}

export class TermRuns {
  /** Ascending in both fields. The first run is the place before the log. */
  readonly #runs: TermRun[] = [{ start: LogIndex(0), term: Term(0) }];

  get lastTerm(): Term {
    return this.#last().term;
  }

  append(index: LogIndex, term: Term): void {
    const last = this.#last();
    assert(term >= last.term, 'terms do not decrease along the log', () => ({ index, term, last }));
    if (term > last.term) this.#runs.push({ start: index, term });
  }

  /** Forgets entries from `index` on. */
  truncateFrom(index: LogIndex): void {
    assert(index > 0, 'the place before the log stays', () => ({ index }));
    while (this.#last().start >= index) this.#runs.pop();
  }

  /** Requires an index that is in the log. */
  termOf(index: LogIndex): Term {
    const last = this.#last();
    if (index >= last.start) return last.term;
    return this.#runs[this.#runWhere((run) => run.start <= index)]!.term; // run 0 qualifies
  }

  /** Largest index at or below `bound` whose term is at most `term`; 0 when there is none. */
  lastIndexAtMost(term: Term, bound: LogIndex): LogIndex {
    const at = this.#runWhere((run) => run.term <= term && run.start <= bound);
    const next = this.#runs[at + 1];
    if (next === undefined) return bound;
    return LogIndex(Math.min(bound, next.start - 1));
  }

  /** Position of the last run for which `holds`, which must be true up to there and false after. */
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

  #last(): TermRun {
    return this.#runs[this.#runs.length - 1]!; // never empty: truncateFrom keeps run 0
  }
}
