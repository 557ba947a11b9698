import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../base/units.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { takeLeave } from './take-leave.ts';

const GRACE_MS = 10_000;

function setUp({ isDrained = false, graceMs = GRACE_MS, userCount = 1 } = {}) {
  const clock = new ManualClock();
  const deeds: string[] = [];
  const node = { userCount, isOver: false };
  void takeLeave({
    clock,
    graceMs,
    admin: { stepAside: async () => void deeds.push('steps aside') },
    gateway: {
      beginStopping: () => void deeds.push('leaves the routes'),
      local: {
        topic: () => null,
        liveNodes: () => [{ nodeId: NodeId('n1'), grpcAddress: 'a:1', isLeaving: isDrained }],
        isLeaving: () => isDrained,
      },
    },
    messaging: { departure: () => ({ state: 'leaving', userCount: node.userCount }) },
  }).then(() => {
    node.isOver = true;
  });
  return { clock, deeds, node };
}

test('it hands over, leaves the routes, and stays until its clients are elsewhere', async () => {
  const { clock, deeds, node } = setUp();
  await clock.advanceSettling(5_000);
  deepEqual(deeds, ['leaves the routes', 'steps aside']);
  equal(node.isOver, false);
  node.userCount = 0;
  await clock.advanceSettling(100);
  equal(node.isOver, true);
  equal(clock.timerCount, 0);
});

test('it stays no longer than its grace', async () => {
  const { clock, node } = setUp();
  await clock.advanceSettling(GRACE_MS - 1);
  equal(node.isOver, false);
  await clock.advanceSettling(100);
  equal(node.isOver, true);
});

for (const [name, options, deeds] of [
  ['without clients', { userCount: 0 }, ['leaves the routes', 'steps aside']],
  ['once it was drained', { isDrained: true }, ['leaves the routes', 'steps aside']],
  ['without a grace, and then nothing is handed over', { graceMs: 0 }, ['leaves the routes']],
] as const) {
  test(`it goes at once ${name}`, async () => {
    const scene = setUp(options);
    await scene.clock.advanceSettling(0);
    equal(scene.node.isOver, true);
    deepEqual(scene.deeds, deeds);
  });
}
