/**
 * What a change makes of a membership, and which memberships make sense at all.
 *
 * A change of the set of voters goes through a joint phase, in which the old and the new set both
 * decide; everything else takes effect at once (Raft 6, thesis 4.3). A voter that is removed still
 * decides in the old set, so it stays described until the joint phase is left, and only then is its
 * id among the removed, for ever (G3, hazard H22).
 *
 * Not here: whether the moment is right (hazard H20) and whether enough voters are well.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { NodeId } from '../base/units.ts';
import {
  type ChangeProblem,
  isJoint,
  isMember,
  MEMBER_COUNT_MAX,
  type Member,
  type Membership,
  type MembershipStep,
  NODE_IDS_REMOVED_MAX,
} from './membership.ts';

/** Bounds a node id, an address and a store id each: what is in every config entry stays small. */
export const MEMBER_TEXT_LENGTH_MAX = 256;

export type StepsOutcome =
  | { readonly kind: 'ok'; readonly membership: Membership }
  | { readonly kind: 'invalid'; readonly problems: readonly ChangeProblem[] };

/**
 * Applies all steps at once: each is judged by the membership as it is now.
 *
 * `current` is not joint: the caller has checked. A change of no steps is invalid with no problem to
 * name, since a problem names its step.
 */
export function applySteps(current: Membership, steps: readonly MembershipStep[]): StepsOutcome {
  assert(!isJoint(current), 'a change begins when the one before is over');
  if (steps.length === 0) return { kind: 'invalid', problems: [{ kind: 'noSteps' }] };
  const problems: ChangeProblem[] = [];
  const refuse = (step: MembershipStep, reasons: readonly string[]): void => {
    for (const reason of reasons) problems.push({ kind: 'invalidStep', step, reason });
  };

  const sound: MembershipStep[] = [];
  const named = new Set<NodeId>();
  for (const step of steps) {
    const id = nodeIdOf(step);
    const reasons = reasonsAgainst(current, step);
    if (named.has(id)) reasons.push(`an earlier step of the change is about ${id} already`);
    named.add(id);
    refuse(step, reasons);
    if (reasons.length === 0) sound.push(step);
  }

  const membership = changed(current, sound);
  for (const step of sound) refuse(step, reasonsTogether(current, sound, step, membership));
  if (problems.length > 0) return { kind: 'invalid', problems };
  assertSound(membership);
  return { kind: 'ok', membership };
}

/** The membership after a joint one: the new set decides alone, who was only in the old one is gone. */
export function leaveJoint(membership: Membership): Membership {
  assert(isJoint(membership), 'only a joint phase can be left');
  const leaving = leavingOf(membership);
  const next: Membership = {
    ...membership,
    members: membership.members.filter(({ nodeId }) => !leaving.includes(nodeId)),
    outgoing: [],
    removed: [...membership.removed, ...leaving],
  };
  assertSound(next);
  return next;
}

/**
 * What is wrong with a membership, as a clause for people; null: nothing. For everything that comes
 * from a disk or a peer: a damaged or foreign membership must not get a say in who leads.
 */
export function problemOf(membership: Membership): string | null {
  return (
    problemOfMembers(membership.members) ??
    problemOfSets(membership) ??
    problemOfRemoved(membership)
  );
}

export function describesSame(a: Membership, b: Membership): boolean {
  return (
    isSameList(a.members, b.members, isSameMember) &&
    isSameList(a.voters, b.voters, Object.is) &&
    isSameList(a.outgoing, b.outgoing, Object.is) &&
    isSameList(a.learners, b.learners, Object.is) &&
    isSameList(a.removed, b.removed, Object.is)
  );
}

/** What speaks against one step alone. */
function reasonsAgainst(current: Membership, step: MembershipStep): string[] {
  switch (step.kind) {
    case 'addLearner': {
      const { nodeId } = step.member;
      const reasons = problemsOfMember(step.member);
      if (isMember(current, nodeId)) reasons.push(`${nodeId} is a member already`);
      if (current.removed.includes(nodeId)) {
        reasons.push(`${nodeId} was removed once, and a node id is used only once`);
      }
      return reasons;
    }
    case 'promote':
      if (current.learners.includes(step.nodeId)) return [];
      return [
        isMember(current, step.nodeId)
          ? `${step.nodeId} is a voter already`
          : `${step.nodeId} is not a member`,
      ];
    case 'remove':
      return isMember(current, step.nodeId) ? [] : [`${step.nodeId} is not a member`];
    case 'describe':
      return reasonsAgainstDescription(current, step.member);
    default:
      return unreachable(step);
  }
}

