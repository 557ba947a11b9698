/**
 * The group as its leader sees it at one moment: what plans and checks are made from. They look at
 * nothing else, so the same view gives the same plan.
 */
import type { LogIndex, NodeId, Term } from '../../base/units.ts';
import type { NodeHealth } from '../../protocol/admin-report.ts';
import { UNDER_REPAIR } from '../../protocol/repair-codec.ts';
import type { Membership } from '../../raft/membership.ts';
import type { OperatorLock, RetiredNode } from '../../store/derived/admin-view.ts';
import { WELL_LAG_SIZE_BYTES_MAX } from './limits.ts';

export interface GroupView {
  readonly self: NodeId;
  readonly term: Term;
  readonly membership: Membership;
  readonly configIndex: LogIndex;
  readonly isCommitted: boolean;
  /** Everything up to here may have been acknowledged. */
  readonly commitIndex: LogIndex;
  /** The leader has committed an entry of its own term. */
  readonly isOwnTermCommitted: boolean;
  readonly transferTo: NodeId | null;
  /** In the order of the membership. */
  readonly members: readonly MemberView[];
  readonly lock: OperatorLock | null;
  readonly drained: readonly NodeId[];
  readonly retired: readonly RetiredNode[];
  readonly featureLevel: number;
  /** Of the leader. */
  readonly logSizeBytes: number;
}

export interface MemberView {
  readonly nodeId: NodeId;
  readonly storeUuid: string | null;
  readonly raftAddress: string;
  readonly isSelf: boolean;
  /** Heard within an election timeout. */
  readonly isActive: boolean;
  /** Was met at least once by this leader. */
  readonly isMet: boolean;
  readonly lagBytes: number;
  /** What this leader knows to be durable there, from the start of the log to here; 0: nothing yet. */
  readonly durableIndex: LogIndex;
  readonly isDiskStalled: boolean;
  /** null: it did not answer, or was not asked. */
  readonly health: NodeHealth | null;
  readonly silence: string;
  /** As it told this node last; empty: none is set. null: it has not told yet. */
  readonly zone: string | null;
}

export function memberOf(view: GroupView, nodeId: NodeId): MemberView | null {
  return view.members.find((member) => member.nodeId === nodeId) ?? null;
}

/**
 * Somebody to count on: heard, with nearly all of the log, and a disk that works. Who is under repair is
 * not heard; who repairs while it follows, or reports a stalled disk, is not well.
 */
export function isWell(member: MemberView): boolean {
  const isCloseEnough = member.isSelf || member.lagBytes <= WELL_LAG_SIZE_BYTES_MAX;
  return member.isActive && isCloseEnough && !member.isDiskStalled && !isUnderRepair(member);
}

/** Before it takes part, or while it does. */
export function isUnderRepair({ health, silence }: MemberView): boolean {
  if (health === null) return silence.startsWith(UNDER_REPAIR);
  return health.repair !== '' || health.state === 'repairing';
}

export function isWellIn(view: GroupView): (nodeId: NodeId) => boolean {
  return (nodeId) => {
    const member = memberOf(view, nodeId);
    return member !== null && isWell(member);
  };
}
