/**
 * Who belongs to the group, as a value. It is the content of a `config` entry and takes effect when
 * the entry is appended, not when it is committed (Raft 6; thesis 4.1, 4.3).
 *
 * Invariants (G2, G3, checked by `problemOf` wherever a membership enters):
 * - Voters and learners are disjoint; there is at least one voter; each is a described member.
 * - `outgoing` is empty, or the change is joint and both sets decide, each by its own majority.
 * - A node id is used once, for ever: `removed` ids never come back (hazard H22).
 *
 * Not here: which changes are allowed (membership-change.ts), what is in the log (membership-log.ts).
 */
import type { LogIndex, NodeId } from '../base/units.ts';

export interface Member {
  readonly nodeId: NodeId;
  /** The directory that holds the member's promises; null: not pinned yet, any is accepted. */
  readonly storeUuid: string | null;
  /** `host:port` of its peer service; the core never looks at it. */
  readonly raftAddress: string;
  /** Higher is preferred as leader, by transfer only, never in a vote. */
  readonly priority: number;
}

export interface Membership {
  /** Everybody named in the sets below, in ascending order of ids. */
  readonly members: readonly Member[];
  readonly voters: readonly NodeId[];
  /** The voters before a change that is under way (joint consensus); else empty. */
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Ids that were members once, oldest first. */
  readonly removed: readonly NodeId[];
}

/** A membership and the config entry that brought it; index 0: the one the group was founded with. */
export interface LoggedMembership {
  readonly index: LogIndex;
  readonly membership: Membership;
}

/** One thing an operator asks for. Several in one change take effect together. */
export type MembershipStep =
  | { readonly kind: 'addLearner'; readonly member: Member }
  | { readonly kind: 'promote'; readonly nodeId: NodeId }
  | { readonly kind: 'remove'; readonly nodeId: NodeId }
  /** Same node, same role: another address, another priority, or a store pinned for the first time. */
  | { readonly kind: 'describe'; readonly member: Member };

/** Why a change is refused. All that apply are reported, with the numbers seen. */
export type ChangeProblem =
  | { readonly kind: 'notLeader' }
  | { readonly kind: 'noSteps' }
  /** The leader has committed nothing of its own term yet (Ongaro's bug of 2015, H20). */
  | { readonly kind: 'ownTermNotCommitted' }
  | { readonly kind: 'changeInFlight'; readonly index: LogIndex }
  | { readonly kind: 'membershipMoved'; readonly asked: LogIndex; readonly current: LogIndex }
  | { readonly kind: 'transferInProgress'; readonly to: NodeId }
  /** The step makes no sense for the membership as it is. `reason` is a clause for people. */
  | { readonly kind: 'invalidStep'; readonly step: MembershipStep; readonly reason: string }
  | { readonly kind: 'learnerBehind'; readonly nodeId: NodeId; readonly lagBytes: number }
  /** Of the voters after the change, too few answer now. */
  | { readonly kind: 'noQuorumAfter'; readonly active: number; readonly needed: number }
  | { readonly kind: 'noRoom' };

export const NODE_IDS_REMOVED_MAX = 256;
export const MEMBER_COUNT_MAX = 32;

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0;
}

/** Decides with others, in the new set, in the old one, or in both. */
export function isVoter(membership: Membership, nodeId: NodeId): boolean {
  return membership.voters.includes(nodeId) || membership.outgoing.includes(nodeId);
}

export function isMember(membership: Membership, nodeId: NodeId): boolean {
  return membership.members.some((member) => member.nodeId === nodeId);
}

/** A group as it is founded: everybody votes, nobody is pinned. */
export function foundingMembership(
  members: readonly Pick<Member, 'nodeId' | 'raftAddress'>[],
): Membership {
  const described = members
    .map(({ nodeId, raftAddress }) => ({ nodeId, raftAddress, storeUuid: null, priority: 0 }))
    .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  return {
    members: described,
    voters: described.map(({ nodeId }) => nodeId),
    outgoing: [],
    learners: [],
    removed: [],
  };
}
