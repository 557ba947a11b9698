/**
 * What a change wants, put together with the group as it is: which voters there will be, who comes, who
 * leaves, and how far it is. Everything follows from the membership, so any leader can go on with it.
 */
import { unreachable } from '../../base/assert.ts';
import { NodeId } from '../../base/units.ts';
import type { AdminChange } from '../../protocol/admin.ts';
import { isJoint, isMember, type MembershipStep } from '../../raft/membership.ts';
import type { GroupView } from './group-view.ts';

export type MembershipWish = Extract<
  AdminChange,
  { kind: 'add' | 'promote' | 'remove' | 'replace' }
>;

export interface Course {
  /** Voters when nothing else changes: in a joint phase, those of the new set. */
  readonly votersNow: readonly NodeId[];
  readonly votersAfter: readonly NodeId[];
  /** Becomes a voter, or null. */
  readonly joiner: NodeId | null;
  /** Leaves, or null. */
  readonly leaver: NodeId | null;
  /** The joint change of this wish is in force, and not yet left. */
  readonly isInJoint: boolean;
  /** Nothing is left to do. */
  readonly isReached: boolean;
}

export function isMembershipWish(change: AdminChange): change is MembershipWish {
  const { kind } = change;
  return kind === 'add' || kind === 'promote' || kind === 'remove' || kind === 'replace';
}

export function courseOf(change: MembershipWish, view: GroupView): Course {
  const { voters, removed } = view.membership;
  const joiner = joinerOf(change);
  const leaver = leaverOf(change);
  const isSettled = !isJoint(view.membership) && view.isCommitted;
  const hasJoined = joiner === null || voters.includes(joiner);
  const hasLeft = leaver === null || removed.includes(leaver);
  const isAdded = change.kind !== 'add' || isAt(view, change.nodeId, change.raftAddress);
  return {
    votersNow: voters,
    votersAfter: votersAfter(voters, joiner, leaver),
    joiner,
    leaver,
    isInJoint: isInJoint(change, view),
    isReached: isSettled && hasJoined && hasLeft && isAdded,
  };
}

function votersAfter(
  voters: readonly NodeId[],
  joiner: NodeId | null,
  leaver: NodeId | null,
): readonly NodeId[] {
  const kept = voters.filter((id) => id !== leaver);
  const all = joiner === null || kept.includes(joiner) ? kept : [...kept, joiner];
  return all.toSorted();
}

/** One change at a time: a joint phase whose new set is what this wish leads to is its own. */
function isInJoint(change: MembershipWish, { membership }: GroupView): boolean {
  if (!isJoint(membership)) return false;
  const { voters, outgoing } = membership;
  const came = voters.filter((id) => !outgoing.includes(id));
  const goes = outgoing.filter((id) => !voters.includes(id));
  const [joiner, leaver] = [joinerOf(change), leaverOf(change)];
  return came.join() === (joiner ?? '') && goes.join() === (leaver ?? '');
}

function joinerOf(change: MembershipWish): NodeId | null {
  switch (change.kind) {
    case 'promote':
      return change.nodeId;
    case 'replace':
      return change.newNodeId;
    case 'add':
    case 'remove':
      return null;
    default:
      return unreachable(change);
  }
}

function leaverOf(change: MembershipWish): NodeId | null {
  switch (change.kind) {
    case 'remove':
      return change.nodeId;
    case 'replace':
      return change.oldNodeId;
    case 'add':
    case 'promote':
      return null;
    default:
      return unreachable(change);
  }
}

/** What the core is asked for by the one step that changes the voters, or drops a learner. */
export function coreSteps({ joiner, leaver }: Course, view: GroupView): readonly MembershipStep[] {
  const { learners } = view.membership;
  const steps: MembershipStep[] = [];
  if (joiner !== null && learners.includes(joiner)) steps.push({ kind: 'promote', nodeId: joiner });
  if (leaver !== null && isKnown(view, leaver)) steps.push({ kind: 'remove', nodeId: leaver });
  return steps;
}

/**
 * The wish behind a lock, as far as its end can be told from the membership; null for other operations.
 * An address is not needed for that.
 */
export function wishOfAction(action: string): Exclude<MembershipWish, { kind: 'add' }> | null {
  const [kind, first = '', second = ''] = action.split(' ');
  if (kind === 'promote' || kind === 'remove') return { kind, nodeId: NodeId(first) };
  if (kind !== 'replace') return null;
  return { kind, oldNodeId: NodeId(first), newNodeId: NodeId(second), raftAddress: '' };
}

/** As it is typed; it also names the operation, so that asking again finds the same lock. */
export function actionOf(change: AdminChange): string {
  switch (change.kind) {
    case 'add':
    case 'promote':
    case 'remove':
    case 'drain':
    case 'undrain':
    case 'snapshot':
    case 'scrub':
      return `${change.kind} ${change.nodeId}`;
    case 'replace':
      return `replace ${change.oldNodeId} ${change.newNodeId}`;
    case 'transfer':
      return change.to === null ? 'transfer' : `transfer ${change.to}`;
    case 'finalizeFeatures':
      return `features finalize ${change.level}`;
    case 'unlock':
      return 'unlock';
    case 'rollingRestart':
      return 'rolling-restart';
    default:
      return unreachable(change);
  }
}

function isAt({ membership }: GroupView, nodeId: NodeId, raftAddress: string): boolean {
  const member = membership.members.find((one) => one.nodeId === nodeId);
  return member !== undefined && (raftAddress === '' || member.raftAddress === raftAddress);
}

export function isKnown(view: GroupView, nodeId: NodeId): boolean {
  return isMember(view.membership, nodeId);
}