function reasonsAgainstDescription(current: Membership, member: Member): string[] {
  const { nodeId, storeUuid } = member;
  const reasons = problemsOfMember(member);
  const known = current.members.find((other) => other.nodeId === nodeId);
  if (known === undefined) return [...reasons, `${nodeId} is not a member`];
  // Another store has not made the promises of this one: it is another node (H22).
  if (known.storeUuid !== null && storeUuid !== known.storeUuid) {
    reasons.push(
      `${nodeId} stays pinned to store ${known.storeUuid}; ` +
        `another store (${storeUuid ?? 'any'}) is another node and needs a new id`,
    );
  }
  return reasons;
}

/** What speaks against a step because of the others, and of what they all lead to. */
function reasonsTogether(
  current: Membership,
  steps: readonly MembershipStep[],
  step: MembershipStep,
  next: Membership,
): string[] {
  switch (step.kind) {
    case 'addLearner': {
      const additions = steps.filter(({ kind }) => kind === 'addLearner');
      const laterCount = additions.length - 1 - additions.indexOf(step);
      const memberCount = next.members.length - laterCount;
      const reasons = reasonsAgainstStore(next, step.member);
      if (memberCount > MEMBER_COUNT_MAX) {
        reasons.push(`it would be member ${memberCount} of at most ${MEMBER_COUNT_MAX}`);
      }
      return reasons;
    }
    case 'remove': {
      const removals = steps.filter(({ kind }) => kind === 'remove');
      const removedCount = current.removed.length + removals.indexOf(step) + 1;
      const reasons: string[] = [];
      if (removedCount > NODE_IDS_REMOVED_MAX) {
        reasons.push(
          `it would be removed node ${removedCount} of at most ${NODE_IDS_REMOVED_MAX}, ` +
            'and none is ever forgotten',
        );
      }
      if (next.voters.length === 0 && current.voters.includes(step.nodeId)) {
        reasons.push('no voter would be left');
      }
      return reasons;
    }
    case 'describe':
      return reasonsAgainstStore(next, step.member);
    case 'promote':
      return [];
    default:
      return unreachable(step);
  }
}

function reasonsAgainstStore(next: Membership, { nodeId, storeUuid }: Member): string[] {
  if (storeUuid === null) return [];
  const owner = next.members.find(
    (member) => member.storeUuid === storeUuid && member.nodeId !== nodeId,
  );
  return owner === undefined ? [] : [`store ${storeUuid} is that of ${owner.nodeId}`];
}

function changed(current: Membership, steps: readonly MembershipStep[]): Membership {
  const members = new Map(current.members.map((member) => [member.nodeId, member]));
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  const dropped: NodeId[] = [];
  for (const step of steps) {
    switch (step.kind) {
      case 'addLearner':
        members.set(step.member.nodeId, step.member);
        learners.add(step.member.nodeId);
        break;
      case 'promote':
        learners.delete(step.nodeId);
        voters.add(step.nodeId);
        break;
      case 'remove':
        if (voters.delete(step.nodeId)) break;
        learners.delete(step.nodeId);
        members.delete(step.nodeId);
        dropped.push(step.nodeId);
        break;
      case 'describe':
        members.set(step.member.nodeId, step.member);
        break;
      default:
        unreachable(step);
    }
  }
  const keepsVoters =
    voters.size === current.voters.length && current.voters.every((id) => voters.has(id));
  return {
    members: ascending(members.keys()).map((id) => members.get(id)!), // its own keys
    voters: ascending(voters),
    outgoing: keepsVoters ? [] : current.voters,
    learners: ascending(learners),
    removed: [...current.removed, ...ascending(dropped)],
  };
}

