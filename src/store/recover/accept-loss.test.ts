import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Prng } from '../../base/prng.ts';
import { LogIndex, NodeId, QueueOffset } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { DerivedState } from '../derived/derived-state.ts';
import { installSnapshot } from '../derived/install-snapshot.ts';
import { MemoryKvStore } from '../derived/memory-kv-store.ts';
import { openDerivedState } from '../derived/open-derived-state.ts';
import { inspectStore } from '../inspect/inspect-store.ts';
import { openTestLog, Steps } from '../log-fixture.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import {
  type AcceptTask,
  acceptTaskOf,
  executeAcceptance,
  stagedSnapshotOf,
  unfinishedAcceptance,
} from './accept-loss.ts';
import { accountOf } from './loss-account.ts';
import { type DerivedLoss, deriveAcceptedLoss } from './loss-derivation.ts';
import { writeGivenUp, writeStagedSnapshot } from './loss-files.ts';
import {
  aBusyLog,
  aWorld,
  type BusyLog,
  committed,
  GROUPS,
  type LossScene,
  planIn,
  QUEUES,
  stage,
  stateOf,
  TOPICS,
  verdictOn,
} from './loss-fixture.ts';
import type { LossPlan } from './loss-plan.ts';
import { entriesBehind } from './membership-entries.ts';
import { RECOVERED_IDENTITY } from './recovery-fixture.ts';
import { refuseUnfinishedRecovery } from './recovery-report.ts';
import { unfinishedTask } from './unsafe-recovery.ts';

const signal = new AbortController().signal;
const AT_MS = 1_800_000_000_000;
const NEW_IDENTITY = { ...RECOVERED_IDENTITY, clusterId: 'test-cluster-r1' };

async function derived(disk: MemoryDisk, plan: LossPlan): Promise<DerivedLoss> {
  const store = new MemoryKvStore();
  return deriveAcceptedLoss({ plan, disk, store, atMs: AT_MS, signal, onEntry: () => {} });
}

/** Up to the decision: nothing of the store has changed. */
async function prepared(disk: MemoryDisk, plan: LossPlan): Promise<AcceptTask> {
  const { state, appended } = await derived(disk, plan);
  const task = acceptTaskOf(plan, appended, { why: 'test' });
  const snapshot = await state.takeSnapshot();
  await writeStagedSnapshot(disk, stagedSnapshotOf(task), snapshot);
  snapshot.close();
  await state.close();
  return task;
}

/** What a broker makes of the directory: the log, and the state that it derives from snapshot and entries. */
async function started(
  disk: MemoryDisk,
  { directory, snapshotIndex }: AcceptTask,
): Promise<{ readonly state: DerivedState; readonly entries: readonly StoredEntry[] }> {
  const nodeId = NodeId(directory.slice(1));
  const log = await openTestLog(disk, { directory, identity: { ...NEW_IDENTITY, nodeId } });
  const files = await SnapshotFiles.open({ disk, replicaDirectory: directory, onEvent: () => {} });
  const { newest } = files;
  equal(newest?.appliedIndex, snapshotIndex);
  const first = log.recovered.entries[0]?.index;
  ok(first !== undefined && newest !== null && newest.logStart.index >= first);
  const kv = new MemoryKvStore();
  const last = log.recovered.entries.at(-1)?.index ?? first;
  const entries: StoredEntry[] = [];
  for (let next = first; next <= last; next = LogIndex(next + 1)) {
    entries.push(...(await log.readEntries(next, next, 1)));
  }
  await installSnapshot(kv, {
    chunks: () => files.chunks(newest.appliedIndex),
    entries: async function* (from, to) {
      for (const entry of entries) {
        if (entry.desc.index >= from && entry.desc.index <= to) yield committed(entry);
      }
    },
  });
  await log.close();
  const onEvent = (event: object): void => ok(false, JSON.stringify(event));
  const state = await openDerivedState({ kv, durableIndexMax: last, onEvent });
  return { state, entries };
}

