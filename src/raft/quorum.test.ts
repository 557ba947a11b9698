import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, NodeId } from '../base/units.ts';
import {
  agreedIndex,
  agreedNumber,
  type DecidingSets,
  holdsMajority,
  majorityOf,
  voteOutcome,
} from './quorum.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'].map(NodeId);

const voterSet = fc.shuffledSubarray(NODES, { minLength: 1 });
const decidingSets: fc.Arbitrary<DecidingSets> = fc.array(voterSet, { minLength: 1, maxLength: 2 });
const values = fc.array(fc.nat(12), { minLength: NODES.length, maxLength: NODES.length });
const votes = fc.array(fc.constantFrom(true, false, null), {
  minLength: NODES.length,
  maxLength: NODES.length,
});

/** Every group of nodes there is. */
const GROUPS: readonly (readonly NodeId[])[] = Array.from(
  { length: 2 ** NODES.length },
  (_, bits) => NODES.filter((_node, i) => Math.floor(bits / 2 ** i) % 2 === 1),
);

/** Is it more than half of each set? Written without a majority and without a sort. */
function isQuorum(sets: DecidingSets, group: readonly NodeId[]): boolean {
  return sets.every((set) => {
    const inside = set.filter((id) => group.includes(id));
    return inside.length > set.length - inside.length;
  });
}

/** Of all quorums there are, the one whose slowest member is the fastest. */
function dumbAgreed(sets: DecidingSets, numberOf: (id: NodeId) => number): number {
  const deciding = new Set(sets.flat());
  const quorums = GROUPS.filter(
    (group) => group.every((id) => deciding.has(id)) && isQuorum(sets, group),
  );
  return Math.max(...quorums.map((quorum) => Math.min(...quorum.map(numberOf))));
}

function valueIn(list: readonly number[]): (id: NodeId) => number {
  return (id) => list[NODES.indexOf(id)]!; // one value for each node
}

function votesOf(answers: readonly (boolean | null)[]): Map<NodeId, boolean> {
  const map = new Map<NodeId, boolean>();
  for (const [i, answer] of answers.entries()) {
    if (answer !== null) map.set(NODES[i]!, answer); // one answer for each node
  }
  return map;
}

test('agreedNumber() is the best that the members of any quorum have all reached', () => {
  fc.assert(
    fc.property(decidingSets, values, (sets, reached) => {
      equal(agreedNumber(sets, valueIn(reached)), dumbAgreed(sets, valueIn(reached)));
    }),
    { numRuns: 300 },
  );
});

test('agreedNumber() is right for every order of up to five voters, equal ones included', () => {
  for (let voterCount = 1; voterCount <= 5; voterCount++) {
    const voters = NODES.slice(0, voterCount);
    for (let code = 0; code < voterCount ** voterCount; code++) {
      const list = voters.map((_, i) => Math.floor(code / voterCount ** i) % voterCount);
      const descending = list.toSorted((a, b) => b - a);
      const reachedByMost = descending[Math.floor(voterCount / 2)];
      equal(agreedNumber([voters], valueIn(list)), reachedByMost, `reached: ${list.join(' ')}`);
    }
  }
});

test('agreedIndex() keeps the kind of number it is given', () => {
  const reached = new Map(NODES.map((id, i) => [id, LogIndex(i + 1)]));
  const index: LogIndex = agreedIndex([NODES], (id) => reached.get(id)!); // all are in the map
  equal(index, 4);
});

test('no answer depends on the order of voters or of sets', () => {
  fc.assert(
    fc.property(decidingSets, values, votes, (sets, reached, answers) => {
      const turned = sets.map((set) => set.toReversed()).toReversed();
      const numberOf = valueIn(reached);
      equal(agreedNumber(turned, numberOf), agreedNumber(sets, numberOf));
      equal(voteOutcome(turned, votesOf(answers)), voteOutcome(sets, votesOf(answers)));
      const has = (id: NodeId): boolean => numberOf(id) > 6;
      equal(holdsMajority(turned, has), holdsMajority(sets, has));
    }),
  );
});

test('a set joined with itself decides like the set alone', () => {
  fc.assert(
    fc.property(voterSet, values, votes, (set, reached, answers) => {
      const joint = [set, set];
      const numberOf = valueIn(reached);
      equal(agreedNumber(joint, numberOf), agreedNumber([set], numberOf));
      equal(voteOutcome(joint, votesOf(answers)), voteOutcome([set], votesOf(answers)));
      const has = (id: NodeId): boolean => numberOf(id) > 6;
      equal(holdsMajority(joint, has), holdsMajority([set], has));
    }),
  );
});

