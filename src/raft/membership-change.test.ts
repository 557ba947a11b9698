import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { NodeId } from '../base/units.ts';
import {
  foundingMembership,
  isJoint,
  MEMBER_COUNT_MAX,
  type Member,
  type Membership,
  type MembershipStep,
  NODE_IDS_REMOVED_MAX,
} from './membership.ts';
import {
  applySteps,
  describesSame,
  leaveJoint,
  MEMBER_TEXT_LENGTH_MAX,
  problemOf,
} from './membership-change.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'].map(NodeId);
const [n1, n2, n3, n4, n5] = NODES as [NodeId, NodeId, NodeId, NodeId, NodeId];

function member(nodeId: NodeId, changes: Partial<Member> = {}): Member {
  return { nodeId, storeUuid: null, raftAddress: `${nodeId}:10912`, priority: 0, ...changes };
}

function groupOf(...ids: readonly NodeId[]): Membership {
  return foundingMembership(ids.map((id) => member(id)));
}

const add = (nodeId: NodeId, changes: Partial<Member> = {}): MembershipStep => ({
  kind: 'addLearner',
  member: member(nodeId, changes),
});
const describe = (nodeId: NodeId, changes: Partial<Member> = {}): MembershipStep => ({
  kind: 'describe',
  member: member(nodeId, changes),
});
const promote = (nodeId: NodeId): MembershipStep => ({ kind: 'promote', nodeId });
const remove = (nodeId: NodeId): MembershipStep => ({ kind: 'remove', nodeId });

/** The membership after a change that must be fine. */
function applied(current: Membership, ...steps: readonly MembershipStep[]): Membership {
  const outcome = applySteps(current, steps);
  if (outcome.kind === 'invalid') throw new Error(JSON.stringify(outcome.problems));
  return outcome.membership;
}

/** The same, after the joint phase if there is one. */
function settled(current: Membership, ...steps: readonly MembershipStep[]): Membership {
  const next = applied(current, ...steps);
  return isJoint(next) ? leaveJoint(next) : next;
}

function reasons(current: Membership, ...steps: readonly MembershipStep[]): readonly string[] {
  const outcome = applySteps(current, steps);
  if (outcome.kind === 'ok') return [];
  return outcome.problems.map((problem) => {
    ok(problem.kind === 'invalidStep');
    ok(steps.includes(problem.step));
    return problem.reason;
  });
}

// Single changes.

test('a learner joins, changes its description, and leaves without a joint phase', () => {
  const joined = applied(groupOf(n1, n3), add(n2, { priority: 3 }));
  deepEqual(joined, {
    members: [member(n1), member(n2, { priority: 3 }), member(n3)],
    voters: [n1, n3],
    outgoing: [],
    learners: [n2],
    removed: [],
  });
  const moved = applied(joined, describe(n2, { raftAddress: 'other:1', storeUuid: 's2' }));
  deepEqual(moved.members[1], member(n2, { raftAddress: 'other:1', storeUuid: 's2' }));
  deepEqual(applied(moved, remove(n2)), { ...groupOf(n1, n3), removed: [n2] });
});

test('a promotion is joint: the new set and the old one decide', () => {
  const before = applied(groupOf(n1, n3), add(n2));
  const joint = applied(before, promote(n2));
  deepEqual(joint, { ...before, voters: [n1, n2, n3], outgoing: [n1, n3], learners: [] });
  deepEqual(leaveJoint(joint), { ...before, voters: [n1, n2, n3], learners: [] });
});

test('a removed voter is described and decides until the joint phase is left', () => {
  const before = groupOf(n1, n2, n3);
  const joint = applied(before, remove(n1));
  deepEqual(joint, { ...before, voters: [n2, n3], outgoing: [n1, n2, n3] });
  deepEqual(leaveJoint(joint), { ...groupOf(n2, n3), removed: [n1] });
});

