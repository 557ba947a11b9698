import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { NodeId } from '../base/units.ts';
import {
  foundingMembership,
  isJoint,
  type Member,
  type Membership,
  type MembershipStep,
} from './membership.ts';
import { applySteps, describesSame, leaveJoint, problemOf } from './membership-change.ts';
import { holdsMajority } from './quorum.ts';
import { standardRules } from './rules.ts';

const NODES = Array.from({ length: 16 }, (_, i) => NodeId(`n${i}`));

function member(nodeId: NodeId, changes: Partial<Member> = {}): Member {
  return { nodeId, storeUuid: null, raftAddress: `${nodeId}:10912`, priority: 0, ...changes };
}

const add = (nodeId: NodeId): MembershipStep => ({ kind: 'addLearner', member: member(nodeId) });
const promote = (nodeId: NodeId): MembershipStep => ({ kind: 'promote', nodeId });
const remove = (nodeId: NodeId): MembershipStep => ({ kind: 'remove', nodeId });

/** The membership after a change that must be fine, and after its joint phase if there is one. */
function settled(current: Membership, ...steps: readonly MembershipStep[]): Membership {
  const outcome = applySteps(current, steps);
  if (outcome.kind === 'invalid') throw new Error(JSON.stringify(outcome.problems));
  return isJoint(outcome.membership) ? leaveJoint(outcome.membership) : outcome.membership;
}

/** A step before it is known whom it suits. Most pick a node that fits, the wild ones any node. */
interface Wish {
  readonly kind: MembershipStep['kind'];
  readonly isWild: boolean;
  readonly pick: number;
  readonly details: Partial<Member>;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom('addLearner', 'promote', 'remove', 'describe'),
  isWild: fc.constantFrom(false, false, false, false, false, false, true),
  pick: fc.nat(1000),
  details: fc.constantFrom<Partial<Member>>(
    {},
    {},
    {},
    { storeUuid: 's1' },
    { storeUuid: 's2', priority: 2 },
    { storeUuid: 's3' },
    { raftAddress: 'elsewhere:1' },
    { raftAddress: '' },
  ),
});

function fitting(membership: Membership, kind: Wish['kind']): readonly NodeId[] {
  const known = membership.members.map(({ nodeId }) => nodeId);
  if (kind === 'promote') return membership.learners;
  if (kind !== 'addLearner') return known;
  return NODES.filter((id) => !known.includes(id) && !membership.removed.includes(id));
}

function stepOf(membership: Membership, { kind, isWild, pick, details }: Wish): MembershipStep {
  const fit = fitting(membership, kind);
  const candidates = isWild || fit.length === 0 ? NODES : fit;
  const nodeId = candidates[pick % candidates.length]!; // not empty
  if (kind === 'promote' || kind === 'remove') return { kind, nodeId };
  const pinned = membership.members.find((one) => one.nodeId === nodeId)?.storeUuid ?? null;
  const kept = isWild ? {} : { storeUuid: pinned ?? details.storeUuid ?? null };
  return { kind, member: member(nodeId, { ...details, ...kept }) };
}

const history = fc.record({
  founders: fc.uniqueArray(fc.constantFrom(...NODES), { minLength: 1, maxLength: 4 }),
  changes: fc.array(fc.array(wish, { minLength: 1, maxLength: 3 }), { maxLength: 25, size: 'max' }),
});
type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

/** Goes through all changes; those that are refused change nothing. Sees each with what was before. */
function live(
  { founders, changes }: History,
  onChange: (
    before: Membership,
    steps: readonly MembershipStep[],
    after: Membership | null,
  ) => void,
): Membership {
  let membership = foundingMembership(founders.map((id) => member(id)));
  for (const wishes of changes) {
    const steps = wishes.map((one) => stepOf(membership, one));
    const outcome = applySteps(membership, steps);
    onChange(membership, steps, outcome.kind === 'ok' ? outcome.membership : null);
    if (outcome.kind === 'invalid') continue;
    membership = isJoint(outcome.membership) ? leaveJoint(outcome.membership) : outcome.membership;
  }
  return membership;
}

/** The rules once more, one step after the other, on a table of nodes. */
function isAllowed(before: Membership, steps: readonly MembershipStep[]): boolean {
  const roles = new Map<NodeId, 'voter' | 'learner' | 'leaving' | 'gone'>();
  for (const id of before.voters) roles.set(id, 'voter');
  for (const id of before.learners) roles.set(id, 'learner');
  for (const id of before.removed) roles.set(id, 'gone');
  const stores = new Map(before.members.map(({ nodeId, storeUuid }) => [nodeId, storeUuid]));
  const touched: NodeId[] = [];
  for (const step of steps) {
    const id = 'member' in step ? step.member.nodeId : step.nodeId;
    touched.push(id);
    const role = roles.get(id);
    if ('member' in step) {
      if (step.member.raftAddress === '') return false;
      if (
        step.kind === 'addLearner' ? role !== undefined : role !== 'voter' && role !== 'learner'
      ) {
        return false;
      }
      const old = stores.get(id) ?? null;
      if (old !== null && old !== step.member.storeUuid) return false;
      stores.set(id, step.member.storeUuid);
      if (step.kind === 'addLearner') roles.set(id, 'learner');
    } else if (step.kind === 'promote') {
      if (role !== 'learner') return false;
      roles.set(id, 'voter');
    } else {
      if (role !== 'voter' && role !== 'learner') return false;
      roles.set(id, role === 'voter' ? 'leaving' : 'gone');
      if (role === 'learner') stores.delete(id);
    }
  }
  const pins = [...stores.values()].filter((uuid) => uuid !== null);
  return (
    new Set(touched).size === touched.length &&
    new Set(pins).size === pins.length &&
    [...roles.values()].includes('voter')
  );
}

