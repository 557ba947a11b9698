/** Schedules are functions of their seed; cuts leave what their name says. */
import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { PERIOD_MS, QUIET_TAIL_MS } from '../limits.ts';
import { cutsOf, oneWayCutsOf, type Shape } from './cuts.ts';
import { ROWS } from './rows.ts';
import { scheduleOf } from './schedule.ts';

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5'];
const ALL = ROWS.map(({ name }) => name);
const aGroup = fc.constantFrom(NODES.slice(0, 3), NODES);

suite('scheduleOf()', () => {
  test('gives the same schedule for the same seed, and another one for another', () => {
    fc.assert(
      fc.property(fc.nat(), aGroup, (seed, nodes) => {
        const options = { seed, rows: ALL, nodes, seconds: 120 };
        deepEqual(scheduleOf(options), scheduleOf(options));
        notDeepEqual(scheduleOf(options), scheduleOf({ ...options, seed: seed + 1 }));
      }),
      { numRuns: 50 },
    );
  });

  test('begins no fault in the quiet end of a period, and keeps to the rows that were asked for', () => {
    fc.assert(
      fc.property(fc.nat(), fc.subarray(ALL, { minLength: 1 }), (seed, rows) => {
        const ids = ROWS.filter(({ name }) => rows.includes(name)).map(({ id }) => id);
        for (const { atMs, row } of scheduleOf({ seed, rows, nodes: NODES, seconds: 90 })) {
          ok(atMs % PERIOD_MS <= PERIOD_MS - QUIET_TAIL_MS, `${row} at ${atMs}`);
          ok(ids.includes(row), row);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('has quiet periods, busy ones, and every row somewhere', () => {
    const steps = scheduleOf({ seed: 1, rows: ALL, nodes: NODES, seconds: 3_600 });
    const busy = new Set(steps.map(({ atMs }) => Math.floor(atMs / PERIOD_MS)));
    const periodCount = (3_600 * 1_000) / PERIOD_MS;
    ok(busy.size < periodCount * 0.9 && busy.size > periodCount * 0.5, `${busy.size} busy`);
    equal(new Set(steps.map(({ row }) => row)).size, ROWS.length);
  });
});

suite('cutsOf()', () => {
  /** Everybody whom a node can still talk to, both ways, itself included. */
  function seenBy(node: string, nodes: readonly string[], shape: Shape, target: string): number {
    const cuts = new Set(cutsOf(shape, nodes, target).map(([from, to]) => `${from} ${to}`));
    return nodes.filter((other) => !cuts.has(`${node} ${other}`) && !cuts.has(`${other} ${node}`))
      .length;
  }

  test('isolate leaves the target alone and the others together', () => {
    fc.assert(
      fc.property(aGroup, fc.nat(4), (nodes, i) => {
        const target = nodes[i % nodes.length]!;
        equal(seenBy(target, nodes, 'isolate', target), 1);
        for (const node of nodes.filter((each) => each !== target)) {
          equal(seenBy(node, nodes, 'isolate', target), nodes.length - 1);
        }
      }),
    );
  });

  test('majority leaves a majority that sees itself, without the target', () => {
    for (const nodes of [NODES.slice(0, 3), NODES]) {
      const majority = Math.floor(nodes.length / 2) + 1;
      const sizes = nodes.map((node) => seenBy(node, nodes, 'majority', 'n1'));
      equal(sizes.filter((size) => size === majority).length, majority);
      ok(sizes[0]! < majority);
    }
  });

  test('in a ring of five everybody sees a majority, and no two the same one', () => {
    deepEqual(
      NODES.map((node) => seenBy(node, NODES, 'ring', 'n1')),
      [3, 3, 3, 3, 3],
    );
  });

  test('a bridge sees everybody, and nobody else does', () => {
    deepEqual(
      NODES.map((node) => seenBy(node, NODES, 'bridge', 'n3')),
      [3, 3, 5, 3, 3],
    );
  });

  test('deaf and mute cut one direction only', () => {
    deepEqual(oneWayCutsOf('deaf', ['a', 'b'], 'a'), [['b', 'a']]);
    deepEqual(oneWayCutsOf('mute', ['a', 'b'], 'a'), [['a', 'b']]);
  });
});