test('two sets agree on what the slower one agrees on', () => {
  fc.assert(
    fc.property(voterSet, voterSet, values, (a, b, reached) => {
      const numberOf = valueIn(reached);
      const slower = Math.min(agreedNumber([a], numberOf), agreedNumber([b], numberOf));
      equal(agreedNumber([a, b], numberOf), slower);
    }),
  );
});

test('who is not in a set has no weight', () => {
  fc.assert(
    fc.property(voterSet, values, values, (set, reached, elsewhere) => {
      const mixed = NODES.map((id, i) => (set.includes(id) ? reached[i]! : elsewhere[i]!)); // same length
      equal(agreedNumber([set], valueIn(mixed)), agreedNumber([set], valueIn(reached)));
    }),
  );
});

test('holdsMajority() is true for the quorums and for nothing else', () => {
  fc.assert(
    fc.property(decidingSets, (sets) => {
      for (const group of GROUPS) {
        equal(
          holdsMajority(sets, (id) => group.includes(id)),
          isQuorum(sets, group),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('voteOutcome() is decided exactly when no missing answer can change it', () => {
  fc.assert(
    fc.property(decidingSets, votes, (sets, answers) => {
      const winsIf = (missing: boolean): boolean =>
        isQuorum(
          sets,
          NODES.filter((_, i) => answers[i] ?? missing),
        );
      const undecided = winsIf(true) ? 'open' : 'lost';
      equal(voteOutcome(sets, votesOf(answers)), winsIf(false) ? 'won' : undecided);
    }),
    { numRuns: 500 },
  );
});

test('a joint vote is open while one set is, lost when one is, won when both are', () => {
  const sets = [NODES.slice(0, 3), NODES.slice(3, 6)];
  const yes = (...ids: number[]): [NodeId, boolean][] => ids.map((i) => [NODES[i]!, true]); // below 7
  const no = (...ids: number[]): [NodeId, boolean][] => ids.map((i) => [NODES[i]!, false]); // below 7
  equal(voteOutcome(sets, new Map(yes(0, 1, 2))), 'open');
  equal(voteOutcome(sets, new Map([...yes(0, 1, 2, 3), ...no(4)])), 'open');
  equal(voteOutcome(sets, new Map([...yes(0, 1, 2, 3), ...no(4, 5)])), 'lost');
  equal(voteOutcome(sets, new Map([...yes(0, 1, 3, 4), ...no(2, 5)])), 'won');
});

test('two majorities of one group always meet, and one voter less would not do', () => {
  for (let voterCount = 1; voterCount <= 9; voterCount++) {
    equal(2 * majorityOf(voterCount) > voterCount, true);
    equal(2 * (majorityOf(voterCount) - 1) > voterCount, false);
  }
});

test('quorums of consecutive memberships meet: before, during and after a joint change (G2)', () => {
  fc.assert(
    fc.property(voterSet, voterSet, (before, after) => {
      const phases: readonly DecidingSets[] = [[before], [after, before], [after]];
      for (const [a, b] of [
        [phases[0]!, phases[1]!], // three phases
        [phases[1]!, phases[2]!],
      ] as const) {
        equal(
          GROUPS.some((group) => quorumsMiss(a, b, group)),
          false,
        );
      }
    }),
    { numRuns: 100 },
  );
});

test('without the joint phase quorums of two memberships can miss each other', () => {
  const [before, after] = [NODES.slice(0, 3), NODES.slice(2, 5)];
  equal(
    GROUPS.some((group) => quorumsMiss([before], [after], group)),
    true,
  );
});

/** `a` can decide with the group while `b` decides with all the others. */
function quorumsMiss(a: DecidingSets, b: DecidingSets, group: readonly NodeId[]): boolean {
  return (
    holdsMajority(a, (id) => group.includes(id)) && holdsMajority(b, (id) => !group.includes(id))
  );
}

test('a decision of nobody is a bug', () => {
  for (const sets of [[], [[]], [NODES, []]]) {
    throws(() => agreedNumber(sets, () => 1), InvariantError);
    throws(() => voteOutcome(sets, new Map(NODES.map((id) => [id, true]))), InvariantError);
    throws(() => holdsMajority(sets, () => true), InvariantError);
  }
});
