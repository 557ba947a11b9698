/**
 * Arithmetic of majorities: what more than half of each deciding set agrees on.
 *
 * A membership decides by one set of voters, or by two while it changes (`SafetyRules.decidingSets`);
 * then nothing is agreed before both agree (thesis 4.3). All of this runs for every acknowledgement,
 * so the usual sizes are picked by comparisons alone, without an array.
 */
import { assert } from '../base/assert.ts';
import type { LogIndex, NodeId } from '../base/units.ts';

export type DecidingSets = readonly (readonly NodeId[])[];

export type VoteOutcome = 'won' | 'lost' | 'open';

export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** Highest index that a majority of every set has reached. */
export function agreedIndex(sets: DecidingSets, reachedOf: (id: NodeId) => LogIndex): LogIndex {
  return agreedNumber(sets, reachedOf);
}

/** The same for any number that only grows, such as the round of an answer. */
export function agreedNumber<N extends number>(sets: DecidingSets, numberOf: (id: NodeId) => N): N {
  assert(sets.length > 0, 'somebody decides');
  let agreed = agreedInSet(sets[0]!, numberOf); // the first of at least one
  for (let i = 1; i < sets.length; i++) {
    agreed = lower(agreed, agreedInSet(sets[i]!, numberOf)); // i is in range
  }
  return agreed;
}

/** `won`: by every set. `lost`: the missing answers cannot turn the result of some set any more. */
export function voteOutcome(sets: DecidingSets, votes: ReadonlyMap<NodeId, boolean>): VoteOutcome {
  assert(sets.length > 0, 'somebody decides');
  let outcome: VoteOutcome = 'won';
  for (const set of sets) {
    const ofSet = voteOutcomeInSet(set, votes);
    if (ofSet === 'lost') return 'lost';
    if (ofSet === 'open') outcome = 'open';
  }
  return outcome;
}

export function holdsMajority(sets: DecidingSets, has: (id: NodeId) => boolean): boolean {
  assert(sets.length > 0, 'somebody decides');
  for (const set of sets) {
    assert(set.length > 0, 'a deciding set has voters');
    let holderCount = 0;
    for (const id of set) if (has(id)) holderCount += 1;
    if (holderCount < majorityOf(set.length)) return false;
  }
  return true;
}

function voteOutcomeInSet(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteOutcome {
  assert(voters.length > 0, 'a deciding set has voters');
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted += 1;
    if (vote === false) refused += 1;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return 'won';
  return voters.length - refused < needed ? 'lost' : 'open';
}

/** The lowest value of the best majority. Indexing in the cases below is within their length. */
function agreedInSet<N extends number>(voters: readonly NodeId[], numberOf: (id: NodeId) => N): N {
  assert(voters.length > 0, 'a deciding set has voters');
  const at = (i: number): N => numberOf(voters[i]!);
  switch (voters.length) {
    case 1:
      return at(0);
    case 2:
      return lower(at(0), at(1));
    case 3:
      return middleOf3(at(0), at(1), at(2));
    case 4:
      return secondLowestOf4(at(0), at(1), at(2), at(3));
    case 5:
      return middleOf5(at(0), at(1), at(2), at(3), at(4));
    default: {
      const ascending = voters.map((id) => numberOf(id)).sort((a, b) => a - b);
      return ascending[voters.length - majorityOf(voters.length)]!;
    }
  }
}

function middleOf3<N extends number>(a: N, b: N, c: N): N {
  return higher(lower(a, b), lower(higher(a, b), c));
}

function secondLowestOf4<N extends number>(a: N, b: N, c: N, d: N): N {
  const higherOfLows = higher(lower(a, b), lower(c, d));
  const lowerOfHighs = lower(higher(a, b), higher(c, d));
  return lower(higherOfLows, lowerOfHighs);
}

/** Of two pairs, neither the lowest low nor the highest high can be the middle: three are left. */
function middleOf5<N extends number>(a: N, b: N, c: N, d: N, e: N): N {
  const higherOfLows = higher(lower(a, b), lower(c, d));
  const lowerOfHighs = lower(higher(a, b), higher(c, d));
  return middleOf3(higherOfLows, lowerOfHighs, e);
}

function lower<N extends number>(a: N, b: N): N {
  return a < b ? a : b;
}

function higher<N extends number>(a: N, b: N): N {
  return a > b ? a : b;
}
