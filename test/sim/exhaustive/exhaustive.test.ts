import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SafetyRules, standardRules } from '../../../src/raft/rules.ts';
import { choiceOf } from './choice.ts';
import { explore } from './exhaustive.ts';
import type { BrokenInvariant } from './local-action.ts';
import type { Mark } from './marks.ts';
import { OPENINGS, openingNamed, prepare } from './openings.ts';
import { StateTable } from './state-table.ts';
import { STATE_SIZE } from './world.ts';

const STATES_MAX = 2_000_000;

interface Extent {
  readonly opening: string;
  readonly depth: number;
  readonly faults: number;
  /** Keeps a search from shrinking in silence. */
  readonly floor: number;
  readonly sees: readonly Mark[];
}

const EXTENTS: readonly Extent[] = [
  extent('fresh', 15, 0, 30_000, ['elected', 'acknowledged', 'cut']),
  extent('fresh', 10, 1, 25_000, ['elected', 'restarted']),
  extent('fresh-asking', 17, 0, 60_000, ['elected', 'committed', 'cut']),
  extent('fresh-asking', 10, 1, 40_000, ['elected', 'restarted']),
  extent('figure-8', 11, 0, 20_000, ['acknowledged', 'cut']),
  extent('figure-8', 7, 1, 20_000, ['acknowledged', 'cut', 'restarted']),
  extent('open-tail', 11, 0, 40_000, ['acknowledged', 'cut']),
  extent('open-tail', 7, 1, 45_000, ['cut', 'restarted']),
  extent('deposed-returns', 7, 0, 13_000, ['acknowledged', 'cut']),
  extent('deposed-returns', 5, 1, 18_000, ['acknowledged', 'cut', 'restarted']),
  extent('two-candidates', 14, 0, 50_000, ['acknowledged', 'cut']),
  extent('two-candidates', 9, 1, 40_000, ['restarted']),
  extent('log-repair', 15, 0, 50_000, ['acknowledged', 'cut']),
  extent('log-repair', 9, 1, 40_000, ['cut', 'restarted']),
  extent('joint-at-leader', 24, 0, 40_000, ['jointLeft', 'acknowledged', 'stoodForTransfer']),
  extent('joint-at-leader', 13, 1, 65_000, ['jointLeft', 'membershipRolledBack', 'restarted']),
  extent('joint-then-crash', 15, 0, 90_000, ['jointLeft', 'membershipRolledBack']),
  extent('joint-then-crash', 9, 1, 55_000, ['cut', 'membershipRolledBack', 'restarted']),
  extent('promotion', 21, 0, 65_000, ['jointLeft', 'acknowledged', 'cut']),
  extent('promotion', 11, 1, 50_000, ['jointLeft', 'membershipRolledBack', 'restarted']),
  extent('changes', 16, 0, 65_000, ['jointLeft', 'membershipRolledBack']),
  extent('changes', 7, 1, 40_000, ['cut', 'membershipRolledBack', 'restarted']),
  extent('read', 10, 0, 75_000, ['readConfirmed', 'readRefused', 'cut']),
  extent('read', 6, 1, 50_000, ['readRefused', 'restarted']),
  extent('transfer', 17, 0, 55_000, ['stoodForTransfer', 'acknowledged', 'cut']),
  extent('transfer', 10, 1, 40_000, ['stoodForTransfer', 'acknowledged', 'restarted']),
  extent('snapshot', 13, 0, 50_000, ['snapshotInstalled', 'cut']),
  extent('snapshot', 9, 1, 70_000, ['snapshotInstalled', 'restarted']),
];

function extent(
  opening: string,
  depth: number,
  faults: number,
  floor: number,
  sees: readonly Mark[],
): Extent {
  return { opening, depth, faults, floor, sees };
}

test('every opening is searched without faults and with one', () => {
  for (const { name } of OPENINGS) {
    const faults = EXTENTS.filter(({ opening }) => opening === name).map((one) => one.faults);
    assert.deepEqual(faults, [0, 1], name);
  }
});

