/** What lies between two memberships that follow each other in a log. */
import type { NodeId } from '../../src/base/units.ts';
import { isJoint, type Member, type Membership } from '../../src/raft/membership.ts';

export type ConfigStep =
  | { readonly kind: 'founding' }
  /** Stores of members that had none. */
  | { readonly kind: 'pin'; readonly pins: readonly Pin[] }
  | { readonly kind: 'addLearner'; readonly nodeId: NodeId }
  | { readonly kind: 'dropLearners'; readonly leaves: readonly NodeId[] }
  /** Both sets decide from here on. */
  | {
      readonly kind: 'voters';
      readonly joins: readonly NodeId[];
      readonly leaves: readonly NodeId[];
    }
  | { readonly kind: 'leaveJoint' }
  | { readonly kind: 'illegal'; readonly why: string };

interface Pin {
  readonly nodeId: NodeId;
  readonly storeUuid: string;
}

export function stepBetween(before: Membership, after: Membership): ConfigStep {
  const came = minus(idsOf(after), idsOf(before));
  const went = minus(idsOf(before), idsOf(after));
  const changed = describedAnew(before, after);
  if (isJoint(before)) return endOfJoint(before, after);
  if (isJoint(after)) {
    if (came.length > 0 || changed.length > 0) {
      return illegal('members come or change while voters do');
    }
    if (after.outgoing.join() !== before.voters.join()) return illegal('another set goes');
    const joins = minus(after.voters, before.voters);
    const leaves = minus(before.voters, after.voters);
    if (minus(joins, before.learners).length > 0) return illegal('who was no learner votes');
    // Learners that leave in the same change are gone at once.
    if (minus(went, before.learners).length > 0) return illegal('a voter goes at once');
    const isWhole = minus(before.learners, [...joins, ...went]).join() === after.learners.join();
    if (!isWhole || !sameRemoved(before, after, went)) return illegal('learners or removed differ');
    return { kind: 'voters', joins, leaves: [...leaves, ...went] };
  }
  if (after.voters.join() !== before.voters.join()) return illegal('voters change at once');
  const [first] = came.length > 0 ? came : went;
  if (first === undefined) {
    const pins = changed.flatMap(({ nodeId, storeUuid }): Pin[] =>
      storeUuid === null ? [] : [{ nodeId, storeUuid }],
    );
    const isAllPins = pins.length === changed.length && pins.length > 0;
    return isAllPins && sameRemoved(before, after, []) ? { kind: 'pin', pins } : illegal('no step');
  }
  if (changed.length > 0) return illegal('members come, go and change at once');
  if (came.length > 0) {
    if (came.length + went.length > 1) return illegal('several steps at once');
    const isLearner = after.learners.includes(first) && sameRemoved(before, after, []);
    return isLearner ? { kind: 'addLearner', nodeId: first } : illegal('it comes as no learner');
  }
  const areDropped = minus(went, before.learners).length === 0 && sameRemoved(before, after, went);
  return areDropped ? { kind: 'dropLearners', leaves: went } : illegal('a voter goes at once');
}

function endOfJoint(before: Membership, after: Membership): ConfigStep {
  const leaving = minus(before.outgoing, before.voters);
  const isEnd =
    !isJoint(after) &&
    after.voters.join() === before.voters.join() &&
    after.learners.join() === before.learners.join() &&
    idsOf(after).join() === minus(idsOf(before), leaving).join() &&
    describedAnew(before, after).length === 0 &&
    sameRemoved(before, after, leaving);
  return isEnd ? { kind: 'leaveJoint' } : illegal('a joint phase ends in its new set only');
}

/** Members of both that are described in another way. */
function describedAnew(before: Membership, after: Membership): readonly Member[] {
  return after.members.filter((member) => {
    const known = before.members.find(({ nodeId }) => nodeId === member.nodeId);
    return known !== undefined && !isSame(known, member);
  });
}

function isSame(a: Member, b: Member): boolean {
  return (
    a.storeUuid === b.storeUuid && a.raftAddress === b.raftAddress && a.priority === b.priority
  );
}

/** None is ever forgotten, and they stand in the order in which they left. */
function sameRemoved(before: Membership, after: Membership, gone: readonly NodeId[]): boolean {
  return [...before.removed, ...gone].join() === after.removed.join();
}

function idsOf({ members }: Membership): readonly NodeId[] {
  return members.map(({ nodeId }) => nodeId);
}

function minus(some: readonly NodeId[], others: readonly NodeId[]): readonly NodeId[] {
  return some.filter((id) => !others.includes(id));
}

function illegal(why: string): ConfigStep {
  return { kind: 'illegal', why };
}