/** What would be if nothing had been lost, and the group had decided to begin its log where it does now. */
async function undamaged({ chain }: BusyLog, plan: LossPlan, task: AcceptTask) {
  const old = chain.entries.slice(0, plan.lastIndex);
  const payloads = task.appended.map(({ type, payload }) => ({
    type,
    payload: new Uint8Array(Buffer.from(payload, 'hex')),
  }));
  const { tip, newTerm: term, segmentSizeBytes } = task;
  const appended = entriesBehind({ tip, term, segmentSizeBytes }, payloads);
  return stateOf([...old, ...appended]);
}

/** Everything that a client sees, but for the messages themselves. */
function visible(state: DerivedState) {
  const queues = TOPICS.flatMap((topic) => QUEUES.map((queueId) => ({ topic, queueId })));
  return {
    appliedIndex: state.appliedIndex,
    digest: state.digest(),
    logStart: state.logStart,
    topics: state.topics(),
    groups: state.groups(),
    queues: queues.map(({ topic, queueId }) => {
      const range = state.queueRange(topic, queueId);
      const units = [];
      for (let at = range.min; at < range.next; at = QueueOffset(at + 1)) {
        units.push(state.queueUnit(topic, queueId, at));
      }
      const progress = GROUPS.map((group) => state.progress(group, topic, queueId));
      return { topic, queueId, range, units, progress };
    }),
    keys: TOPICS.map((topic) => state.findByKey(topic, 'k', 1_000)),
  };
}

interface Hole {
  readonly from: number;
  readonly to: number;
}

const aScene = fc.record({
  seed: fc.nat(),
  rounds: fc.integer({ min: 8, max: 60 }),
  retention: fc.option(fc.integer({ min: 2, max: 20 })),
  /** Parts of the log: of a thousand. */
  holes: fc.array(fc.tuple(fc.nat(999), fc.nat(4), fc.boolean()), { minLength: 1, maxLength: 2 }),
  snapshotBehind: fc.nat(999),
  snapshotNode: fc.constantFrom('n1', 'n2', 'n3'),
  behind: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)),
  /** Damage of one member only. */
  single: fc.array(fc.tuple(fc.constantFrom('n1', 'n2', 'n3'), fc.nat(999)), { maxLength: 3 }),
});

type Scene = typeof aScene extends fc.Arbitrary<infer T> ? T : never;

/** One hole, at a part of the log. */
function aScenario(part: number): Scene {
  const holes: [number, number, boolean][] = [[part, 1, false]];
  const plain = { retention: null, snapshotBehind: 500, snapshotNode: 'n3', single: [] } as const;
  return { ...plain, seed: 1, rounds: 40, holes, behind: [0, 1, 2], single: [] };
}