test('all voters are replaced in one change', () => {
  const before = applied(groupOf(n1, n2), add(n3), add(n4));
  const joint = applied(before, remove(n2), promote(n4), remove(n1), promote(n3));
  deepEqual(joint.voters, [n3, n4]);
  deepEqual(joint.outgoing, [n1, n2]);
  deepEqual(joint.removed, []);
  deepEqual(leaveJoint(joint), { ...groupOf(n3, n4), removed: [n1, n2] });
});

test('a learner removed beside a voter is gone at once, the voter later', () => {
  const before = applied(groupOf(n1, n2), add(n3));
  const joint = applied(before, remove(n3), remove(n2));
  deepEqual(joint.removed, [n3]);
  deepEqual(leaveJoint(joint).removed, [n3, n2]);
});

test('a description can change beside the set of voters', () => {
  const joint = applied(groupOf(n1, n2), remove(n1), describe(n2, { priority: 9 }));
  deepEqual(leaveJoint(joint).members, [member(n2, { priority: 9 })]);
});

test('a change changes neither the membership it begins with nor the steps', () => {
  const before = applied(groupOf(n1, n2), add(n3));
  const copy = structuredClone(before);
  settled(before, promote(n3), remove(n1), add(n4), describe(n2, { priority: 1 }));
  deepEqual(before, copy);
});

// Refusals.

const long = 'x'.repeat(MEMBER_TEXT_LENGTH_MAX + 1);
const pinned = applied(groupOf(n1, n2), describe(n1, { storeUuid: 's1' }), add(n3));

for (const { name, steps, want } of [
  {
    name: 'who is a member cannot join',
    steps: [add(n1)],
    want: ['n1 is a member already'],
  },
  { name: 'a voter cannot be promoted', steps: [promote(n1)], want: ['n1 is a voter already'] },
  { name: 'a stranger cannot be promoted', steps: [promote(n5)], want: ['n5 is not a member'] },
  { name: 'a stranger cannot be removed', steps: [remove(n5)], want: ['n5 is not a member'] },
  { name: 'a stranger cannot be described', steps: [describe(n5)], want: ['n5 is not a member'] },
  {
    name: 'who joins cannot be promoted in the same change',
    steps: [add(n5), promote(n5)],
    want: ['n5 is not a member', 'an earlier step of the change is about n5 already'],
  },
  {
    name: 'a node is in one step only',
    steps: [promote(n3), describe(n3)],
    want: ['an earlier step of the change is about n3 already'],
  },
  {
    name: 'the last voters cannot be removed',
    steps: [remove(n1), remove(n2), remove(n3)],
    want: ['no voter would be left', 'no voter would be left'],
  },
  {
    name: 'a store is not exchanged under the same node id',
    steps: [describe(n1, { storeUuid: 's9' })],
    want: ['n1 stays pinned to store s1; another store (s9) is another node and needs a new id'],
  },
  {
    name: 'a pinned store is not released',
    steps: [describe(n1)],
    want: ['n1 stays pinned to store s1; another store (any) is another node and needs a new id'],
  },
  {
    name: 'a store belongs to one node',
    steps: [add(n5, { storeUuid: 's1' }), describe(n2, { storeUuid: 's1' })],
    want: ['store s1 is that of n1', 'store s1 is that of n1'],
  },
  {
    name: 'two nodes of one change cannot share a store',
    steps: [add(n4, { storeUuid: 's4' }), add(n5, { storeUuid: 's4' })],
    want: ['store s4 is that of n5', 'store s4 is that of n4'],
  },
  {
    name: 'a member has an address, a store id and a priority within limits',
    steps: [
      add(n4, { raftAddress: '', storeUuid: '', priority: 0.5 }),
      describe(n2, { raftAddress: long, storeUuid: long, priority: Number.NaN }),
    ],
    want: [
      'the address is empty',
      'the store id is empty',
      'priority 0.5 is not a safe integer',
      'the address has 257 characters, at most 256',
      'the store id has 257 characters, at most 256',
      'priority NaN is not a safe integer',
    ],
  },
]) {
  test(name, () => {
    deepEqual(reasons(pinned, ...steps), want);
  });
}

