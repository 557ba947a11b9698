import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, Term } from '../base/units.ts';
import { TermRuns } from './term-runs.ts';

/** Base 10 of term 2; then 11 to 14 of term 2, 15 to 19 of term 5, 20 to 30 of term 6. */
function aLog(): TermRuns {
  const runs = new TermRuns({ term: Term(2), index: LogIndex(10) });
  for (let index = 11; index <= 30; index++) {
    runs.append(LogIndex(index), Term(index < 15 ? 2 : index < 20 ? 5 : 6));
  }
  return runs;
}

test('every entry has its term, the base too', () => {
  const runs = aLog();
  equal(runs.runCount, 3);
  const terms = [10, 14, 15, 19, 20, 30].map((index) => runs.termOf(LogIndex(index)));
  equal(terms.join(), '2,2,5,5,6,6');
});

const bases: readonly (readonly [number, number, string])[] = [
  // base, runs left, terms at base, 20 and 30
  [10, 3, '2,6,6'],
  [14, 3, '2,6,6'],
  [15, 2, '5,6,6'],
  [19, 2, '5,6,6'],
  [20, 1, '6,6,6'],
];

for (const [base, count, want] of bases) {
  test(`a log that stands on ${base} has ${count} runs of terms left`, () => {
    const runs = aLog();
    runs.forgetBefore(LogIndex(base));
    equal(runs.runCount, count);
    equal([base, 20, 30].map((index) => runs.termOf(LogIndex(index))).join(), want);
    equal(runs.lastIndexAtMost(Term(0), LogIndex(30)), base);
    throws(() => runs.truncateFrom(LogIndex(base)), InvariantError);
    throws(() => runs.forgetBefore(LogIndex(base - 1)), InvariantError);
    runs.truncateFrom(LogIndex(base + 1));
    equal(runs.lastTerm, Number(want[0]));
  });
}

test('the last entry of at most a term is found between the base and the bound', () => {
  const runs = aLog();
  const found = (term: number, bound: number): number =>
    runs.lastIndexAtMost(Term(term), LogIndex(bound));
  equal(found(6, 30), 30);
  equal(found(5, 30), 19);
  equal(found(4, 30), 14);
  equal(found(4, 12), 12);
  equal(found(2, 9), 10);
  equal(found(1, 30), 10);
});

test('an older term is refused', () => {
  throws(() => aLog().append(LogIndex(31), Term(5)), InvariantError);
});