/** @returns null when it would not be one */
function sceneOf(drawn: Scene): { readonly scene: LossScene; readonly hole: Hole } | null {
  const log = aBusyLog(new Prng(drawn.seed, 'scene'), drawn.rounds, drawn.retention);
  const { lastIndex } = log.chain;
  const [b1, b2, b3] = drawn.behind;
  const lengths = { n1: lastIndex - b1, n2: lastIndex - b2, n3: lastIndex - b3 };
  const shortest = Math.min(...Object.values(lengths));
  const at = (part: number): number => 1 + Math.floor((part * (shortest - 1)) / 1_000);
  const damage: { index: number; part: 'header' | 'body' }[] = drawn.holes.flatMap(
    ([part, more, isHeader]) =>
      Array.from({ length: 1 + more }, (_, i) => ({
        index: Math.min(shortest, at(part) + i),
        part: isHeader ? ('header' as const) : ('body' as const),
      })),
  );
  const indices = [...new Set(damage.map(({ index }) => index))].sort((a, b) => a - b);
  const [from = 1, to = from] = [indices[0], indices.at(-1)];
  // An empty body cannot rot: of a no-op and of a filler the header does.
  const partOf = (index: number): 'header' | 'body' => {
    const isEmpty = log.chain.at(index).desc.payloadSizeBytes < 8;
    return isEmpty ? 'header' : (damage.find((each) => each.index === index)?.part ?? 'body');
  };
  const nodes = ['n1', 'n2', 'n3'] as const;
  const everywhere = indices.flatMap((index) =>
    nodes.map((node) => ({ node, index, part: partOf(index) })),
  );
  const single = drawn.single
    .map(([node, part]) => ({ node, index: at(part), part: 'header' as const }))
    .filter(({ index }) => !indices.includes(index));
  // Of the other two one at least has each.
  const isKept = single.every(
    ({ index }) => single.filter((each) => each.index === index).length < 3,
  );
  if (!isKept) return null;
  const index = to + Math.floor((drawn.snapshotBehind * (shortest - to + 1)) / 1_000);
  const snapshot = { node: drawn.snapshotNode, index: Math.min(index, shortest) };
  return {
    scene: { log, lengths, snapshot, rot: [...everywhere, ...single] },
    hole: { from, to },
  };
}

const rangeOf = ({ from, to }: Hole) => ({ from: LogIndex(from), to: LogIndex(to) });

test('law: what goes on is what would be if nothing were lost and the log began where it does now', async () => {
  const kept = { some: 0, none: 0 };
  await fc.assert(
    fc.asyncProperty(aScene, async (drawn) => {
      const found = sceneOf(drawn);
      fc.pre(found !== null);
      const { scene, hole } = found;
      const disk = new MemoryDisk();
      const directories = await stage(disk, scene);
      const plan = planIn(await verdictOn(disk, directories, rangeOf(hole)));
      const task = await prepared(disk, plan);

      await executeAcceptance(task, aWorld(disk));

      kept[plan.keptFrom === null ? 'none' : 'some'] += 1;
      const { state } = await started(disk, task);
      const want = await undamaged(scene.log, plan, task);
      // What retention removed while the snapshot was not yet there counts messages that nobody can place.
      const old = await stateOf(scene.log.chain.entries.slice(0, plan.lastIndex));
      const isDigestKnown = old.logStart.index === plan.snapshot.info.logStart.index;
      const digest = isDigestKnown ? want.digest() : state.digest();
      deepEqual({ ...visible(state) }, { ...visible(want), digest });
      const isLost = (index: number): boolean =>
        plan.lost.some(({ from, to }) => index >= from && index <= to);
      for (const [id, { topic, index }] of scene.log.messages) {
        if (index > plan.lastIndex) continue;
        const first = isLost(index) ? null : want.firstOutcome(topic, id);
        deepEqual(state.firstOutcome(topic, id), first, `${id} of entry ${index}`);
      }
      await state.close();
      await want.close();
    }),
    { numRuns: 15, examples: [[aScenario(300)], [aScenario(998)]] },
  );
  ok(kept.some > 0 && kept.none > 0, JSON.stringify(kept));
});

function inspectAll(disk: MemoryDisk, directory: string) {
  const nothing = (): void => {};
  return inspectStore({
    ...{ disk, directory, signal, isLive: false, depth: 'records' },
    onDamage: nothing,
    onProgress: nothing,
  });
}

/** Three members that lack the same entries: in the first of their segments, or the last one of all. */
function aLoss(place: 'first' | 'last', rounds = 14): { scene: LossScene; hole: Hole } {
  const log = aBusyLog(new Prng(7, 'loss'), rounds, null);
  const { lastIndex } = log.chain;
  const hole = place === 'first' ? { from: 9, to: 10 } : { from: lastIndex, to: lastIndex };
  const lengths = { n1: lastIndex, n2: lastIndex, n3: lastIndex };
  const rot = Object.keys(lengths).flatMap((node) =>
    [hole.from, hole.to].map((index) => ({ node, index, part: 'header' as const })),
  );
  const snapshot = { node: 'n2', index: place === 'first' ? lastIndex - 1 : lastIndex };
  return { scene: { log, lengths, snapshot, rot }, hole };
}

