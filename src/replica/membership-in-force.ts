/**
 * The membership a node starts with: the newest in its log, else the one of its base, else the one its group
 * was founded with.
 */
import { assert } from '../base/assert.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import { logOrigin } from '../raft/entry.ts';
import { foundingMembership, type LoggedMembership } from '../raft/membership.ts';
import { problemOf } from '../raft/membership-change.ts';
import type { RecoveredLog } from '../store/commit-log.ts';
import type { GroupMember } from './replica-options.ts';

/** What the log stands on: its base, or, from its beginning, the members that founded the group. */
export function foundationOf(
  { base }: Pick<RecoveredLog, 'base'>,
  members: readonly GroupMember[],
): SnapshotDesc {
  if (base.desc !== null) return base.desc;
  const membership = foundingMembership(members);
  const problem = problemOf(membership);
  assert(problem === null, 'a group is founded by members that make sense', () => ({ problem }));
  return logOrigin(membership);
}

export function recoveredMembership(
  recovered: Pick<RecoveredLog, 'base' | 'memberships'>,
  members: readonly GroupMember[],
): LoggedMembership {
  return recovered.memberships.at(-1) ?? foundationOf(recovered, members).membership;
}
