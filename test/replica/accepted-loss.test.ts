/** A group goes on behind a loss: replicas on the directory that goes on, and on new ones that join it. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import type { RestorePlan } from '../../src/store/backup/restore-plan.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { liveDumpOf } from '../../src/store/derived/test-rows.ts';
import {
  acceptTaskOf,
  executeAcceptance,
  stagedSnapshotOf,
} from '../../src/store/recover/accept-loss.ts';
import { deriveAcceptedLoss } from '../../src/store/recover/loss-derivation.ts';
import { writeStagedSnapshot } from '../../src/store/recover/loss-files.ts';
import {
  aBusyLog,
  aWorld,
  type BusyLog,
  planIn,
  stage,
  stateOf,
  verdictOn,
} from '../../src/store/recover/loss-fixture.ts';
import { RECOVERED_IDENTITY } from '../../src/store/recover/recovery-fixture.ts';
import { RestoredGroup } from './restored-group.ts';

const NODES = ['n1', 'n2', 'n3'];
const NEVER = new AbortController().signal;

/** Of three members that lack the same entry, what the first one has become. */
async function accepted(log: BusyLog, damagedIndex: number): Promise<MemoryDisk> {
  const { lastIndex } = log.chain;
  const disk = new MemoryDisk();
  const directories = await stage(disk, {
    log,
    lengths: Object.fromEntries(NODES.map((node) => [node, lastIndex])),
    rot: NODES.map((node) => ({ node, index: damagedIndex, part: 'header' as const })),
    snapshot: { node: 'n3', index: lastIndex },
  });
  const index = LogIndex(damagedIndex);
  const plan = planIn(await verdictOn(disk, directories, { from: index, to: index }));
  const store = new MemoryKvStore();
  const options = { plan, disk, store, atMs: 1, signal: NEVER, onEntry: () => {} };
  const { state, appended } = await deriveAcceptedLoss(options);
  const task = acceptTaskOf(plan, appended, {});
  const snapshot = await state.takeSnapshot();
  await writeStagedSnapshot(disk, stagedSnapshotOf(task), snapshot);
  snapshot.close();
  await state.close();
  equal(task.directory, '/n1');
  await executeAcceptance(task, aWorld(disk));
  const moved = new MemoryDisk();
  for (const path of disk.paths.filter((each) => each.startsWith('/n1/'))) {
    await moved.writeFile(`/new${path}`, disk.contentOf(path));
  }
  return moved;
}

function groupOn(disk: MemoryDisk): RestoredGroup {
  const { groupId, segmentSizeBytes } = RECOVERED_IDENTITY;
  const members = [{ nodeId: NodeId('n1'), raftAddress: 'n1:10912' }];
  // Of a plan it asks for names only.
  const plan = {
    clusterId: 'test-cluster-r1',
    members,
    manifest: { identity: { groupId, segmentSizeBytes } },
  };
  return new RestoredGroup(disk, plan as unknown as RestorePlan);
}

for (const place of ['first', 'last'] as const) {
  test(`alone it leads with the state of before, and who joins has the same rows (the ${place} entries are lost)`, async () => {
    const log = aBusyLog(new Prng(7, 'loss'), 30, null);
    const damagedIndex = place === 'first' ? 9 : log.chain.lastIndex;
    const group = groupOn(await accepted(log, damagedIndex));
    const n1 = await group.start(NodeId('n1'));
    await group.until('it leads', () => group.serving === n1);
    const { membership } = n1.replica.status();
    deepEqual(membership.membership.voters, ['n1']);
    deepEqual([...membership.membership.removed].sort(), ['n2', 'n3']);

    const before = await stateOf(log.chain.entries);
    let knownCount = 0;
    for (const [id, { topic, index }] of log.messages) {
      const first = index === damagedIndex ? null : before.firstOutcome(topic, id);
      deepEqual(n1.replica.state.firstOutcome(topic, id), first, id);
      if (first !== null) knownCount += 1;
    }
    ok(knownCount > 30, `${knownCount} ids are known`);
    for (const topic of ['a', 'b']) {
      for (const queueId of [0, 1]) {
        const { next } = before.queueRange(topic, queueId);
        equal(n1.replica.state.queueRange(topic, queueId).next, next);
      }
    }
    await before.close();

    const member = {
      nodeId: NodeId('n4'),
      raftAddress: 'n4:1',
      storeUuid: 'store-n4',
      priority: 0,
    };
    const outcome = n1.replica.changeMembership([{ kind: 'addLearner', member }], membership.index);
    await group.until('n4 is a learner', () =>
      n1.replica.status().membership.membership.learners.includes(member.nodeId),
    );
    await outcome;
    const n4 = await group.start(NodeId('n4'));
    await group.until('n4 has all', () => {
      const { appliedIndex } = n4.replica.status();
      return appliedIndex === n1.replica.status().appliedIndex;
    });
    await group.until('all is in both databases', () =>
      [n1, n4].every(({ replica }) => replica.state.unflushedEntries === 0),
    );
    equal(n4.replica.state.digest(), n1.replica.state.digest());
    deepEqual(liveDumpOf(n4.kv), liveDumpOf(n1.kv));
    await group.close();
  });
}