for (const place of ['first', 'last'] as const) {
  test(`a power cut at any step leaves the old or the new, and the same call ends it (the ${place} entries are lost)`, async () => {
    const { scene, hole } = aLoss(place);
    const clean = new MemoryDisk();
    const directories = await stage(clean, scene);
    const plan = planIn(await verdictOn(clean, directories, rangeOf(hole)));
    equal(plan.keptFrom === null, place === 'last');
    const { state: next, appended } = await derived(clean, plan);
    const task = acceptTaskOf(plan, appended, { why: 'test' });
    const { directory } = task;
    const wanted = visible(next);
    const begin = (): { steps: Steps; disk: MemoryDisk; running: Promise<LogIndex> } => {
      const steps = new Steps();
      const disk = clean.imageOn({ later: steps.later });
      const all = async (): Promise<LogIndex> => {
        const path = `${directory}/given-up.jsonl`;
        const line = (): string => 'a line\n';
        await writeGivenUp({ disk, plan, path, signal, lineOf: line, lostLineOf: line });
        const snapshot = await next.takeSnapshot();
        await writeStagedSnapshot(disk, stagedSnapshotOf(task), snapshot);
        snapshot.close();
        return executeAcceptance(task, aWorld(disk));
      };
      return { steps, disk, running: all() };
    };
    const whole = begin();
    let stepCount = 0;
    let isDone = false;
    void whole.running.then(() => {
      isDone = true;
    });
    while (!isDone) {
      await whole.steps.next();
      stepCount++;
    }
    const oldFiles = await clean.list(directory);
    const outcomes = { old: 0, new: 0 };
    for (let cutAt = 0; cutAt <= stepCount; cutAt += 2) {
      const { steps, disk } = begin();
      for (let i = 0; i < cutAt; i++) await steps.next();
      const survived = disk.powerCut(new Prng(cutAt, 'power cut')).imageOn({});
      const what = `cut at step ${cutAt} of ${stepCount}`;
      const report = await survived.sizeOf(`${directory}/recovery-report.json`);
      if (report === null) {
        // Nothing was decided: the store is what it was, and the command begins anew.
        outcomes.old += 1;
        const added = (await survived.list(directory)).filter((name) => !oldFiles.includes(name));
        deepEqual(
          added.filter((name) => !/^given-up|^snapshots$|^LOCK$/.test(name)),
          [],
          what,
        );
        const names = await survived.list(`${directory}/data`);
        for (const name of names) {
          const at = `${directory}/data/${name}`;
          deepEqual(survived.contentOf(at), clean.contentOf(at), what);
        }
        continue;
      }
      outcomes.new += 1;
      const resumed = await unfinishedAcceptance(survived, directory);
      if (resumed !== null) {
        await rejects(refuseUnfinishedRecovery(survived, directory), /recover --accept-loss/);
        await rejects(unfinishedTask(survived, directory), /in the middle of another recovery/);
        await executeAcceptance(resumed, aWorld(survived));
      }
      await refuseUnfinishedRecovery(survived, directory);
      equal(await unfinishedAcceptance(survived, directory), null, what);
      const found = await inspectAll(survived, directory);
      deepEqual([found.damageCount, found.startup?.kind], [0, 'opens'], what);
      equal(found.view.superblock.newest?.identity.clusterId, 'test-cluster-r1', what);
      deepEqual(found.memberships.at(-1)?.membership.voters, [directory.slice(1)], what);
      const { state } = await started(survived, task);
      deepEqual(visible(state), wanted, what);
      await state.close();
    }
    ok(outcomes.old > 3 && outcomes.new > 10, JSON.stringify(outcomes));
    await next.close();
  });
}

