import { deepEqual, equal, match, ok } from 'node:assert/strict';
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
import { openTestLog } from '../log-fixture.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import {
  type AcceptTask,
  acceptTaskOf,
  executeAcceptance,
  stagedSnapshotOf,
  unfinishedAcceptance,
} from './accept-loss.ts';
import { type DerivedLoss, deriveAcceptedLoss } from './loss-derivation.ts';
import { writeStagedSnapshot } from './loss-files.ts';
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
    { numRuns: 500 },
  );
  ok(kept.some > 5 && kept.none > 5, JSON.stringify(kept));
});

function inspectAll(disk: MemoryDisk, directory: string) {
  const nothing = (): void => {};
  return inspectStore({
    ...{ disk, directory, signal, isLive: false, depth: 'records' },
    onDamage: nothing,
    onProgress: nothing,
  });
}
void inspectAll;
void match;
void unfinishedAcceptance;
