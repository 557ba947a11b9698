/**
 * One named scenario for each hazard of storage, identity and wire, on whole nodes. Which scenario and which
 * process test show what is the table in docs/TESTING.md, kept by test/hazards.test.ts.
 */
import { equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { KIB } from '../../src/base/sizes.ts';
import { ROT_KINDS } from './fault-script.ts';
import { finds, type PlannedFault, type Stage, survives, times } from './hazard-run.ts';
import { withOverrides } from './planted/with-overrides.ts';
import { NO_BUGS } from './stack-bugs.ts';
import { StackWorld } from './stack-world.ts';
import { Workload } from './workload.ts';

const DOWN_MS = 300;
const CALM_TIMEOUT_MS = 60_000;

test('H1: power fails in the very moment of an acknowledgement, at one node and at all', async () => {
  const storm: readonly PlannedFault[] = [
    ...times(6, 250, (atMs, i) => ({
      ...{ kind: 'trap', atMs, target: i % 3, moment: 'acknowledges' },
      ...{ afterRounds: i % 4, downMs: DOWN_MS },
    })),
    ...times(4, 700, (atMs) => ({ kind: 'powerCutAll', atMs, downMs: [100, 200, 300] })),
  ];
  await survives(storm);
  await finds('C1', storm);
});

test('H2: a sync fails once and leaves a page cache that lies, then the power fails', async () => {
  const storm: readonly PlannedFault[] = [
    ...times(4, 800, (atMs, i) => ({
      ...{ kind: 'syncError', atMs, target: i === 0 ? 'leader' : i % 3, after: i },
    })),
    { kind: 'writeError', atMs: 1_800, target: 'leader', after: 1 },
    ...times(4, 800, (atMs, i) => ({
      ...{ kind: 'powerCut', atMs: atMs + 200, target: i % 3, downMs: DOWN_MS },
    })),
  ];
  await survives(storm);
  await finds('C11', storm);
  await finds('C12', storm);
});

test('H3: the last writes are torn, at every step of them', async () => {
  await survives([
    ...times(8, 350, (atMs, i) => ({
      ...{ kind: 'trap', atMs, target: i % 3, moment: 'acknowledges' },
      ...{ afterRounds: i, downMs: 150 },
    })),
    { kind: 'rot', atMs: 4_500, target: 1, downMs: 100, how: 'beyondEnd' },
  ]);
});

test('H4: a bit rots in what was durable: the log is not shortened, and the node does not take part', async () => {
  const storm: readonly PlannedFault[] = [
    { kind: 'rot', atMs: 2_000, target: 2, downMs: DOWN_MS, how: 'bit' },
    ...times(3, 700, (atMs) => ({ kind: 'kill', atMs, target: 2, downMs: 200 })),
  ];
  await survives(storm);
  await finds('C10', storm);
});

for (const how of ROT_KINDS) {
  if (how !== 'misdirected' && how !== 'staleSector') continue;
  test(`H5: a write that went elsewhere or nowhere is found (${how})`, async () => {
    await survives([{ kind: 'rot', atMs: 2_200, target: 0, downMs: DOWN_MS, how }]);
  });
}

test('H6: derived state is lost on each node in turn: it comes from the log, which stays as it is', async () => {
  await survives([
    ...times(6, 500, (atMs, i) => ({
      ...{ kind: 'deleteDerived', atMs, target: i % 3, downMs: 200 },
    })),
  ]);
});

test('H7: power fails while a vote is written; one slot of the superblock rots, and then both', async () => {
  const storm: readonly PlannedFault[] = [
    ...times(5, 400, (atMs, i) => ({
      ...{ kind: 'trap', atMs, target: i % 3, moment: 'votes', afterRounds: i, downMs: 150 },
    })),
    ...times(3, 900, (atMs) => ({ kind: 'isolate', atMs, target: 'leader', forMs: 500 })),
    { kind: 'superblock', atMs: 2_000, target: 1, downMs: 200, slots: [0] },
    { kind: 'superblock', atMs: 3_000, target: 1, downMs: 200, slots: [1] },
    { kind: 'superblock', atMs: 4_200, target: 1, downMs: 200, slots: [0, 1] },
  ];
  await survives(storm);
  await finds('C2', storm);
  await finds('C3', storm);
});

test('H8: names of files that were not synced are lost, while segments are begun and nodes start', async () => {
  const storm: readonly PlannedFault[] = [
    ...times(6, 450, (atMs, i) => ({ kind: 'powerCut', atMs, target: i % 3, downMs: 100 })),
    ...times(6, 450, (atMs, i) => ({
      ...{ kind: 'trap', atMs: atMs + 90, target: i % 3, moment: 'boots' },
      ...{ afterRounds: i, downMs: 100 },
    })),
  ];
  await survives(storm);
  await finds('C13', storm);
});

test('H9: a bit that flips in memory on its way to the disk is found before it is written', async () => {
  for (const victim of ['leader', 'follower'] as const) {
    let isDue = false;
    const bugs = {
      ...NO_BUGS,
      wrapLog: (log: Parameters<typeof NO_BUGS.wrapLog>[0]) =>
        withOverrides(log, {
          persist: (write) => {
            const isVictim = log.identity.nodeId === victimId;
            const entry = write.entries.find(({ desc }) => desc.payloadSizeBytes > 0);
            if (isDue && isVictim && entry !== undefined) {
              isDue = false;
              const bytes = entry.bytes.slice();
              bytes[70]! ^= 4;
              const entries = write.entries.map((each) => {
                return each === entry ? { ...entry, bytes } : each;
              });
              log.persist({ ...write, entries });
            } else log.persist(write);
          },
        }),
    };
    let victimId = '';
    const world = new StackWorld(21, { bugs });
    world.startAll();
    const leading = () => world.nodes.find(({ running }) => running?.replica?.leadership() != null);
    ok(await world.until(() => leading() !== undefined, CALM_TIMEOUT_MS));
    const workload = new Workload(world);
    workload.start(3, 1);
    const node = world.nodes.find((each) => (each === leading()) === (victim === 'leader'))!;
    victimId = node.nodeId;
    isDue = true;
    ok(await world.until(() => world.observer.violations.length > 0, CALM_TIMEOUT_MS), victim);
    const found = world.observer.violations.splice(0).map(({ sentence }) => sentence);
    equal(found.length, 1, found.join('; '));
    ok(found[0]?.includes('InvariantError: an entry is written as it was made'), found[0]);
    await node.kill();
    node.start();
    const before = workload.receipts.size;
    ok(
      await world.until(() => workload.receipts.size > before + 50, CALM_TIMEOUT_MS),
      'it goes on',
    );
    equal(world.observer.violations.length, 0);
    await world.endAll();
  }
});

test('H10: disks are full, of the leader, of a follower and of all, and freed', async () => {
  await survives([
    { kind: 'fullDisk', atMs: 600, target: 'leader', forMs: 900 },
    { kind: 'fullDisk', atMs: 2_000, target: 1, forMs: 900 },
    ...[0, 1, 2].map((target) => {
      return { kind: 'fullDisk' as const, atMs: 3_200, target, forMs: 1_200 };
    }),
    { kind: 'kill', atMs: 3_900, target: 2, downMs: 100 },
  ]);
});

test('H11: disks hang for a while, that of the leader too: another one leads, and they catch up', async () => {
  await survives([
    { kind: 'hungDisk', atMs: 1_000, target: 'leader', forMs: 4_500 },
    { kind: 'slowDisk', atMs: 1_500, target: 'leader', forMs: 2_000 },
    { kind: 'slowDisk', atMs: 2_500, target: 0, forMs: 1_000 },
  ]);
});

/** Segments go as soon as they are consumed. */
const RETENTION: Stage = {
  ...{ chaosMs: 11_000, producers: 6, consumers: 5 },
  retentionSizeBytes: 16 * KIB,
};
const AWAY_MS = 2_200;
const CYCLE_MS = 3_200;

/** The follower is left behind again and again, and needs a snapshot each time. */
function leavesBehind(target: number, count: number): readonly PlannedFault[] {
  return times(count, CYCLE_MS, (atMs) => ({ kind: 'isolate', atMs, target, forMs: AWAY_MS }));
}

test('H17: retention runs beside a follower at a trickle: nothing goes that it still needs', async () => {
  const storm: readonly PlannedFault[] = [
    { kind: 'slowDisk', atMs: 1_000, target: 2, forMs: 7_500 },
    ...times(6, 900, (atMs) => ({ kind: 'cutPair', atMs, target: 2, forMs: 120 })),
  ];
  const results = await survives(storm, RETENTION);
  for (const { compactions, installs, seed } of results) {
    ok(compactions > 0, `seed ${seed}: retention did run`);
    equal(installs, 0, `seed ${seed}: whoever is heard needs no snapshot`);
  }
});

test('H17: all followers are down while retention runs, then one for long: it gets a snapshot', async () => {
  const storm: readonly PlannedFault[] = [
    { kind: 'kill', atMs: 1_500, target: 1, downMs: 900 },
    { kind: 'kill', atMs: 1_500, target: 2, downMs: 900 },
    { kind: 'isolate', atMs: 3_200, target: 'leader', forMs: 700 },
    { kind: 'powerCut', atMs: 4_800, target: 0, downMs: 2_500 },
  ];
  const results = await survives(storm, RETENTION);
  ok(
    results.some(({ installs }) => installs > 0),
    'somebody was left behind',
  );
});

test('H18: power fails in each step of an installation', async () => {
  const moments = ['pulls', 'installs', 'rebuilds'] as const;
  for (const afterRounds of [1, 4]) {
    const traps = moments.map((moment, i) => ({
      ...{ kind: 'trap' as const, atMs: 1_500 + i * CYCLE_MS, target: 2, moment },
      ...{ afterRounds, downMs: 200 },
    }));
    const results = await survives([...leavesBehind(2, 3), ...traps], RETENTION);
    const isInstalled = results.some(({ installs }) => installs > 0);
    ok(isInstalled, 'a snapshot took the place of a log');
  }
});

test('H18: another leader, and with it another snapshot, while one is on its way', async () => {
  const storm: readonly PlannedFault[] = [
    ...leavesBehind(2, 3),
    ...times(3, CYCLE_MS, (atMs, i) => ({
      ...{ kind: 'kill', atMs: atMs + AWAY_MS + 30 * (i + 1), target: 'leader', downMs: 150 },
    })),
    ...times(3, CYCLE_MS, (atMs, i) => ({
      ...{ kind: 'breakStream', atMs: atMs + AWAY_MS + 20 * (i + 1), target: 2, forMs: 0 },
    })),
  ];
  const results = await survives(storm, RETENTION);
  ok(
    results.some(({ installs }) => installs > 0),
    'a snapshot took the place of a log',
  );
});

test('H19: nodes die at any step of applying: derived state and its place in the log stay together', async () => {
  await survives([
    ...times(9, 330, (atMs, i) => ({
      ...{ kind: i % 2 === 0 ? 'kill' : 'powerCut', atMs, target: i % 3, downMs: 80 },
    })),
    ...times(3, 1_000, (atMs) => ({
      kind: 'killThenPowerCut',
      atMs,
      target: 'leader',
      downMs: 90,
    })),
  ]);
});

test('H21: a clone runs beside its original, and a node calls a foreign cluster', async () => {
  await survives([{ kind: 'clone', atMs: 2_000, target: 1, downMs: 0, forMs: 1_500 }]);
  await survives([
    {
      ...{ kind: 'wrongCluster', atMs: 2_000, target: 2, downMs: 100 },
      ...{ isEmpty: false, forMs: 1_500 },
    },
  ]);
});

test('H22: a follower is wiped when its acknowledgements decide, and comes back with the one that was away', async () => {
  for (const remountAfterMs of [null, 1_500]) {
    const storm: readonly PlannedFault[] = [
      { kind: 'isolate', atMs: 1_600, target: 0, forMs: 900 },
      { kind: 'wipe', atMs: 2_300, target: 1, downMs: 50, remountAfterMs },
      { kind: 'isolate', atMs: 2_400, target: 2, forMs: 1_500 },
    ];
    await survives(storm);
    await finds('C21', storm);
  }
});

test('H23: an older image comes back, under the same leader and under another one', async () => {
  const image = { kind: 'olderImage', downMs: 50, restoreAfterMs: 900, isOutdone: true } as const;
  const restarts = times(4, 400, (atMs) => ({ kind: 'kill', atMs, target: 1, downMs: 80 }));
  await survives([{ ...image, atMs: 1_500, target: 1 }, ...restarts]);
  const storm: readonly PlannedFault[] = [
    { ...image, atMs: 1_500, target: 1 },
    ...restarts,
    { kind: 'isolate', atMs: 1_900, target: 'leader', forMs: 800 },
  ];
  await survives(storm);
  await finds('C23', storm);
});

test('H28: bytes flip on the wire: no frame is believed, streams break and go on', async () => {
  await survives([
    { kind: 'bitFlips', atMs: 1_000, per10000: 500, forMs: 2_500 },
    { kind: 'breakStream', atMs: 2_000, target: 'leader', forMs: 0 },
  ]);
});