test('what was is kept under another name: superblock, base, and the segments of the beginning', async () => {
  const { scene, hole } = aLoss('first');
  const disk = new MemoryDisk();
  const directories = await stage(disk, scene);
  const plan = planIn(await verdictOn(disk, directories, rangeOf(hole)));
  const task = await prepared(disk, plan);
  const first = disk.contentOf(`${task.directory}/data/00000000000000000000.seg`);
  await executeAcceptance(task, aWorld(disk));
  const names = await disk.list(task.directory);
  for (const name of ['superblock', 'base']) ok(names.includes(`${name}.before-recovery`), name);
  const kept = `${task.directory}/data/00000000000000000000.seg.before-recovery`;
  deepEqual(disk.contentOf(kept), first);
  const condemned = await disk.sizeOf(`${task.directory}/derived/1.diverged`);
  ok(condemned !== null, 'the database of before is not used again');
});

test('the new log refuses the old cluster id, and names the others as out for ever', async () => {
  const { scene, hole } = aLoss('first');
  const disk = new MemoryDisk();
  const directories = await stage(disk, scene);
  const plan = planIn(await verdictOn(disk, directories, rangeOf(hole)));
  const [winner] = plan.membership.voters;
  deepEqual([...plan.out, winner].sort(), ['n1', 'n2', 'n3']);
  const task = await prepared(disk, plan);
  await executeAcceptance(task, aWorld(disk));
  const { directory } = task;
  const nodeId = NodeId(directory.slice(1));
  const old = openTestLog(disk, { directory, identity: { ...RECOVERED_IDENTITY, nodeId } });
  await rejects(old, /its clusterId is test-cluster-r1/);
});

test('without a whole snapshot at or behind the loss there is no plan', async () => {
  const { scene, hole } = aLoss('last');
  const disk = new MemoryDisk();
  const before = { node: 'n2', index: hole.to - 1 };
  const directories = await stage(disk, { ...scene, snapshot: before });
  equal(await verdictOn(disk, directories, rangeOf(hole)), 'no snapshot');
  const other = new MemoryDisk();
  await stage(other, scene);
  const [name] = await other.list('/n2/snapshots');
  other.rot(`/n2/snapshots/${name}`, 300, Uint8Array.of(1, 2, 3, 4));
  equal(await verdictOn(other, directories, rangeOf(hole)), 'no snapshot', 'a damaged one is none');
});

const refusals: readonly (readonly [
  string,
  (loss: ReturnType<typeof aLoss>) => LossScene,
  RegExp,
])[] = [
  [
    'entries that are lost and not named',
    ({ scene }) => ({ ...scene, rot: [...scene.rot, ...everywhere(14)] }),
    /entries 14 cannot be read by anybody either: --accept-loss 9-14 gives them up, too/,
  ],
  [
    'an end that was durable and cannot be read',
    ({ scene }) => ({ ...scene, rot: [...scene.rot, ...everywhere(scene.lengths['n1'] ?? 0)] }),
    /cannot be read by anybody either|was durable: what is between must be given up as well/,
  ],
];

function everywhere(index: number) {
  return ['n1', 'n2', 'n3'].map((node) => ({ node, index, part: 'header' as const }));
}

for (const [what, sceneFor, want] of refusals) {
  test(`refused: ${what}`, async () => {
    const loss = aLoss('first');
    const disk = new MemoryDisk();
    const directories = await stage(disk, sceneFor(loss));
    const verdict = await verdictOn(disk, directories, rangeOf(loss.hole));
    ok(verdict !== 'no snapshot' && verdict.kind === 'refused');
    match(verdict.problems.join('\n'), want);
  });
}

