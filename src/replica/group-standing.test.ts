import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { NodeId } from '../base/units.ts';
import { foundingMembership, type Membership } from '../raft/membership.ts';
import { GroupStanding, isRefusedByMost } from './group-standing.ts';
import { REFUSED_BY_GROUP_MS } from './limits.ts';

const n = (number: number) => NodeId(`n${number}`);
const groupOf = (...numbers: readonly number[]): Membership =>
  foundingMembership(numbers.map((number) => ({ nodeId: n(number), raftAddress: 'a:1' })));

const rows: readonly {
  readonly members: readonly number[];
  readonly refusing: Readonly<Record<string, string>>;
  readonly isRefused: boolean;
}[] = [
  { members: [1, 2, 3], refusing: {}, isRefused: false },
  { members: [1, 2, 3], refusing: { n2: 'olderStore' }, isRefused: false },
  { members: [1, 2, 3], refusing: { n2: 'olderStore', n3: 'otherStore' }, isRefused: true },
  { members: [1, 2, 3], refusing: { n2: 'olderStore', n3: 'protocolVersion' }, isRefused: false },
  { members: [1, 2, 3], refusing: { n2: 'strangerNode', n3: 'wrongNode' }, isRefused: false },
  { members: [2, 3], refusing: { n2: 'removedNode', n3: 'removedNode' }, isRefused: true },
  { members: [1, 2], refusing: { n2: 'otherStore' }, isRefused: false },
  { members: [2], refusing: { n2: 'removedNode' }, isRefused: false },
  { members: [1, 2, 3, 4, 5], refusing: { n2: 'otherStore', n3: 'otherStore' }, isRefused: false },
  {
    members: [1, 2, 3, 4, 5],
    refusing: { n2: 'otherStore', n3: 'otherStore', n4: 'otherStore' },
    isRefused: true,
  },
];

for (const { members, refusing, isRefused } of rows) {
  test(`n1 in a group of ${members.join()}, refused by ${JSON.stringify(refusing)}: ${isRefused}`, () => {
    const refusedBy = Object.entries(refusing).map(([id, code]) => ({
      ...{ nodeId: NodeId(id), code, sentence: '' },
    }));
    assert.equal(isRefusedByMost(groupOf(...members), refusedBy), isRefused);
  });
}

test('it is said at once, and ends the node when it lasts, unless somebody welcomes it', () => {
  let nowMs = 0;
  const told: string[] = [];
  const refusals = new Map<NodeId, string>();
  const standing = new GroupStanding({
    self: n(1),
    linkOf: (peer) => {
      const code = refusals.get(peer);
      const refusal = code === undefined ? null : { code, sentence: `no, says ${peer}` };
      return { connected: false, addresses: null, storeUuid: null, refusal };
    },
    nowMs: () => nowMs,
    onRefused: (refusedBy) => told.push(refusedBy.map(({ nodeId }) => nodeId).join()),
  });
  const check = () => standing.check(groupOf(1, 2, 3));
  refusals.set(n(2), 'olderStore');
  check();
  assert.deepEqual(told, []);
  refusals.set(n(3), 'olderStore');
  check();
  nowMs += REFUSED_BY_GROUP_MS - 1;
  check();
  assert.deepEqual(told, ['n2,n3']);
  refusals.delete(n(3));
  check();
  nowMs += REFUSED_BY_GROUP_MS;
  refusals.set(n(3), 'otherStore');
  check();
  assert.deepEqual(told, ['n2,n3', 'n2,n3']);
  nowMs += REFUSED_BY_GROUP_MS;
  assert.throws(check, (error) => {
    assert.ok(error instanceof FatalError);
    assert.equal(error.reason, 'refusedByGroup');
    assert.match(error.message, /as node n1: 2 of 3 members refuse it.*a new id.*no, says n2/);
    return true;
  });
});
