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
  /** Who is to be a voter, already one or not; ascending, as all of these. */
  readonly joiners: readonly NodeId[];
  /** Those of them that are no voters yet. */
  readonly newcomers: readonly NodeId[];
  /** Who is to be gone, already gone or not. */
  readonly leavers: readonly NodeId[];
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
  const [joiners, leavers] = [joinersOf(change), leaversOf(change)];
  const newcomers = joiners.filter((id) => !voters.includes(id));
  const isSettled = !isJoint(view.membership) && view.isCommitted;
  const hasLeft = leavers.every((id) => removed.includes(id));
  const isAdded = change.kind !== 'add' || isAt(view, change.nodeId, change.raftAddress);
  return {
    ...{ votersNow: voters, votersAfter: votersWith(voters, joiners, leavers) },
    ...{ joiners, newcomers, leavers },
    isInJoint: isInJoint(joiners, leavers, view),
    isReached: isSettled && newcomers.length === 0 && hasLeft && isAdded,
  };
}

function votersWith(
  voters: readonly NodeId[],
  joiners: readonly NodeId[],
  leavers: readonly NodeId[],
): readonly NodeId[] {
  return ascending([...voters, ...joiners].filter((id) => !leavers.includes(id)));
}

/** One change at a time: a joint phase whose new set is what this wish leads to is its own. */
function isInJoint(
  joiners: readonly NodeId[],
  leavers: readonly NodeId[],
  { membership }: GroupView,
): boolean {
  if (!isJoint(membership)) return false;
  const { voters, outgoing } = membership;
  return voters.join() === votersWith(outgoing, joiners, leavers).join();
}

function joinersOf(change: MembershipWish): readonly NodeId[] {
  switch (change.kind) {
    case 'promote':
      return ascending(change.nodeIds);
    case 'replace':
      return [change.newNodeId];
    case 'add':
    case 'remove':
      return [];
    default:
      return unreachable(change);
  }
}

function leaversOf(change: MembershipWish): readonly NodeId[] {
  switch (change.kind) {
    case 'remove':
      return ascending(change.nodeIds);
    case 'replace':
      return [change.oldNodeId];
    case 'add':
    case 'promote':
      return [];
    default:
      return unreachable(change);
  }
}

/** Each once: in which order they were typed makes no other wish. */
function ascending(ids: readonly NodeId[]): readonly NodeId[] {
  return [...new Set(ids)].sort((a, b) => (a < b ? -1 : 1));
}

/** What the core is asked for by the one step that changes the voters, or drops learners. */
export function coreSteps(
  { joiners, leavers }: Course,
  view: GroupView,
): readonly MembershipStep[] {
  const { learners } = view.membership;
  const steps = (kind: 'promote' | 'remove', nodeIds: readonly NodeId[]) =>
    nodeIds.map((nodeId): MembershipStep => ({ kind, nodeId }));
  return [
    ...steps(
      'promote',
      joiners.filter((id) => learners.includes(id)),
    ),
    ...steps(
      'remove',
      leavers.filter((id) => isKnown(view, id)),
    ),
  ];
}

/**
 * The wish behind a lock, as far as its end can be told from the membership; null for other operations.
 * An address is not needed for that.
 */
export function wishOfAction(action: string): Exclude<MembershipWish, { kind: 'add' }> | null {
  const [kind, ...names] = action.split(' ');
  const nodeIds = names.map(NodeId);
  if (kind === 'promote' || kind === 'remove') return { kind, nodeIds };
  const [oldNodeId, newNodeId] = nodeIds;
  if (kind !== 'replace' || oldNodeId === undefined || newNodeId === undefined) return null;
  return { kind, oldNodeId, newNodeId, raftAddress: '' };
}

/** As it is typed; it also names the operation, so that asking again finds the same lock. */
export function actionOf(change: AdminChange): string {
  switch (change.kind) {
    case 'promote':
    case 'remove':
      return [change.kind, ...ascending(change.nodeIds)].join(' ');
    case 'add':
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
