/** G1, G2, G3 and L7: what memberships say, when they change, and whether nodes go by them. */
import type { LogIndex, NodeId } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { PersistEffect } from '../../../src/raft/effects.ts';
import { isJoint, type LoggedMembership, type Membership } from '../../../src/raft/membership.ts';
import type { CommitHistory } from './commit-history.ts';
import { isSameMembership } from './entry-registry.ts';
import type { LogBook } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Step } from './observers.ts';
import { quorumsMeet } from './quorums.ts';
import type { Judge } from './violation.ts';

/** G1: the membership in force is the last in the log, also after a cut, a snapshot, a compaction. */
export function membershipInForceChecker(
  judge: Judge,
  book: LogBook,
  history: CommitHistory,
): Checker {
  /** What the node has said in the step that is under way. */
  const told = new Map<NodeView, LoggedMembership>();

  function requireCurrent(node: NodeView, says: LoggedMembership): void {
    const { index, membership } = book.of(node).membership;
    const isRight = says.index === index && isSameMembership(says.membership, membership);
    judge.require(isRight, 'G1', () => {
      return `${node.id} goes by the membership of ${says.index}, the last in its log is ${index}`;
    });
  }

  /** A snapshot brings the membership that was in force at its last entry. */
  function requireBase(node: NodeView, { last, membership }: CoreStart['base']): void {
    const known = history.membershipAt(last.index);
    const isRight =
      known === null
        ? membership.index === 0
        : known.index === membership.index &&
          isSameMembership(known.membership, membership.membership);
    judge.require(isRight, 'G1', () => {
      const was = `the one of ${known?.index ?? 0} was in force`;
      return `${node.id} has a snapshot of ${last.index} with membership ${membership.index}, ${was}`;
    });
  }

  return {
    started: (node: NodeView, { base }: CoreStart) => requireBase(node, base),
    persisting(node: NodeView, { snapshot }: PersistEffect): void {
      if (snapshot !== null) requireBase(node, snapshot);
    },
    stepped({ node, before, after }: Step): void {
      requireCurrent(node, after.membership);
      const last = told.get(node);
      told.delete(node);
      const isChanged = after.membership.index !== before.membership.index;
      judge.require(!isChanged || last !== undefined, 'G1', () => {
        return `${node.id} does not say that it goes by ${after.membership.index} now`;
      });
      if (last !== undefined) requireCurrent(node, last);
    },
    membershipChanged(node: NodeView, current: LoggedMembership): void {
      told.set(node, current);
    },
    compacted: (node: NodeView, through: LogIndex) => {
      const { base } = node.disk.image;
      if (base.last.index === through) requireBase(node, base);
    },
  };
}

/** G2, G3: every membership in a log makes sense after the one before it. */
export function membershipSequenceChecker(judge: Judge, book: LogBook): Checker {
  function requireWellFormed({ index, membership }: LoggedMembership): void {
    const { members, voters, outgoing, learners, removed } = membership;
    const described = members.map(({ nodeId }) => nodeId);
    const deciding = new Set([...voters, ...outgoing]);
    const problem = () => `membership ${index}: ${JSON.stringify(membership)}`;
    judge.require(voters.length > 0, 'G3', problem);
    for (const list of [described, voters, outgoing, learners, removed]) {
      judge.require(new Set(list).size === list.length, 'G3', problem);
    }
    judge.require(!learners.some((id) => deciding.has(id)), 'G3', problem);
    judge.require(!described.some((id) => removed.includes(id)), 'G3', problem);
    const inSets = new Set([...deciding, ...learners]);
    const isCovered = described.length === inSets.size && described.every((id) => inSets.has(id));
    judge.require(isCovered, 'G3', problem);
    const stores = members.map(({ storeUuid }) => storeUuid).filter((uuid) => uuid !== null);
    judge.require(new Set(stores).size === stores.length, 'G3', problem);
  }

  /** An id never changes its store, and once it has left it is gone for ever. */
  function requireFollows(prev: LoggedMembership, next: LoggedMembership): void {
    const [old, now] = [prev.membership, next.membership];
    const change = () => `from ${prev.index} ${textOf(old)} to ${next.index} ${textOf(now)}`;
    judge.require(quorumsMeet(old, now), 'G2', change);
    judge.require(isStepOfJointChange(old, now), 'G2', change);
    const isKept = old.removed.every((id) => now.removed.includes(id));
    const present = new Map(now.members.map((member) => [member.nodeId, member]));
    const isAccounted = old.members.every(({ nodeId, storeUuid }) => {
      const member = present.get(nodeId);
      if (member === undefined) return now.removed.includes(nodeId);
      return storeUuid === null || member.storeUuid === storeUuid;
    });
    judge.require(isKept && isAccounted, 'G3', change);
  }

  return {
    persisting(node: NodeView, { snapshot, truncateFrom, memberships }: PersistEffect): void {
      const log = book.of(node);
      const end = (truncateFrom ?? log.lastIndex + 1) - 1;
      let prev = snapshot?.membership ?? log.membershipAt(end);
      for (const logged of memberships) {
        requireWellFormed(logged);
        requireFollows(prev, logged);
        prev = logged;
      }
    },
  };
}

/** Into the joint phase with the old set outgoing, out of it with the new one, or voters untouched. */
function isStepOfJointChange(old: Membership, now: Membership): boolean {
  const same = (a: readonly NodeId[], b: readonly NodeId[]) => {
    return a.length === b.length && a.every((id) => b.includes(id));
  };
  if (isJoint(old)) return !isJoint(now) && same(old.voters, now.voters);
  return isJoint(now) ? same(now.outgoing, old.voters) : same(now.voters, old.voters);
}

function textOf({ voters, outgoing, learners, removed }: Membership): string {
  const lists = { voters, outgoing, learners, removed };
  return Object.entries(lists)
    .filter(([, ids]) => ids.length > 0)
    .map(([name, ids]) => `${name} {${ids.join(' ')}}`)
    .join(' ');
}

/**
 * L7: a leader changes the membership only after it has committed in its own term, and never while
 * another change is open; and a joint phase that is committed is left by itself (H20).
 */
export function oneChangeChecker(judge: Judge, book: LogBook): Checker {
  return {
    stepped({ node, effects, after }: Step): void {
      if (after.role !== 'leader') return;
      const log = book.of(node);
      const hasCommitted = log.termAt(after.commitIndex) === after.term;
      const isAppending = effects.some((effect) => {
        return effect.kind === 'persist' && effect.memberships.length > 0;
      });
      if (isAppending) {
        judge.require(hasCommitted, 'L7', () => {
          return `${node.id} changes the membership and has committed nothing in term ${after.term}`;
        });
        const open = log.membershipsAfter(after.commitIndex);
        judge.require(open.length <= 1, 'L7', () => {
          const indexes = open.map(({ index }) => index).join(' and ');
          return `${node.id} has the changes ${indexes} open, commit is ${after.commitIndex}`;
        });
      }
      const { index, membership } = log.membership;
      const isLeft = !isJoint(membership) || index > after.commitIndex || !hasCommitted;
      judge.require(isLeft, 'L7', () => `${node.id} stays in the joint phase of ${index}`);
    },
  };
}
