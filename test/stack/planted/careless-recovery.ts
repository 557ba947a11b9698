/** What a recovery must not do. */
import type { Membership } from '../../../src/raft/membership.ts';
import type { RecoveryPlan } from '../../../src/store/recover/recovery-plan.ts';

/** Everybody still has a vote. */
export function membershipAsWas({ membership, winner, lost }: RecoveryPlan): Membership {
  const ids = [winner.nodeId, ...lost].toSorted();
  const members = ids.map((nodeId) => {
    const own = membership.members.find((member) => member.nodeId === nodeId);
    return own ?? { nodeId, storeUuid: null, raftAddress: `${nodeId}:10912`, priority: 0 };
  });
  return { ...membership, members, voters: ids, removed: [] };
}
