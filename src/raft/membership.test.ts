import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../base/units.ts';
import { foundingMembership, isJoint, isMember, isVoter, type Membership } from './membership.ts';
import { problemOf } from './membership-change.ts';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'].map(NodeId) as [NodeId, NodeId, NodeId, NodeId];
const at = (nodeId: NodeId): { nodeId: NodeId; raftAddress: string } => ({
  nodeId,
  raftAddress: `${nodeId}:10912`,
});

test('a group is founded by voters alone, in the order of their ids, with no store pinned', () => {
  const membership = foundingMembership([at(n2), at(n1)]);
  deepEqual(membership, {
    members: [
      { nodeId: n1, raftAddress: 'n1:10912', storeUuid: null, priority: 0 },
      { nodeId: n2, raftAddress: 'n2:10912', storeUuid: null, priority: 0 },
    ],
    voters: [n1, n2],
    outgoing: [],
    learners: [],
    removed: [],
  });
  equal(problemOf(membership), null);
});

test('founders given in any order found the same group', () => {
  const founders = [at(n3), at(n1), at(n2)];
  deepEqual(foundingMembership(founders), foundingMembership(founders.toReversed()));
});

test('a group cannot be founded by nobody, or twice by the same node', () => {
  equal(problemOf(foundingMembership([])), 'it has no voter');
  equal(problemOf(foundingMembership([at(n1), at(n1)])), 'member n1 comes after n1, ids ascend');
});

test('while a change is joint the voters of both sets decide, learners and strangers do not', () => {
  const joint: Membership = {
    ...foundingMembership([at(n1), at(n2), at(n3)]),
    voters: [n2],
    outgoing: [n1],
    learners: [n3],
  };
  equal(problemOf(joint), null);
  equal(isJoint(joint), true);
  deepEqual(
    [n1, n2, n3, n4].map((id) => isVoter(joint, id)),
    [true, true, false, false],
  );
  deepEqual(
    [n1, n2, n3, n4].map((id) => isMember(joint, id)),
    [true, true, true, false],
  );
  equal(isJoint({ ...joint, outgoing: [] }), false);
});
