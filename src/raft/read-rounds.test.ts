import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { LogIndex } from '../base/units.ts';
import { READS_WAITING_MAX } from './limits.ts';
import { ReadRounds } from './read-rounds.ts';
import { standardRules } from './rules.ts';

function aRounds(): ReadRounds {
  return new ReadRounds(standardRules);
}

function tagsOf({ reads }: ReturnType<ReadRounds['confirm']>): number[] {
  return reads.map(({ tag }) => tag);
}

test('a read begins a round, and an answer to that round confirms it', () => {
  const rounds = aRounds();
  equal(rounds.round, 0);
  equal(rounds.add(1, LogIndex(5)), true);
  equal(rounds.round, 1);
  deepEqual(rounds.confirm(0), { reads: [], begins: false });
  deepEqual(rounds.confirm(1), { reads: [{ tag: 1, index: 5 }], begins: false });
  equal(rounds.waitingCount, 0);
});

test('reads that arrive while a round is under way share the next one', () => {
  const rounds = aRounds();
  rounds.add(1, LogIndex(5));
  equal(rounds.add(2, LogIndex(6)), false);
  equal(rounds.add(3, LogIndex(7)), false);
  equal(rounds.round, 1, 'one round at a time');
  const first = rounds.confirm(1);
  deepEqual([tagsOf(first), first.begins, rounds.round], [[1], true, 2]);
  deepEqual(tagsOf(rounds.confirm(1)), [], 'an answer to the round before says nothing about them');
  deepEqual(rounds.confirm(2).reads, [
    { tag: 2, index: 6 },
    { tag: 3, index: 7 },
  ]);
});

test('no round number is used twice, also when nobody waits in between', () => {
  const rounds = aRounds();
  for (let round = 1; round <= 5; round++) {
    equal(rounds.add(round, LogIndex(0)), true);
    equal(rounds.round, round);
    deepEqual(tagsOf(rounds.confirm(round)), [round]);
  }
  rounds.add(6, LogIndex(0));
  deepEqual(tagsOf(rounds.confirm(5)), [], 'answered before the read arrived');
});

test('a round that was never asked confirms nothing', () => {
  const rounds = aRounds();
  rounds.add(1, LogIndex(0));
  rounds.add(2, LogIndex(0));
  deepEqual(tagsOf(rounds.confirm(99)), [1], 'read 2 waits for a round that has not begun');
});

test('early reads are in no round until they are taken, each once', () => {
  const rounds = aRounds();
  rounds.addEarly(1);
  rounds.addEarly(2);
  deepEqual(rounds.confirm(0), { reads: [], begins: false });
  equal(rounds.waitingCount, 2);
  deepEqual(rounds.takeEarly(), [1, 2]);
  deepEqual(rounds.takeEarly(), []);
  equal(rounds.waitingCount, 0);
});

test('at the end of a leadership all reads are given back, each once', () => {
  const rounds = aRounds();
  rounds.add(1, LogIndex(0));
  rounds.add(2, LogIndex(0));
  rounds.addEarly(3);
  deepEqual([...rounds.drain()].sort(), [1, 2, 3]);
  deepEqual(rounds.drain(), []);
  deepEqual(rounds.confirm(1), { reads: [], begins: false });
});

test('waiting reads are bounded, early ones included', () => {
  const rounds = aRounds();
  for (let tag = 0; tag < READS_WAITING_MAX - 1; tag++) rounds.add(tag, LogIndex(0));
  equal(rounds.isFull, false);
  rounds.addEarly(-1);
  equal(rounds.isFull, true);
  throws(() => rounds.add(-2, LogIndex(0)), InvariantError);
  throws(() => rounds.addEarly(-2), InvariantError);
  rounds.confirm(1);
  equal(rounds.isFull, false);
});

test('which answer confirms is a rule that can be replaced', () => {
  const rounds = new ReadRounds({ ...standardRules, roundConfirms: () => true });
  rounds.add(1, LogIndex(0));
  deepEqual(tagsOf(rounds.confirm(0)), [1]);
});

/** The law itself: all reads, when they came and when each round was asked, on one time line. */
class NaiveReads {
  readonly #open: { readonly tag: number; readonly at: number }[] = [];
  /** When each round began; round 0 always was. */
  readonly #asked: number[] = [0];
  #now = 0;

  add(tag: number): void {
    this.#now += 1;
    this.#open.push({ tag, at: this.#now });
  }

  begin(): void {
    this.#now += 1;
    this.#asked.push(this.#now);
  }

  /** Everything that arrived before a round that was answered was asked. */
  confirm(answered: number): number[] {
    const asked = this.#asked[Math.min(answered, this.#asked.length - 1)]!; // there is round 0
    const confirmed = this.#open.filter(({ at }) => at < asked).map(({ tag }) => tag);
    this.#open.splice(0, confirmed.length);
    return confirmed;
  }

  get openCount(): number {
    return this.#open.length;
  }
}

test('a read is confirmed by the first answer to a question that was asked after it, and by no other', () => {
  const action = fc.oneof(
    fc.constant({ kind: 'add' } as const),
    fc.record({ kind: fc.constant('confirm' as const), behind: fc.integer({ min: -1, max: 3 }) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const rounds = aRounds();
      const naive = new NaiveReads();
      let tag = 0;
      for (const one of actions) {
        const before = rounds.round;
        if (one.kind === 'add') {
          tag += 1;
          naive.add(tag);
          equal(rounds.add(tag, LogIndex(tag)), rounds.round > before);
        } else {
          const answered = Math.max(0, before - one.behind);
          const { reads, begins } = rounds.confirm(answered);
          deepEqual(
            reads.map((read) => read.tag),
            naive.confirm(answered),
          );
          for (const read of reads) equal(read.index, read.tag, 'each keeps its own index');
          equal(begins, rounds.round > before);
        }
        ok(rounds.round - before <= 1);
        if (rounds.round > before) naive.begin();
        equal(rounds.waitingCount, naive.openCount);
      }
      // Liveness: answering the round that is asked ends all of them.
      for (let i = 0; i < 2; i++) rounds.confirm(rounds.round);
      equal(rounds.waitingCount, 0);
    }),
    { numRuns: 300 },
  );
});
