/** Majorities as Raft has them, without a look at the core's rules: a planted rule must not hide here. */
import type { NodeId } from '../../../src/base/units.ts';
import type { Membership } from '../../../src/raft/membership.ts';

/** Each of these decides by its own majority. */
export function setsOf({ voters, outgoing }: Membership): readonly (readonly NodeId[])[] {
  return outgoing.length === 0 ? [voters] : [voters, outgoing];
}

export function majorityOf(set: readonly NodeId[]): number {
  return Math.floor(set.length / 2) + 1;
}

/** Whether a majority of every deciding set says yes. */
export function isDecided(membership: Membership, saysYes: (nodeId: NodeId) => boolean): boolean {
  return setsOf(membership).every((set) => set.filter(saysYes).length >= majorityOf(set));
}

/** Whether each way to decide with one has a node in common with each way to decide with the other. */
export function quorumsMeet(a: Membership, b: Membership): boolean {
  return setsOf(a).some((left) => {
    return setsOf(b).some((right) => {
      const union = new Set([...left, ...right]);
      return majorityOf(left) + majorityOf(right) > union.size;
    });
  });
}
