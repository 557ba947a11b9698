/** Arithmetic of majorities: what more than half of the voters agree on. */
import { assert } from '../base/assert.ts';
import type { LogIndex, NodeId } from '../base/units.ts';

export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** Highest index that a majority has reached: the smallest value of the best majority. */
export function majorityIndex(reached: readonly LogIndex[]): LogIndex {
  assert(reached.length > 0, 'a group has voters');
  const descending = reached.toSorted((a, b) => b - a);
  return descending[majorityOf(reached.length) - 1]!; // a majority is at most everyone
}

export type VoteOutcome = 'won' | 'lost' | 'open';

/** `lost` once the missing answers cannot turn the result any more. */
export function voteOutcome(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteOutcome {
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
