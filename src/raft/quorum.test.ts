import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, NodeId } from '../base/units.ts';
import { majorityIndex, majorityOf, voteOutcome } from './quorum.ts';

const indices = fc.array(fc.nat(20).map(LogIndex), { minLength: 1, maxLength: 7 });

/** Tries every index from the top: is it reached by more than half? */
function dumbMajorityIndex(reached: readonly LogIndex[]): number {
  for (let index = Math.max(...reached); index > 0; index--) {
    if (reached.filter((at) => at >= index).length * 2 > reached.length) return index;
  }
  return 0;
}

test('majorityIndex() is the highest index that more than half have reached', () => {
  fc.assert(
    fc.property(indices, (reached) => {
      equal(majorityIndex(reached), dumbMajorityIndex(reached));
    }),
  );
});

test('majorityIndex() does not depend on the order of the voters', () => {
  fc.assert(
    fc.property(indices, (reached) => {
      equal(majorityIndex(reached.toReversed()), majorityIndex(reached));
    }),
  );
});

test('majorityIndex() of a group without voters is a bug', () => {
  throws(() => majorityIndex([]), InvariantError);
});

test('two majorities of one group always meet', () => {
  for (let voterCount = 1; voterCount <= 9; voterCount++) {
    equal(2 * majorityOf(voterCount) > voterCount, true);
    equal(2 * (majorityOf(voterCount) - 1) > voterCount, false);
  }
});

test('voteOutcome() is decided exactly when no missing answer can change it', () => {
  const vote = fc.constantFrom(true, false, null);
  fc.assert(
    fc.property(fc.array(vote, { minLength: 1, maxLength: 5 }), (answers) => {
      const voters = answers.map((_, i) => NodeId(`n${i}`));
      const votes = new Map<NodeId, boolean>();
      for (const [i, answer] of answers.entries()) {
        if (answer !== null) votes.set(voters[i]!, answer); // one answer per voter
      }
      const wins = (missing: boolean): boolean =>
        answers.filter((answer) => answer ?? missing).length * 2 > answers.length;
      const want = wins(false) ? 'won' : wins(true) ? 'open' : 'lost';
      equal(voteOutcome(voters, votes), want);
    }),
  );
});

test('voteOutcome() counts no vote of a node that is not a voter', () => {
  const votes = new Map([
    [NodeId('n1'), true],
    [NodeId('stranger'), true],
  ]);
  equal(voteOutcome([NodeId('n1'), NodeId('n2'), NodeId('n3')], votes), 'open');
});
