/** A group is backed up while it serves, and lives on as another cluster. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError, FatalError } from '../../src/base/errors.ts';
import { NodeId } from '../../src/base/units.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { type BackupNode, BackupNodeFailure } from '../../src/protocol/backup.ts';
import { BACKUP_LEASE_MS } from '../../src/replica/backup/limits.ts';
import { restoreBackup } from '../../src/store/backup/restore.ts';
import { planRestore } from '../../src/store/backup/restore-plan.ts';
import { readManifest, verifyBackup } from '../../src/store/backup/verify-backup.ts';
import { liveDumpOf } from '../../src/store/derived/test-rows.ts';
import { inspectStore } from '../../src/store/inspect/inspect-store.ts';
import {
  BACKUP,
  BackedUpGroup,
  cutAt,
  manifestOf,
  NEVER,
  planOf,
  restored,
  verified,
} from './backup-fixture.ts';
import type { RestoredGroup } from './restored-group.ts';

const RUNS = 12;

/** What the group was, and what the restored one is, row by row and digest by digest. */
async function assertRestored(
  it: BackedUpGroup,
  group: RestoredGroup,
  nodeId: string,
  lastIndex: number,
): Promise<void> {
  const node = group.nodes.get(nodeId)!;
  await group.until('all is in the database', () => node.replica.state.unflushedEntries === 0);
  const { digest, rows } = await it.rowsAfter(node, lastIndex as never);
  assert.equal(node.replica.state.digest(), digest);
  assert.deepEqual(liveDumpOf(node.kv), rows);
}

