import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { CoreStatus } from '../raft/core-types.ts';
import { type ChangeProblem, foundingMembership, type MembershipStep } from '../raft/membership.ts';
import { PIN_RETRY_TICKS } from './limits.ts';
import type { ChangeOutcome } from './replica.ts';
import { StorePins } from './store-pins.ts';

const n = (number: number) => NodeId(`n${number}`);
const founders = foundingMembership(
  [1, 2, 3].map((i) => ({ nodeId: n(i), raftAddress: `a:${i}` })),
);

const leading: CoreStatus = {
  ...{ self: n(1), role: 'leader', term: Term(2), votedFor: n(1), leader: n(1) },
  ...{ baseIndex: LogIndex(0), lastIndex: LogIndex(1), lastTerm: Term(2) },
  ...{ durableIndex: LogIndex(1), commitIndex: LogIndex(1), appliedIndex: LogIndex(1) },
  ...{ endOffset: PhysicalOffset(0), membership: { index: LogIndex(0), membership: founders } },
  ...{ transferTo: null, isDiskStalled: false, peers: [] },
};

function openPins() {
  const met = new Set([n(2), n(3)]);
  const asked: string[] = [];
  const given: (readonly ChangeProblem[])[] = [];
  let answer: (outcome: ChangeOutcome) => void = () => {};
  const pins = new StorePins({
    ...{ self: n(1), storeUuid: 'store-n1' },
    linkOf: (peer) => ({
      connected: met.has(peer),
      ...{ addresses: null, storeUuid: `store-${peer}`, refusal: null },
    }),
    change: (steps, index) => {
      asked.push(`${index}: ${steps.map(nameOf).join()}`);
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
    onRefused: (problems) => given.push(problems),
  });
  const ticks = (count: number, status = leading) => {
    for (let i = 0; i < count; i++) pins.onTick(status);
  };
  const answered = async (outcome: ChangeOutcome) => {
    answer(outcome);
    await Promise.resolve();
  };
  return { met, asked, given, ticks, answered };
}

const nameOf = (step: MembershipStep) =>
  step.kind === 'describe' ? `${step.member.nodeId}=${step.member.storeUuid}` : step.kind;
const ALL = '0: n1=store-n1,n2=store-n2,n3=store-n3';

test('a leader that has met everybody asks once for all stores', async () => {
  const { asked, ticks, answered } = openPins();
  ticks(3);
  assert.deepEqual(asked, [ALL]);
  await answered({ kind: 'accepted', index: LogIndex(2), term: Term(2) });
  const members = founders.members.map((each) => ({ ...each, storeUuid: `store-${each.nodeId}` }));
  const membership = { index: LogIndex(2), membership: { ...founders, members } };
  ticks(100, { ...leading, membership, commitIndex: LogIndex(2) });
  assert.deepEqual(asked, [ALL]);
});

test('only who is not pinned yet is, when a learner came later', () => {
  const { met, asked, ticks } = openPins();
  const members = founders.members.map((each) =>
    each.nodeId === n(3) ? each : { ...each, storeUuid: 'known' },
  );
  const membership = { index: LogIndex(5), membership: { ...founders, members } };
  met.delete(n(3));
  ticks(1, { ...leading, membership, commitIndex: LogIndex(5) });
  assert.deepEqual(asked, []);
  met.add(n(3));
  ticks(1, { ...leading, membership, commitIndex: LogIndex(5) });
  assert.deepEqual(asked, ['5: n3=store-n3']);
});

const joint = { ...founders, outgoing: [n(1)] };
const waits: readonly (readonly [string, Partial<CoreStatus>])[] = [
  ['a change is not committed', { membership: { index: LogIndex(2), membership: founders } }],
  ['a change is joint', { membership: { index: LogIndex(1), membership: joint } }],
  ['leadership is being handed over', { transferTo: n(2) }],
];
for (const [why, part] of waits) {
  test(`nothing is asked while ${why}`, () => {
    const { asked, ticks } = openPins();
    ticks(1, { ...leading, ...part });
    assert.deepEqual(asked, []);
    ticks(1);
    assert.deepEqual(asked, [ALL]);
  });
}

test('nothing is asked while somebody is away', () => {
  const { met, asked, ticks } = openPins();
  met.delete(n(2));
  ticks(1);
  assert.deepEqual(asked, []);
});

test('what was only in the way is asked again after a pause', async () => {
  const { asked, given, ticks, answered } = openPins();
  ticks(1);
  await answered({ kind: 'refused', problems: [{ kind: 'noRoom' }] });
  ticks(PIN_RETRY_TICKS);
  assert.equal(asked.length, 1);
  ticks(1);
  assert.equal(asked.length, 2);
  assert.deepEqual(given, []);
});

test('what makes no sense is not asked again for this membership in this term', async () => {
  const { asked, given, ticks, answered } = openPins();
  ticks(1);
  const step: MembershipStep = { kind: 'promote', nodeId: n(2) };
  const problems = [{ kind: 'invalidStep', step, reason: 'of a test' }] as const;
  await answered({ kind: 'refused', problems });
  ticks(1_000);
  assert.equal(asked.length, 1);
  assert.deepEqual(given, [problems]);
  ticks(1, { ...leading, term: Term(3) });
  assert.equal(asked.length, 2);
});
