/** How many failures a set of voters survives, given who is well. */
import type { NodeId } from '../../base/units.ts';
import type { QuorumArithmetic } from '../../protocol/admin-plan.ts';
import { majorityOf } from '../../raft/quorum.ts';

export function arithmeticOf(
  voters: readonly NodeId[],
  isLive: (nodeId: NodeId) => boolean,
): QuorumArithmetic {
  const live = voters.filter(isLive);
  const needed = majorityOf(voters.length);
  return { voters, live, needed, tolerates: live.length - needed };
}

export function canDecide({ tolerates }: QuorumArithmetic): boolean {
  return tolerates >= 0;
}

/** Of sets that all must decide: what the weakest one survives. */
export function toleranceOf(sets: readonly QuorumArithmetic[]): number {
  return Math.min(...sets.map(({ tolerates }) => tolerates));
}

/** `2 of {n1,n2,n3}, live n1,n2, tolerates 0` */
export function arithmeticText({ voters, live, needed, tolerates }: QuorumArithmetic): string {
  const who = live.length === 0 ? 'nobody' : live.join(',');
  const word = tolerates < 0 ? `${-tolerates} too few` : `tolerates ${tolerates}`;
  return `needs ${needed} of {${voters.join(',')}}, live ${who}, ${word}`;
}