test('a segment file that is gone everywhere is a loss like any other', async () => {
  const { scene } = aLoss('first');
  const disk = new MemoryDisk();
  const directories = await stage(disk, { ...scene, rot: [] });
  const first = scene.log.chain.entries.filter(({ desc }) => desc.physicalOffset < 8192);
  for (const directory of directories) {
    await disk.remove(`${directory}/data/00000000000000000000.seg`);
  }
  const to = first.at(-1)?.desc.index ?? LogIndex(0);
  const plan = planIn(await verdictOn(disk, directories, { from: LogIndex(1), to }));
  deepEqual([plan.lost, plan.keptFrom], [[{ from: 1, to }], to + 1]);
  const task = await prepared(disk, plan);
  await executeAcceptance(task, aWorld(disk));
  const { state } = await started(disk, task);
  const want = await undamaged(scene.log, plan, task);
  deepEqual(visible(state), visible(want));
  await state.close();
  await want.close();
});

test('where the entry that names the members is lost, the address of the one that goes on is asked for', async () => {
  const loss = aLoss('first');
  const disk = new MemoryDisk();
  const directories = await stage(disk, { ...loss.scene, rot: everywhere(2) });
  const range = rangeOf({ from: 2, to: 2 });
  const refused = await verdictOn(disk, directories, range, null);
  ok(refused !== 'no snapshot' && refused.kind === 'refused');
  match(refused.problems.join(), /no entry that is left says where n1 is reached/);
  const plan = planIn(await verdictOn(disk, directories, range, '10.0.0.1:10912'));
  deepEqual(plan.membership.members, [
    { nodeId: 'n1', storeUuid: 'uuid-1', raftAddress: '10.0.0.1:10912', priority: 0 },
  ]);
});

test('refused: members that hold different entries where something is proven', async () => {
  const loss = aLoss('first');
  const other = aBusyLog(new Prng(8, 'other'), 14, null);
  const disk = new MemoryDisk();
  const directories = await stage(disk, loss.scene);
  const foreign = new MemoryDisk();
  await stage(foreign, { ...loss.scene, log: other, snapshot: null, rot: [], lengths: { n3: 20 } });
  for (const path of foreign.paths.filter((each) => each.startsWith('/n3/'))) {
    await disk.writeFile(path, foreign.contentOf(path));
  }
  const verdict = await verdictOn(disk, directories, rangeOf(loss.hole));
  ok(verdict !== 'no snapshot' && verdict.kind === 'refused');
  match(verdict.problems.join('\n'), /n[123] and n3 hold different entries \d+/);
});

test('the account: what is lost and given up by queue, and what a group has not consumed of it', () => {
  const range = { before: { min: QueueOffset(2), next: QueueOffset(20) }, min: QueueOffset(10) };
  let isCut = false;
  const inFlight = [3, 7].map((at) => ({ queueOffset: QueueOffset(at) }));
  const progress = { nextOffset: QueueOffset(8), consumerOffset: QueueOffset(3), inFlight };
  const state = {
    topics: () => [{ topic: 'a', queueCount: 1, createdAtMs: 5 }],
    topic: () => ({ createdAtMs: 5 }),
    groups: () => [{ group: 'g' }],
    topicsOf: () => ['a'],
    queueRange: () => (isCut ? { ...range.before, min: range.min } : range.before),
    progress: () => progress,
  } as unknown as DerivedState;
  const lost = { topicNumber: 1, queueId: 0, topic: 'a', createdAtMs: 5 };
  const offsets = { from: QueueOffset(7), to: QueueOffset(9) };
  const account = accountOf(state, [{ ...lost, ...offsets }], () => {
    isCut = true;
  });
  deepEqual(account.queues, [
    {
      ...{ topic: 'a', queueId: 0, lost: [{ from: 7, to: 8 }], lostCount: 2 },
      ...{ gone: { from: 2, to: 9 }, givenUpCount: 6 },
    },
  ]);
  // 3 and 7 were received and not acknowledged, 8 and 9 never received; of them 7 and 8 are lost.
  deepEqual(account.groups, [
    { group: 'g', topic: 'a', unconsumedLostCount: 2, unconsumedGivenUpCount: 2 },
  ]);
});
