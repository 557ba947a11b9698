/** The membership a node starts with: the newest in its log, else the one its group was founded with. */
import { assert } from '../base/assert.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import { logOrigin } from '../raft/entry.ts';
import { foundingMembership, type LoggedMembership } from '../raft/membership.ts';
import { problemOf } from '../raft/membership-change.ts';
import type { RecoveredLog } from '../store/commit-log.ts';
import type { GroupMember } from './replica-options.ts';

/** What every log of the group stands on: nothing has ever been removed from its beginning. */
export function foundationOf(members: readonly GroupMember[]): SnapshotDesc {
  const membership = foundingMembership(members);
  const problem = problemOf(membership);
  assert(problem === null, 'a group is founded by members that make sense', () => ({ problem }));
  return logOrigin(membership);
}

export function recoveredMembership(
  { memberships }: Pick<RecoveredLog, 'memberships'>,
  members: readonly GroupMember[],
): LoggedMembership {
  return memberships.at(-1) ?? foundationOf(members).membership;
}
