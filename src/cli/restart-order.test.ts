import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeId } from '../base/units.ts';
import { aMembersReport } from './memory-group.ts';
import { missingWithout, nextToRestart } from './restart-order.ts';

const IDS = ['n1', 'n2', 'n3'].map(NodeId);
const SINCE_MS = 1_000;
const group = fc.record({
  leader: fc.constantFrom(null, ...IDS),
  drained: fc.subarray(IDS),
  started: fc.tuple(...IDS.map(() => fc.option(fc.nat(2_000)))),
});

function next({
  leader,
  drained,
  started,
}: typeof group extends fc.Arbitrary<infer T> ? T : never): NodeId | null {
  const all = aMembersReport({ leader });
  const members = all.members.map((member) => ({
    ...member,
    isDrained: drained.includes(member.nodeId),
  }));
  const startedAt = (nodeId: NodeId) => started[IDS.indexOf(nodeId)] ?? null;
  return nextToRestart({ ...all, members }, startedAt, SINCE_MS);
}

test('whoever restarts and undrains what it is told comes to an end, each node once, the leader last', () => {
  fc.assert(
    fc.property(group, (before) => {
      let now = before;
      const order: NodeId[] = [];
      for (let nodeId = next(now); nodeId !== null; nodeId = next(now)) {
        ok(order.length < IDS.length, 'no node is named twice');
        ok(!order.includes(nodeId));
        order.push(nodeId);
        const at = IDS.indexOf(nodeId);
        const started = now.started.with(at, SINCE_MS) as typeof before.started;
        now = { ...now, started, drained: now.drained.filter((id) => id !== nodeId) };
      }
      const isDone = (id: NodeId) => (before.started[IDS.indexOf(id)] ?? -1) >= SINCE_MS;
      const due = IDS.filter((id) => !isDone(id) || before.drained.includes(id));
      deepEqual(order.toSorted(), due);
      const halfDone = due.filter((id) => before.drained.includes(id));
      deepEqual(order.slice(0, halfDone.length), halfDone);
      const { leader } = before;
      if (leader !== null && due.includes(leader) && !halfDone.includes(leader))
        equal(order.at(-1), leader);
    }),
  );
});

test('a voter may be away exactly when a majority is live without it', () => {
  fc.assert(
    fc.property(fc.subarray(IDS), fc.constantFrom(...IDS), (live, away) => {
      const all = aMembersReport();
      const members = all.members.map((member) => ({
        ...member,
        isLive: live.includes(member.nodeId),
      }));
      const mayGo = live.filter((id) => id !== away).length >= 2;
      equal(missingWithout({ ...all, members }, away) === null, mayGo);
    }),
  );
});

test('a group of one cannot do without its voter', () => {
  const [n1] = IDS as [NodeId];
  const { members } = aMembersReport();
  equal(
    missingWithout({ voters: [n1], members }, n1),
    'without n1, 1 of {n1} must be live, and none is',
  );
});