test('law: whatever the group did, and whenever it was backed up, the restored state is the state it had, row by row', async () => {
  const anAction = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('send' as const),
        count: fc.integer({ min: 1, max: 12 }),
        bodySizeBytes: fc.integer({ min: 1, max: 4_000 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('group' as const),
        name: fc.constantFrom('g1', 'g2', 'g3'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('killFollower' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('killLeader' as const) }) },
  );
  const someActions = fc.array(anAction, { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(someActions, someActions, fc.nat(1_000), async (before, during, seed) => {
      const it = await BackedUpGroup.started(seed);
      const act = async (action: (typeof before)[number]): Promise<void> => {
        if (action.kind === 'send') return it.send(action.count, action.bodySizeBytes);
        if (action.kind === 'group') return it.putGroup(action.name, 1);
        if (action.kind === 'expire') return void (await it.expire());
        const leader = await it.group.leader();
        const victim =
          action.kind === 'killLeader'
            ? leader.nodeId
            : it.group.nodeIds.find((id) => id !== leader.nodeId)!;
        await it.group.kill(victim);
        await it.start(victim);
      };
      for (const action of before) await act(action);
      const marked = await it.mark();
      const disk = new MemoryDisk();
      const taking = it.take(disk, marked);
      const outcome = taking.catch((error: Error) => error);
      for (const action of during) await act(action);
      const manifest = manifestOf(await it.settled(outcome as typeof taking));
      assert.ok(manifest.last.index >= marked);
      assert.deepEqual(await verified(disk), manifest);
      const group = await restored(disk, planOf(manifest, ['m1']));
      await group.start(NodeId('m1'));
      await group.until('it leads', () => group.serving !== null);
      await assertRestored(it, group, 'm1', manifest.last.index);
      await group.close();
      await it.stop();
    }),
    { numRuns: RUNS },
  );
});

const FLIPS = 400;

/** A group with a compacted log of a few segments, and a backup of it. */
async function aBackup() {
  const it = await BackedUpGroup.started();
  await it.send(30);
  await it.expire();
  await it.compacted();
  await it.putGroup('g1', 0);
  await it.send(40, 700);
  const disk = new MemoryDisk();
  const manifest = await it.taken(disk, await it.mark());
  assert.ok(manifest.base.desc !== null && manifest.files.length > 2, 'it has a base and segments');
  return { it, disk, manifest };
}

async function problemOf(disk: MemoryDisk): Promise<string | null> {
  try {
    const found = await readManifest(disk, BACKUP);
    if (found.kind !== 'manifest') return found.kind;
    const { manifest } = found;
    await verifyBackup({ disk, directory: BACKUP, manifest, signal: NEVER, onBytes: () => {} });
    return null;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return error.message;
  }
}

test('law: one flipped bit anywhere in a backup is found, and so is a missing, cut, longer or strange file', async () => {
  const { it, disk } = await aBackup();
  assert.equal(await problemOf(disk), null);
  const paths = disk.paths;
  const aPlace = fc.record({
    path: fc.constantFrom(...paths),
    part: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    bit: fc.nat(7),
  });
  await fc.assert(
    fc.asyncProperty(aPlace, async ({ path, part, bit }) => {
      const image = disk.imageOn({});
      const content = image.contentOf(path);
      const at = Math.floor(part * content.length);
      image.rot(path, at, Uint8Array.of(content[at]! ^ (1 << bit)));
      assert.notEqual(await problemOf(image), null, `${path} at ${at}`);
    }),
    { numRuns: FLIPS },
  );
  for (const path of paths) {
    const missing = disk.imageOn({});
    missing.vanish(path);
    assert.notEqual(await problemOf(missing), null, `without ${path}`);
    for (const change of [-1, 1]) {
      const other = disk.imageOn({});
      const content = other.contentOf(path);
      const next = new Uint8Array(content.length + change);
      next.set(content.subarray(0, next.length));
      await other.writeFile(path, next);
      assert.notEqual(await problemOf(other), null, `${path} of ${next.length} bytes`);
    }
  }
  const strange = disk.imageOn({});
  await strange.writeFile(`${BACKUP}/data/${'9'.repeat(20)}.seg`, new Uint8Array(8));
  assert.notEqual(await problemOf(strange), null, 'with a strange file');
  await it.stop();
});

test('a backup that loses power at any of its steps is no backup, or a whole one; the next attempt finishes it', async () => {
  const { it, manifest } = await aBackup();
  const mark = manifest.last.index;
  let isCut = true;
  let stepCount = 0;
  for (let step = 0; isCut; step++) {
    const first = cutAt(new MemoryDisk(), step, step);
    const taking = it.take(first.disk, mark);
    const ended = it.settled(taking).then(() => null);
    const next = await Promise.race([ended, first.next]);
    isCut = first.isCut();
    if (next === null) break;
    stepCount += 1;
    const found = await problemOf(next);
    if (found !== null) assert.ok(['none', 'unfinished'].includes(found), `at ${step}: ${found}`);
    if (found === null) continue;
    const again = manifestOf(await it.settled(it.take(next, mark)));
    assert.deepEqual({ ...again, takenAt: '' }, { ...manifest, takenAt: '' });
    assert.equal(await problemOf(next), null, `at ${step}`);
  }
  assert.ok(stepCount > 10, `${stepCount} steps were cut`);
  // What was cut off still waits for a disk that is gone.
  await Promise.race([it.stop(), new Promise((resolve) => setTimeout(resolve, 1))]);
});

test('a node that is lost is followed by another one; the bytes are the same', async () => {
  const { it, manifest } = await aBackup();
  const whole = new MemoryDisk();
  const reference = await it.taken(whole, manifest.last.index);
  for (const count of [1, 3, 10]) {
    const disk = new MemoryDisk();
    const breaking = (node: BackupNode): BackupNode => ({
      ...node,
      entries: async function* (pull, signal) {
        const lastIndex = Math.min(pull.firstIndex + count - 1, pull.lastIndex);
        yield* node.entries({ ...pull, lastIndex }, signal);
        if (lastIndex < pull.lastIndex) throw new BackupNodeFailure('lost', 'it broke');
      },
    });
    const taking = it.take(disk, manifest.last.index, () => it.nodes(breaking));
    const again = manifestOf(await it.settled(taking));
    assert.deepEqual(again.files, reference.files);
    assert.ok(it.events.some(({ kind }) => kind === 'nodeFailed'));
  }
  await it.stop();
});

test('what a backup still reads is kept on its node, for as long as it is heard of', async () => {
  const it = await BackedUpGroup.started();
  await it.send(30);
  const [node] = [...it.group.running.values()];
  const desk = node!.replica.backups!;
  const begin = { holder: 'b', firstIndex: 0, snapshot: null };
  const offer = await it.group.outcomeOf(desk.begin(begin));
  assert.equal(offer.base.desc, null);
  await it.expire();
  const others = [...it.group.running.values()].filter((each) => each !== node);
  await it.group.until('the others have let go', () =>
    others.every(({ replica }) => replica.status().firstIndex > 1),
  );
  assert.equal(node!.replica.status().firstIndex, 1);
  const range = { firstIndex: 1, lastIndex: 5, prevHeaderCrc: 0, bytesPerSecond: 0 };
  const first = await desk.entries({ holder: 'b', ...range }).next();
  assert.ok(first.done === false && first.value.length > 0);
  await it.group.pass(BACKUP_LEASE_MS + 1_000);
  await it.compacted();
  assert.ok(node!.events.some(({ kind }) => kind === 'backupPinEnded'));
  await assert.rejects(desk.entries({ holder: 'b', ...range }).next(), { reason: 'gone' });
  await it.stop();
});

/** As `mq-raft log verify` sees it. */
async function assertWhole(disk: MemoryDisk, directory: string, lastIndex: number): Promise<void> {
  const nothing = (): void => {};
  const inspection = await inspectStore({
    ...{ disk, directory, depth: 'records', isLive: false, signal: NEVER },
    ...{ onDamage: nothing, onProgress: nothing },
  });
  assert.equal(inspection.damageCount, 0);
  assert.equal(inspection.startup?.kind, 'opens');
  assert.equal(inspection.provenCommitIndex, inspection.last?.index);
  assert.ok((inspection.last?.index ?? 0) > lastIndex);
}

test('a restored cluster: two of three directories begin, the third one follows, a new learner gets the whole log', async () => {
  const { it, disk, manifest } = await aBackup();
  const plan = planOf(manifest, ['m1', 'm2', 'm3']);
  const group = await restored(disk, plan);
  for (const { directory } of plan.made) await assertWhole(disk, directory, manifest.last.index);
  await group.start(NodeId('m1'));
  await group.pass(10_000);
  assert.equal(group.serving, null, 'one of three decides nothing');
  await group.start(NodeId('m2'));
  await group.until('two of three serve', () => group.serving !== null);
  await group.start(NodeId('m3'));
  await group.until('all have applied all', () => {
    const indexes = [...group.nodes.values()].map(({ replica }) => replica.status());
    return indexes.every(({ appliedIndex, lastIndex }) => appliedIndex === lastIndex);
  });
  for (const nodeId of ['m1', 'm2', 'm3']) {
    await assertRestored(it, group, nodeId, manifest.last.index);
    const { membership } = group.nodes.get(nodeId)!.replica.status();
    assert.deepEqual(membership.membership.voters, ['m1', 'm2', 'm3']);
    assert.deepEqual(membership.membership.removed, ['n1', 'n2', 'n3']);
  }
  const { replica: leader } = group.serving!;
  const { index } = leader.status().membership;
  const member = { nodeId: NodeId('m4'), raftAddress: 'm4:1', storeUuid: 'store-m4', priority: 0 };
  const outcome = leader.changeMembership([{ kind: 'addLearner', member }], index);
  await group.pass(1_000);
  assert.equal((await outcome).kind, 'accepted');
  const learner = await group.start(NodeId('m4'));
  await group.until('the learner has all', () => {
    const { appliedIndex } = learner.replica.status();
    return appliedIndex === leader.status().lastIndex && appliedIndex > index;
  });
  await assertRestored(it, group, 'm4', manifest.last.index);
  await group.close();
  await it.stop();
});

test('a restore refuses ids that exist, node ids that were used, and directories that hold something', async () => {
  const { it, disk, manifest } = await aBackup();
  const members = [{ nodeId: 'n1', raftAddress: 'n1:1' }];
  const same = planRestore(manifest, { clusterId: 'c', members, only: null, directory: '/new' });
  assert.ok(same.kind === 'refused' && same.problems.length === 2, JSON.stringify(same));
  const plan = planOf(manifest, ['m1']);
  await disk.writeFile('/new/m1/notes', new Uint8Array(1));
  const restore = () =>
    restoreBackup({ disk, directory: BACKUP, plan, signal: NEVER, onBytes: () => {} });
  await assert.rejects(restore(), FatalError);
  assert.ok(disk.paths.includes('/new/m1/notes'));
  disk.vanish('/new/m1/notes');
  await restore();
  await assert.rejects(restore(), FatalError);
  await it.stop();
});

test('a restore that loses power at any of its steps leaves no store, and can be done again', async () => {
  const { it, disk, manifest } = await aBackup();
  const plan = planOf(manifest, ['m1', 'm2']);
  const reference = disk.imageOn({});
  await restoreBackup({
    disk: reference,
    directory: BACKUP,
    plan,
    signal: NEVER,
    onBytes: () => {},
  });
  let isCut = true;
  for (let step = 0; isCut; step += 3) {
    const cut = cutAt(disk.imageOn({}), step, step);
    const options = { directory: BACKUP, plan, signal: NEVER, onBytes: () => {} };
    const restoring = restoreBackup({ disk: cut.disk, ...options }).then(() => null);
    const next = await Promise.race([restoring, cut.next]);
    isCut = cut.isCut();
    if (next === null) break;
    const stores = plan.made.filter((each) => next.paths.includes(`${each.directory}/superblock`));
    // A directory that has its superblock is whole: the others are made again without it.
    for (const { directory } of stores) {
      for (const path of next.paths.filter((each) => each.startsWith(`${directory}/`))) {
        if (path.endsWith('restore-unfinished')) continue;
        assert.deepEqual(next.contentOf(path), reference.contentOf(path), path);
      }
    }
    const rest = { ...plan, made: plan.made.filter((each) => !stores.includes(each)) };
    await restoreBackup({ ...options, disk: next, plan: rest });
    for (const path of reference.paths) {
      assert.deepEqual(next.contentOf(path), reference.contentOf(path), path);
    }
  }
  await it.stop();
});