test('the limits of a description are still inside', () => {
  const changes = {
    raftAddress: long.slice(1),
    storeUuid: long.slice(1),
    priority: -(2 ** 53) + 1,
  };
  deepEqual(applied(pinned, add(n5, changes)).members.at(-1), member(n5, changes));
});

test('a removed node id never comes back', () => {
  const after = settled(groupOf(n1, n2), remove(n2));
  deepEqual(reasons(after, add(n2)), ['n2 was removed once, and a node id is used only once']);
});

test('a store is free again when its node is gone, not while it still decides', () => {
  const before = applied(
    groupOf(n1, n2),
    describe(n2, { storeUuid: 's2' }),
    add(n3, { storeUuid: 's3' }),
  );
  deepEqual(reasons(before, remove(n3), add(n4, { storeUuid: 's3' })), []);
  deepEqual(reasons(before, remove(n2), add(n4, { storeUuid: 's2' })), ['store s2 is that of n2']);
});

test('every problem of every step is reported at once', () => {
  deepEqual(reasons(pinned, add(n1, { raftAddress: '' }), remove(n5), remove(n1), remove(n2)), [
    'the address is empty',
    'n1 is a member already',
    'n5 is not a member',
    'an earlier step of the change is about n1 already',
  ]);
});

test('a change of no steps is refused', () => {
  deepEqual(applySteps(pinned, []), { kind: 'invalid', problems: [{ kind: 'noSteps' }] });
});

function numbered(prefix: string, count: number): readonly NodeId[] {
  return Array.from({ length: count }, (_, i) => NodeId(`${prefix}${i}`));
}

test('a group grows to its limit and not beyond, the leaving included', () => {
  const before = groupOf(...numbered('m', MEMBER_COUNT_MAX - 1));
  const [a, b, c] = numbered('x', 3) as [NodeId, NodeId, NodeId];
  equal(applied(before, add(a)).members.length, MEMBER_COUNT_MAX);
  deepEqual(reasons(before, remove(NodeId('m0')), add(a), add(b), add(c)), [
    'it would be member 33 of at most 32',
    'it would be member 34 of at most 32',
  ]);
  const full = applied(before, add(a));
  equal(applied(full, remove(a), add(b)).members.length, MEMBER_COUNT_MAX);
});

test('when all places for removed ids are taken nobody is removed any more', () => {
  const removed = numbered('r', NODE_IDS_REMOVED_MAX - 1);
  const before = applied({ ...groupOf(n1, n2, n3), removed }, add(n4));
  equal(settled(before, remove(n1)).removed.length, NODE_IDS_REMOVED_MAX);
  equal(settled(before, remove(n4)).removed.length, NODE_IDS_REMOVED_MAX);
  const want = ['it would be removed node 257 of at most 256, and none is ever forgotten'];
  deepEqual(reasons(before, remove(n1), remove(n4)), want);
  deepEqual(reasons(settled(before, remove(n1)), remove(n4)), want);
});

test('a second change in a joint phase, and leaving no joint phase, are bugs', () => {
  const joint = applied(groupOf(n1, n2), remove(n1));
  throws(() => applySteps(joint, [add(n3)]), InvariantError);
  throws(() => leaveJoint(groupOf(n1)), InvariantError);
});

// Soundness of what comes from outside.

const base = applied(groupOf(n1, n2), add(n3, { storeUuid: 's3' }));
const tombstones = numbered('r', NODE_IDS_REMOVED_MAX);

