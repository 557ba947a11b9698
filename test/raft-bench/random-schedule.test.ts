import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import type { NodeId } from '../../src/base/units.ts';
import { type SafetyRules, standardRules } from '../../src/raft/index.ts';
import { Bench } from './bench.ts';

const SEEDS = 100;
const STEPS = 1500;
/** Some seed below this finds each bug: the rarest one, the forgotten vote, takes about 300. */
const BUG_SEEDS_MAX = 2000;

/** Time is short here, so that elections happen within a schedule. */
const CONFIG = {
  segmentSizeBytes: 16 * 1024,
  heartbeatTicks: 1,
  electionTimeoutTicksMin: 4,
  electionTimeoutTicksMax: 8,
} as const;

type Action = (bench: Bench, id: NodeId, random: Prng) => void;

/** A bad day: lose, repeat, reorder, delay, crash, cut, heal. With how often each happens. */
const actions: readonly (readonly [number, Action])[] = [
  [4, (bench, id) => bench.crash(id)],
  [6, (bench, id) => bench.isolate(id)],
  [4, (bench, id, random) => bench.cutWays.add(`${id}>${random.pick(bench.ids)}`)],
  [10, (bench) => bench.heal()],
  [10, (bench, _id, random) => bench.wire.splice(random.below(bench.wire.length + 1), 1)],
  [10, (bench, _id, random) => bench.wire.length > 0 && bench.wire.push(random.pick(bench.wire))],
  [6, (bench, id, random) => breakWay(bench, id, random.pick(bench.ids))],
  [400, (bench) => bench.deliver()],
  [150, (bench, _id, random) => bench.deliver(random.below(bench.wire.length + 1))],
  [150, (bench, id) => bench.persistOne(id)],
  [50, (bench, id) => bench.applyOne(id)],
  [80, (bench, id, random) => bench.propose(id, random.below(3000))],
  [120, (bench, id) => bench.tick(id)],
];

function breakWay(bench: Bench, id: NodeId, peer: NodeId): void {
  bench.step(id, { kind: 'peerUnreachable', peer });
}

/** Ordinary work happens under every weather. */
const FAULT_WEIGHT_MAX = 10;

/** Each seed has another weather: some things often, some never. */
function weatherOf(random: Prng): Action[] {
  return actions.flatMap(([weight, action]) => {
    const isFault = weight <= FAULT_WEIGHT_MAX;
    const times = Math.ceil(weight / 2) * random.pick(isFault ? [0, 0, 1, 2, 4, 12] : [1, 2, 4]);
    return Array.from({ length: times }, () => action);
  });
}

function stir(seed: number, rules: SafetyRules, nodeCount: number): Bench {
  const bench = new Bench({ nodeCount, seed, rules, config: CONFIG });
  const random = new Prng(seed, 'schedule');
  const weather = weatherOf(random);
  for (let i = 0; i < STEPS; i++) {
    const id = random.pick(bench.ids);
    if (bench.node(id).up) random.pick(weather)(bench, id, random);
    else if (random.chance(1, 5)) bench.restart(id);
  }
  return bench;
}

function heals(bench: Bench): void {
  bench.heal();
  for (const id of bench.ids) if (!bench.node(id).up) bench.restart(id);
  bench.run(200);
  const leader = bench.leader();
  ok(leader !== null, 'a healed group has a leader');
  bench.propose(leader);
  bench.run(20);
  const want = bench.status(leader).lastIndex;
  for (const id of bench.ids) {
    const { appliedIndex, lastIndex } = bench.status(id);
    ok(appliedIndex === want && lastIndex === want, `${id} has caught up: ${appliedIndex} ${want}`);
  }
}

for (const nodeCount of [1, 2, 3, 5]) {
  test(`a group of ${nodeCount} keeps its promises under any schedule, and recovers`, () => {
    let entryCount = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        const bench = stir(seed, standardRules, nodeCount);
        heals(bench);
        entryCount += bench.applied.size;
      } catch (error) {
        throw new Error(`seed ${seed} of ${nodeCount} nodes`, { cause: error });
      }
    }
    ok(entryCount > SEEDS, 'the schedules commit something');
  });
}

// The fourth bug, committing older terms by counting, is figure 8: paper.test.ts plays it by hand.
const bugs: readonly (readonly [string, Partial<SafetyRules>])[] = [
  [
    'cuts the log after every message',
    {
      cutFrom: (log, incoming) =>
        incoming[0] !== undefined && log.termAt(incoming[0].index) !== 'absent'
          ? incoming[0].index
          : null,
    },
  ],
  ['acknowledges before the disk', { countableIndex: (lastIndex) => lastIndex }],
  ['votes without writing it down', { voteWaitsForDisk: () => false }],
];

function isFound(bug: Partial<SafetyRules>): boolean {
  for (let seed = 1; seed <= BUG_SEEDS_MAX; seed++) {
    try {
      stir(seed, { ...standardRules, ...bug }, 3);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return true;
    }
  }
  return false;
}

for (const [what, bug] of bugs) {
  test(`a core that ${what} is found out`, () => {
    ok(isFound(bug));
  });
}