for (const { opening: name, depth, faults, floor, sees } of EXTENTS) {
  const schedules = `every schedule of ${depth} steps with ${faults} faults`;
  test(`${name}: ${schedules} keeps every invariant`, (t) => {
    const result = explore(openingNamed(name), { depth, faults, statesMax: STATES_MAX });
    t.diagnostic(`${result.statesSeen} states, ${result.transitions} transitions`);
    assert.equal(result.violation, null, result.violation?.path.join('\n'));
    assert.ok(result.isComplete);
    assert.equal(result.depthReached, depth);
    assert.ok(result.statesSeen >= floor, `${result.statesSeen} states`);
    for (const mark of sees) assert.ok(result.marks.has(mark), `no schedule has ${mark}`);
  });
}

test('without faults, log-repair has no schedules but those that were looked at', () => {
  const opening = openingNamed('log-repair');
  const budget = { ...opening.budget, beats: 0 };
  const result = explore({ ...opening, budget }, { depth: 100, faults: 0, statesMax: STATES_MAX });
  assert.equal(result.violation, null);
  assert.ok(result.isComplete && result.isExhausted);
  assert.ok(result.depthReached < 100);
});

interface Canary {
  readonly bug: string;
  readonly rules: Partial<SafetyRules>;
  readonly opening: string;
  readonly depth: number;
  readonly faults: number;
  readonly finds: BrokenInvariant;
}

const CANARIES: readonly Canary[] = [
  {
    bug: 'a leader commits entries of older terms by counting copies',
    rules: { mayCommitByCounting: () => true },
    opening: 'figure-8',
    depth: 9,
    faults: 0,
    finds: 'I5',
  },
  {
    bug: 'a membership that was cut stays in force',
    rules: { rollsBackMembership: () => false },
    opening: 'joint-then-crash',
    depth: 7,
    faults: 0,
    finds: 'G1',
  },
  {
    bug: 'in a joint change only the new voters decide',
    rules: { decidingSets: ({ voters }) => [voters] },
    opening: 'joint-at-leader',
    depth: 6,
    faults: 0,
    finds: 'I7',
  },
  {
    bug: 'an answer to an older round confirms a read',
    rules: { roundConfirms: () => true },
    opening: 'read',
    depth: 10,
    faults: 0,
    finds: 'O3',
  },
  {
    bug: 'a leader reads before it has committed in its own term',
    rules: { readWaitsForOwnTermCommit: () => false },
    opening: 'read',
    depth: 4,
    faults: 0,
    finds: 'O3',
  },
  {
    bug: 'a vote leaves before it is on disk',
    rules: { voteWaitsForDisk: () => false },
    opening: 'fresh',
    depth: 3,
    faults: 0,
    finds: 'N5',
  },
  {
    bug: 'a write counts although a later cut waits behind it',
    rules: { durableAfter: (lastIndex) => lastIndex },
    opening: 'open-tail',
    depth: 7,
    faults: 0,
    finds: 'I7',
  },
];

for (const { bug, rules, opening: name, depth, faults, finds } of CANARIES) {
  test(`planted: ${bug}: found by ${finds} from ${name}`, () => {
    const opening = openingNamed(name);
    const limits = { depth, faults, statesMax: STATES_MAX };
    const planted = { ...standardRules, ...rules };
    const { violation } = explore(opening, { ...limits, rules: planted });
    assert.ok(violation !== null, 'not found');
    assert.equal(violation.invariant, finds, violation.message);
    assert.ok(violation.isConfirmed, 'separate cores break the same on the same path');
    assert.ok(violation.path.at(-1)?.startsWith(`${finds}: `));

    // It is the bug that breaks it.
    assert.equal(explore(opening, limits).violation, null);
  });
}

test('histories that count as one state of a node go on alike', () => {
  let auditedCount = 0;
  for (const opening of OPENINGS) {
    const preparation = { rules: standardRules, faults: 2, merges: true };
    const { world, state } = prepare(opening, preparation);
    const table = new StateTable();
    table.add(state, 0, 0);
    const from = new Int32Array(STATE_SIZE);
    const to = new Int32Array(STATE_SIZE);
    for (let id = 0; id < table.count && table.count < 10_000; id++) {
      table.read(id, from);
      for (const code of world.choices(from)) {
        to.set(from);
        assert.equal(world.step(to, choiceOf(code)), null);
        table.add(to, id, code);
      }
    }
    assert.deepEqual(world.nodes.audit(), [], opening.name);
    auditedCount += world.nodes.auditedCount;
  }
  assert.ok(auditedCount > 100, `${auditedCount} merges were audited`);
});