for (const { flaw, broken, want } of [
  { flaw: 'no voter', broken: { voters: [] }, want: 'it has no voter' },
  {
    flaw: 'a voter twice',
    broken: { voters: [n1, n2, n1] },
    want: 'n1 is twice among the voters',
  },
  {
    flaw: 'an old voter twice',
    broken: { outgoing: [n1, n1] },
    want: 'n1 is twice among the outgoing',
  },
  {
    flaw: 'a learner twice',
    broken: { learners: [n3, n3] },
    want: 'n3 is twice among the learners',
  },
  {
    flaw: 'a voter without description',
    broken: { voters: [n1, n2, n4] },
    want: 'n4 of the voters is not described',
  },
  {
    flaw: 'an old voter without description',
    broken: { outgoing: [n4] },
    want: 'n4 of the outgoing is not described',
  },
  {
    flaw: 'a learner without description',
    broken: { learners: [n3, n4] },
    want: 'n4 of the learners is not described',
  },
  {
    flaw: 'a learner that votes',
    broken: { voters: [n1, n2, n3] },
    want: 'n3 is a learner and a voter',
  },
  {
    flaw: 'a learner that voted',
    broken: { outgoing: [n1, n3] },
    want: 'n3 is a learner and a voter',
  },
  {
    flaw: 'a member without a role',
    broken: { learners: [] },
    want: 'n3 is neither voter nor learner',
  },
  {
    flaw: 'a removed node that is back',
    broken: { removed: [n4, n1] },
    want: 'n1 was removed once, and is a member again',
  },
  {
    flaw: 'a removed node twice',
    broken: { removed: [n4, n4] },
    want: 'n4 is twice among the removed',
  },
  {
    flaw: 'a removed node without name',
    broken: { removed: ['' as NodeId] },
    want: 'the removed node id is empty',
  },
  {
    flaw: 'too many removed nodes',
    broken: { removed: [...tombstones, n4] },
    want: 'it removes 257 nodes, at most 256',
  },
  {
    flaw: 'a leaving voter too many for the places of removed ids',
    broken: { voters: [n1], outgoing: [n1, n2], removed: tombstones },
    want: 'it removes 257 nodes, at most 256',
  },
  {
    flaw: 'members in disorder',
    broken: { members: base.members.toReversed() },
    want: 'member n2 comes after n3, ids ascend',
  },
  {
    flaw: 'a member twice',
    broken: { members: [member(n1), member(n1), ...base.members.slice(1)] },
    want: 'member n1 comes after n1, ids ascend',
  },
  {
    flaw: 'a store of two members',
    broken: { members: [member(n1, { storeUuid: 's3' }), ...base.members.slice(1)] },
    want: 'store s3 is that of two members',
  },
  {
    flaw: 'a member without address',
    broken: { members: [member(n1, { raftAddress: '' }), ...base.members.slice(1)] },
    want: 'member n1: the address is empty',
  },
  {
    flaw: 'a priority that is no integer',
    broken: { members: [member(n1, { priority: 2 ** 53 }), ...base.members.slice(1)] },
    want: 'member n1: priority 9007199254740992 is not a safe integer',
  },
  {
    flaw: 'too many members',
    broken: groupOf(...numbered('m', MEMBER_COUNT_MAX + 1)),
    want: 'it has 33 members, at most 32',
  },
] satisfies { flaw: string; broken: Partial<Membership>; want: string }[]) {
  test(`problemOf() sees ${flaw}`, () => {
    equal(problemOf(base), null);
    equal(problemOf({ ...base, ...broken }), want);
  });
}

test('problemOf() accepts a full list of removed nodes when nobody leaves', () => {
  equal(problemOf({ ...base, removed: tombstones }), null);
  equal(problemOf({ ...base, outgoing: [n1], removed: tombstones }), null);
});

test('describesSame() sees every difference and is blind to identity', () => {
  const joint = applied(base, remove(n1), describe(n2, { priority: 4 }));
  equal(describesSame(joint, structuredClone(joint)), true);
  const [first, ...others] = joint.members;
  const different: Partial<Membership>[] = [
    { voters: [n1] },
    { voters: [] },
    { outgoing: [n1] },
    { learners: [n1] },
    { removed: [n5] },
    { members: others },
    ...[{ nodeId: n5 }, { storeUuid: 's1' }, { raftAddress: 'a:1' }, { priority: 1 }].map(
      (changes) => ({ members: [{ ...first!, ...changes }, ...others] }), // not empty
    ),
  ];
  for (const change of different) {
    equal(describesSame(joint, { ...joint, ...change }), false, JSON.stringify(change));
    equal(describesSame({ ...joint, ...change }, joint), false, JSON.stringify(change));
  }
});