function problemOfMembers(members: readonly Member[]): string | null {
  if (members.length > MEMBER_COUNT_MAX) {
    return `it has ${members.length} members, at most ${MEMBER_COUNT_MAX}`;
  }
  const stores = new Set<string>();
  let previous: NodeId | null = null;
  for (const member of members) {
    const [problem] = problemsOfMember(member);
    const { nodeId, storeUuid } = member;
    if (problem !== undefined) return `member ${nodeId}: ${problem}`;
    if (previous !== null && nodeId <= previous) {
      return `member ${nodeId} comes after ${previous}, ids ascend`;
    }
    if (storeUuid !== null && stores.has(storeUuid)) {
      return `store ${storeUuid} is that of two members`;
    }
    if (storeUuid !== null) stores.add(storeUuid);
    previous = nodeId;
  }
  return null;
}

function problemOfSets({ members, voters, outgoing, learners }: Membership): string | null {
  if (voters.length === 0) return 'it has no voter';
  const described = new Set(members.map(({ nodeId }) => nodeId));
  for (const [name, ids] of Object.entries({ voters, outgoing, learners })) {
    const twice = repeatedIn(ids);
    if (twice !== null) return `${twice} is twice among the ${name}`;
    const stranger = ids.find((id) => !described.has(id));
    if (stranger !== undefined) return `${stranger} of the ${name} is not described`;
  }
  const deciding = new Set([...voters, ...outgoing]);
  const both = learners.find((id) => deciding.has(id));
  if (both !== undefined) return `${both} is a learner and a voter`;
  const idle = members.find(({ nodeId }) => !deciding.has(nodeId) && !learners.includes(nodeId));
  return idle === undefined ? null : `${idle.nodeId} is neither voter nor learner`;
}

function problemOfRemoved(membership: Membership): string | null {
  const { removed } = membership;
  const count = removed.length + leavingOf(membership).length;
  if (count > NODE_IDS_REMOVED_MAX) {
    return `it removes ${count} nodes, at most ${NODE_IDS_REMOVED_MAX}`;
  }
  const twice = repeatedIn(removed);
  if (twice !== null) return `${twice} is twice among the removed`;
  const unfit = removed.map((id) => problemOfText('removed node id', id)).find((it) => it !== null);
  if (unfit !== undefined) return unfit;
  const back = removed.find((id) => isMember(membership, id));
  return back === undefined ? null : `${back} was removed once, and is a member again`;
}

function problemsOfMember({ nodeId, raftAddress, storeUuid, priority }: Member): string[] {
  const problems = [
    problemOfText('node id', nodeId),
    problemOfText('address', raftAddress),
    storeUuid === null ? null : problemOfText('store id', storeUuid),
    Number.isSafeInteger(priority) ? null : `priority ${priority} is not a safe integer`,
  ];
  return problems.filter((problem) => problem !== null);
}

function problemOfText(name: string, text: string): string | null {
  if (text.length === 0) return `the ${name} is empty`;
  if (text.length <= MEMBER_TEXT_LENGTH_MAX) return null;
  return `the ${name} has ${text.length} characters, at most ${MEMBER_TEXT_LENGTH_MAX}`;
}

/** Voters that the change under way removes, in ascending order. */
function leavingOf({ voters, outgoing }: Membership): readonly NodeId[] {
  return ascending(outgoing.filter((id) => !voters.includes(id)));
}

function nodeIdOf(step: MembershipStep): NodeId {
  return step.kind === 'promote' || step.kind === 'remove' ? step.nodeId : step.member.nodeId;
}

function ascending(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : 1));
}

function repeatedIn(ids: readonly NodeId[]): NodeId | null {
  const seen = new Set<NodeId>();
  for (const id of ids) {
    if (seen.has(id)) return id;
    seen.add(id);
  }
  return null;
}

function isSameMember(a: Member, b: Member): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.storeUuid === b.storeUuid &&
    a.raftAddress === b.raftAddress &&
    a.priority === b.priority
  );
}

function isSameList<T>(a: readonly T[], b: readonly T[], isSame: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((item, i) => isSame(item, b[i]!)); // same length
}

function assertSound(membership: Membership): void {
  const problem = problemOf(membership);
  assert(problem === null, 'a change keeps a membership sound', () => ({ problem }));
}