test('whatever is asked, nothing throws and every membership on the way is sound', () => {
  fc.assert(
    fc.property(history, (life) => {
      const last = live(life, (before, _steps, after) => {
        equal(problemOf(before), null);
        if (after !== null) equal(problemOf(after), null);
      });
      equal(problemOf(last), null);
    }),
  );
});

test('a change is accepted exactly when the rules allow it step by step', () => {
  let acceptedCount = 0;
  let refusedCount = 0;
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, steps, after) => {
        equal(after !== null, isAllowed(before, steps));
        if (after === null) refusedCount += 1;
        else acceptedCount += 1;
      });
    }),
  );
  ok(
    acceptedCount > 100 && refusedCount > 100,
    `${acceptedCount} accepted, ${refusedCount} refused`,
  );
});

test('a change of the voters is joint, any other is not', () => {
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, _steps, after) => {
        if (after === null) return;
        const hasSameVoters = before.voters.join() === after.voters.join();
        deepEqual(after.outgoing, hasSameVoters ? [] : before.voters);
      });
    }),
  );
});

test('after a change exactly the removed are gone, and they stay gone for ever', () => {
  fc.assert(
    fc.property(history, (life) => {
      const everRemoved: NodeId[] = [];
      const last = live(life, (before, steps, after) => {
        deepEqual(before.removed.toSorted(), everRemoved.toSorted());
        if (after === null) return;
        const leaving = steps.flatMap((step) => (step.kind === 'remove' ? [step.nodeId] : []));
        const joining = steps.flatMap((step) => ('member' in step ? [step.member.nodeId] : []));
        const next = isJoint(after) ? leaveJoint(after) : after;
        const want = new Set([...before.members.map(({ nodeId }) => nodeId), ...joining]);
        for (const id of leaving) want.delete(id);
        deepEqual(
          next.members.map(({ nodeId }) => nodeId),
          [...want].sort(),
        );
        deepEqual(next.removed.slice(0, before.removed.length), before.removed, 'oldest first');
        everRemoved.push(...leaving);
      });
      deepEqual(last.removed.toSorted(), everRemoved.toSorted());
    }),
  );
});

/** Learners out, then in and described, then promoted, voters out last: possible one by one. */
function rank(before: Membership, step: MembershipStep): number {
  if (step.kind === 'promote') return 2;
  if (step.kind !== 'remove') return 1;
  return before.learners.includes(step.nodeId) ? 0 : 3;
}

test('one change of many steps leads where many changes of one step lead', () => {
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, steps, after) => {
        if (after === null) return;
        const atOnce = isJoint(after) ? leaveJoint(after) : after;
        let membership = before;
        for (const step of steps.toSorted((a, b) => rank(before, a) - rank(before, b))) {
          membership = settled(membership, step);
        }
        deepEqual(
          { ...membership, removed: membership.removed.toSorted() },
          { ...atOnce, removed: atOnce.removed.toSorted() },
        );
      });
    }),
  );
});

test('the order of the steps of a change does not matter', () => {
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, steps, after) => {
        const turned = applySteps(before, steps.toReversed());
        equal(turned.kind === 'ok', after !== null);
        if (after === null || turned.kind === 'invalid') return;
        equal(describesSame(turned.membership, after), true);
      });
    }),
  );
});

test('a refusal gives a reason for every problem and names the step of the change', () => {
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, steps) => {
        const outcome = applySteps(before, steps);
        if (outcome.kind === 'ok') return;
        ok(outcome.problems.length > 0);
        for (const problem of outcome.problems) {
          ok(problem.kind === 'invalidStep');
          ok(steps.includes(problem.step));
          ok(problem.reason.length > 0);
        }
      });
    }),
  );
});

test('who joins and leaves again leaves nothing behind but its id', () => {
  fc.assert(
    fc.property(history, (life) => {
      const before = live(life, () => {});
      const guest = NodeId('guest');
      const asLearner = settled(settled(before, add(guest)), remove(guest));
      const asVoter = settled(settled(settled(before, add(guest)), promote(guest)), remove(guest));
      const want = { ...before, removed: [...before.removed, guest] };
      deepEqual(asLearner, want);
      deepEqual(asVoter, want);
    }),
  );
});

test('a membership survives being written and read, and describesSame() is deep equality', () => {
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, _steps, after) => {
        if (after === null) return;
        const copy: Membership = JSON.parse(JSON.stringify(after));
        equal(describesSame(copy, after), true);
        equal(describesSame(before, after), isDeepStrictEqual(before, after));
      });
    }),
  );
});

test('before, during and after a change no two quorums miss each other (G2)', () => {
  const decides = (membership: Membership, has: (id: NodeId) => boolean): boolean =>
    holdsMajority(standardRules.decidingSets(membership), has);
  const canMiss = (a: Membership, b: Membership): boolean => {
    const deciding = [
      ...new Set([a, b].flatMap(({ voters, outgoing }) => [...voters, ...outgoing])),
    ];
    for (let bits = 0; bits < 2 ** deciding.length; bits++) {
      const isInGroup = (id: NodeId): boolean =>
        Math.floor(bits / 2 ** deciding.indexOf(id)) % 2 === 1;
      if (decides(a, isInGroup) && decides(b, (id) => !isInGroup(id))) return true;
    }
    return false;
  };
  fc.assert(
    fc.property(history, (life) => {
      live(life, (before, _steps, after) => {
        if (after === null) return;
        equal(canMiss(before, after), false);
        if (isJoint(after)) equal(canMiss(after, leaveJoint(after)), false);
      });
    }),
    { numRuns: 30 },
  );
});
