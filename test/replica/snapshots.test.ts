/** A log that loses its beginning, and replicas that need what is gone (H16 to H18). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import { KIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import type { ReplicaStatus } from '../../src/replica/replica.ts';
import { liveDumpOf } from '../../src/store/derived/test-rows.ts';
import { nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup, type RunningNode } from './replica-group.ts';

const SEGMENT = 16 * KIB;
const LIMITS = { entriesMax: 1_000_000, periodMs: 3_600_000, pauseMsMin: 0 };

async function startedGroup(): Promise<ReplicaGroup> {
  const group = await ReplicaGroup.started({ segmentSizeBytes: SEGMENT, snapshotLimits: LIMITS });
  await group.createTopic();
  await group.pinned();
  return group;
}

async function send(group: ReplicaGroup, count: number, bodySizeBytes = 1_000): Promise<void> {
  for (let i = 0; i < count; i++) {
    const leader = await group.leader();
    const proposal = messageProposal(nextOffset(leader), { bodySizeBytes });
    storedOf(await group.outcomeOf(leader.replica.propose(proposal)));
  }
}

/** The group gives up all but the last segments. @returns the first entry that stays */
async function expire(group: ReplicaGroup, keptSegments = 1): Promise<LogIndex> {
  const leader = await group.leader();
  const { segments } = leader.replica.logExtent(false);
  const start = segments.at(-keptSegments)!;
  const records = encodeCommandRecord({
    kind: 'advanceLogStart',
    firstIndex: start.firstIndex,
    physicalOffset: start.physicalOffset,
    reason: 'size',
    storeTimestampMs: 0,
    atMs: 1,
  });
  const outcome = await group.outcomeOf(leader.replica.propose({ records, messageRecordAt: [] }));
  assert.ok(outcome.kind === 'applied' && outcome.results[0]?.kind === 'logStartAdvanced');
  assert.ok(outcome.results[0].advanced);
  return start.firstIndex;
}

const statusOf = (node: RunningNode): ReplicaStatus => node.replica.status();
const kindsOf = (node: RunningNode): readonly string[] => node.events.map(({ kind }) => kind);

async function compacted(group: ReplicaGroup, firstIndex: LogIndex): Promise<void> {
  await group.until('all logs begin later', () =>
    [...group.running.values()].every((node) => statusOf(node).firstIndex === firstIndex),
  );
}

/** Whatever way it took: same logs from the start on, same derived state, same answers. */
async function assertSame(group: ReplicaGroup): Promise<void> {
  await group.allApplied();
  await group.until('all is in the databases', () =>
    [...group.running.values()].every(({ replica }) => replica.state.unflushedEntries === 0),
  );
  const nodes = [...group.running.values()];
  const views = nodes.map((node) => {
    const { lastIndex } = statusOf(node);
    const first = LogIndex(Math.max(...nodes.map((each) => statusOf(each).firstIndex)));
    const entries = node.log.cachedEntries(first, lastIndex) ?? [];
    return {
      log: Buffer.concat(entries.map(({ bytes }) => bytes)).toString('hex'),
      digest: node.replica.state.digest(),
      logStart: node.replica.state.logStart,
      range: node.replica.state.queueRange('t', 0),
      rows: liveDumpOf(group.kvs.get(node.nodeId)!),
    };
  });
  for (const view of views) assert.deepEqual(view, views[0]);
}

test('when the start of the log has moved, each replica takes a snapshot and removes what is before it', async () => {
  const group = await startedGroup();
  await send(group, 40);
  const first = await expire(group);
  await compacted(group, first);
  for (const node of group.running.values()) {
    assert.equal(node.snapshots.newest?.logStart.index, first);
    assert.equal(node.log.base.desc?.last.index, first - 1);
    assert.ok(statusOf(node).keptBytes < 2 * SEGMENT);
  }
  await send(group, 20);
  await assertSame(group);
  await group.stopAll();
});

test('a replica with a compacted log starts again, with its database and without', async () => {
  const group = await startedGroup();
  await send(group, 40);
  const first = await expire(group);
  await send(group, 5);
  await compacted(group, first);
  const rows = liveDumpOf(group.kvs.get(NodeId('n1'))!);
  for (const isLost of [false, true]) {
    await group.kill(NodeId('n1'));
    if (isLost) await group.kvs.get(NodeId('n1'))!.clear();
    const node = await group.start(NodeId('n1'));
    assert.equal(kindsOf(node).includes('stateRebuilt'), isLost);
    assert.equal(statusOf(node).firstIndex, first);
    await assertSame(group);
  }
  await group.until('it is in the database', () => {
    return group.node(NodeId('n1')).replica.state.unflushedEntries === 0;
  });
  assert.ok(rows.length > 0);
  await group.stopAll();
});

test('a follower that was away while the log was compacted catches up by a snapshot', async () => {
  const group = await startedGroup();
  const follower = group.nodeIds.find((id) => id !== group.serving!.nodeId)!;
  await send(group, 5);
  await group.allApplied();
  await group.kill(follower);
  await send(group, 40);
  const first = await expire(group);
  await compacted(group, first);
  await send(group, 5);
  const node = await group.start(follower);
  await group.until('it has caught up', () => statusOf(node).firstIndex === first);
  await assertSame(group);
  const kinds = kindsOf(node);
  for (const kind of ['snapshotPulling', 'snapshotPulled', 'snapshotInstalled', 'stateRebuilt']) {
    assert.ok(kinds.includes(kind as never), `${kind} in ${kinds.join()}`);
  }
  assert.equal(statusOf(node).install, null);
  await send(group, 30);
  await assertSame(group);
  await group.stopAll();
});

/** A follower without what the others have removed. */
async function withLaggard(group: ReplicaGroup): Promise<NodeId> {
  const follower = group.nodeIds.find((id) => id !== group.serving!.nodeId)!;
  await send(group, 5);
  await group.allApplied();
  await group.kill(follower);
  await send(group, 40);
  await compacted(group, await expire(group));
  await send(group, 5);
  return follower;
}

/** Nothing of it is lost but what no disk had. */
async function crash(group: ReplicaGroup, nodeId: NodeId, seed: number): Promise<void> {
  const { disks } = group;
  await group.kill(nodeId);
  disks.set(nodeId, group.diskOf(nodeId).powerCut(new Prng(seed, 'power')));
}

test('a crash at any step of the installation is harmless', async () => {
  const seen = new Set<string>();
  let step = 0;
  for (let isOver = false; !isOver; step += 2) {
    const group = await startedGroup();
    const follower = await withLaggard(group);
    const node = await group.start(follower);
    for (let i = 0; i < step; i++) await group.turn();
    isOver = kindsOf(node).includes('stateRebuilt' as never);
    seen.add(`${statusOf(node).install?.phase} ${node.snapshots.all.length}`);
    await crash(group, follower, step);
    await group.start(follower);
    await assertSame(group);
    await send(group, 1);
    await assertSame(group);
    await group.stopAll();
  }
  assert.ok(step > 10, `${step} steps`);
  for (const phase of ['receiving 0', 'waiting 1']) {
    assert.ok(seen.has(phase), `${phase} in ${[...seen].join(', ')}`);
  }
});

test('a transfer that breaks goes on with the chunk that is missing, and a damaged chunk never counts', async () => {
  const group = await startedGroup();
  await fillSnapshot(group);
  const follower = await withLaggard(group);
  const { fate } = group.transfers;
  let damagedCount = 0;
  group.transfers.fate = (chunk, _from, number) => {
    if (number === 1 && damagedCount++ < 3)
      return chunk.map((byte, at) => byte ^ (at === 99 ? 4 : 0));
    return number >= 2 ? null : chunk;
  };
  const node = await group.start(follower);
  await group.until(
    'some chunks are here',
    () => kindsOf(node).filter((kind) => kind === 'snapshotPulling').length > 4,
  );
  assert.ok(!kindsOf(node).includes('snapshotPulled' as never));
  assert.equal(statusOf(node).install?.phase ?? 'receiving', 'receiving');
  // So it is after a restart.
  await group.kill(follower);
  group.transfers.fate = fate;
  group.transfers.log.length = 0;
  await group.start(follower);
  await assertSame(group);
  const numbers = group.transfers.log.map((line) => Number(line.split(' ')[1]));
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 2),
    'chunks 0 and 1 did not come again',
  );
  await group.stopAll();
});

test('the leader changes while a snapshot is on its way, and the next one brings it to an end', async () => {
  const group = await startedGroup();
  await fillSnapshot(group);
  const follower = await withLaggard(group);
  const { fate } = group.transfers;
  group.transfers.fate = (chunk, _from, number) => (number >= 1 ? null : chunk);
  const before = (await group.leader()).nodeId;
  const node = await group.start(follower);
  await group.until('one chunk is here', () => group.transfers.log.length > 0);
  await group.kill(before);
  group.transfers.fate = fate;
  await group.until('another one leads', () => {
    const { serving } = group;
    return serving !== null && serving.nodeId !== before && statusOf(node).install === null;
  });
  await send(group, 3);
  await group.start(before);
  await assertSame(group);
  await group.stopAll();
});

test('a second snapshot takes the place of one that was not installed yet', async () => {
  const group = await startedGroup();
  const follower = await withLaggard(group);
  const node = await group.start(follower);
  // It has the snapshot, and is cut off before it gets the entries.
  await group.until('the first one is here', () =>
    kindsOf(node).includes('snapshotPulled' as never),
  );
  for (const id of group.nodeIds) if (id !== follower) group.network.cut(follower, id);
  await send(group, 40);
  const first = await expire(group);
  await group.until('the others have removed more', () =>
    [...group.running.values()].every(
      (each) => each === node || statusOf(each).firstIndex === first,
    ),
  );
  group.network.heal();
  await group.until('it stands on the second one', () => statusOf(node).firstIndex === first);
  await assertSame(group);
  await group.stopAll();
});

test('a new learner gets a snapshot and is promoted like any other', async () => {
  const group = await startedGroup();
  await send(group, 40);
  await compacted(group, await expire(group));
  const n4 = NodeId('n4');
  await group.change({
    kind: 'addLearner',
    member: { nodeId: n4, storeUuid: 'store-n4', raftAddress: 'n4:10912', priority: 0 },
  });
  const node = await group.startJoiner(n4);
  await group.until(
    'it has caught up',
    () => statusOf(node).install === null && statusOf(node).firstIndex > 1,
  );
  await assertSame(group);
  await group.change({ kind: 'promote', nodeId: n4 });
  await send(group, 3);
  await assertSame(group);
  await group.stopAll();
});

test('a replica whose snapshot and database are both lost gets a snapshot from a member', async () => {
  const group = await startedGroup();
  await send(group, 40);
  await compacted(group, await expire(group));
  const follower = group.nodeIds.find((id) => id !== group.serving!.nodeId)!;
  await group.kill(follower);
  await group.kvs.get(follower)!.clear();
  const disk = group.diskOf(follower);
  for (const path of disk.paths) disk.vanish(path);
  const node = await group.start(follower);
  assert.equal(statusOf(node).install?.phase, 'missing');
  await group.until('it has one', () => statusOf(node).install === null);
  await assertSame(group);
  await group.stopAll();
});

test('a snapshot that has rotted is put aside, said, and got again', async () => {
  const group = await startedGroup();
  await send(group, 40);
  await compacted(group, await expire(group));
  const follower = group.nodeIds.find((id) => id !== group.serving!.nodeId)!;
  await group.kill(follower);
  await group.kvs.get(follower)!.clear();
  const disk = group.diskOf(follower);
  const path = disk.paths.find((each) => each.endsWith('.snap'))!;
  disk.rot(path, 500, new Uint8Array([0xa5]));
  const node = await group.start(follower);
  await group.until('it has a good one', () => statusOf(node).install === null);
  await assertSame(group);
  assert.deepEqual(
    node.snapshotEvents.map(({ kind }) => kind),
    ['snapshotDamaged'],
  );
  await group.stopAll();
});

test('members hold the log: one that is behind, one that is away, until the grace is over or the disk full', async () => {
  const graceMs = 20_000;
  const group = await ReplicaGroup.started({
    segmentSizeBytes: SEGMENT,
    snapshotLimits: { ...LIMITS, memberGraceMs: graceMs },
  });
  await group.createTopic();
  await group.pinned();
  const leader = await group.leader();
  const [first] = group.nodeIds.filter((id) => id !== leader.nodeId);
  await group.kill(first!);
  const last = group.stores.get(first!)!.last.index;
  await send(group, 10);
  const held = leader.replica.logExtent(false).removableBefore;
  assert.ok(held <= last + 1, `${held} is held by who is away at ${last}`);
  assert.ok(leader.replica.logExtent(true).removableBefore > last + 1, 'but not on a full disk');
  assert.ok(kindsOf(leader).includes('membersOverridden' as never));
  await group.pass(graceMs + 1_000);
  assert.ok(leader.replica.logExtent(false).removableBefore > last + 1);
  await group.stopAll();
});

test('a follower that answers and gets next to nothing holds the log for as long as that takes', async () => {
  const group = await ReplicaGroup.started({
    segmentSizeBytes: SEGMENT,
    snapshotLimits: { ...LIMITS, memberGraceMs: 1_000 },
  });
  await group.createTopic();
  await group.pinned();
  const leader = await group.leader();
  const slow = group.nodeIds.find((id) => id !== leader.nodeId)!;
  const before = statusOf(group.node(slow)).lastIndex;
  // Heartbeats are short.
  group.network.tamper = (_from, to, bytes) =>
    to === slow && bytes.length > 500 ? bytes.subarray(1) : bytes;
  await send(group, 20);
  await group.pass(5_000);
  assert.ok(leader.replica.logExtent(false).removableBefore <= before + 1);
  group.network.tamper = (_from, _to, bytes) => bytes;
  await group.until('it has everything', () => statusOf(group.node(slow)).lastIndex > before + 19);
  await group.until(
    'nothing is held',
    () => leader.replica.logExtent(false).removableBefore > before + 19,
  );
  await assertSame(group);
  await group.stopAll();
});

test('while all followers are away nothing is decided, and nothing goes', async () => {
  const group = await ReplicaGroup.started({
    segmentSizeBytes: SEGMENT,
    snapshotLimits: { ...LIMITS, memberGraceMs: 100 },
  });
  await group.createTopic();
  await send(group, 30);
  const leader = await group.leader();
  const { segments } = leader.replica.logExtent(false);
  for (const id of group.nodeIds) if (id !== leader.nodeId) await group.kill(id);
  const records = encodeCommandRecord({
    kind: 'advanceLogStart',
    ...segments.at(-1)!,
    reason: 'size',
    storeTimestampMs: 0,
    atMs: 1,
  });
  void leader.replica.propose({ records, messageRecordAt: [] });
  await group.pass(20_000);
  assert.equal(statusOf(leader).firstIndex, 1);
  assert.equal(leader.replica.state.logStart.index, 1);
  await group.stopAll();
});

test('a receiver without room gets nothing, says why, and everything when there is room', async () => {
  const group = await startedGroup();
  const follower = await withLaggard(group);
  group.diskOf(follower).limitTo(100);
  const node = await group.start(follower);
  const leader = await group.leader();
  await group.until('the leader hears why', () =>
    leader.events.some(
      (event) => event.kind === 'snapshotNotGiven' && event.why.includes('ENOSPC'),
    ),
  );
  assert.equal(statusOf(node).firstIndex, 1);
  assert.deepEqual(node.failures, []);
  group.diskOf(follower).limitTo(1e9);
  await assertSame(group);
  assert.ok(statusOf(node).firstIndex > 1);
  await group.stopAll();
});

/** Of several chunks. */
async function fillSnapshot(group: ReplicaGroup): Promise<void> {
  const leader = await group.leader();
  for (let part = 0; part < 200; part++) {
    const records = Array.from({ length: 50 }, (_, i) =>
      encodeCommandRecord({
        kind: 'topicPut',
        topic: `topic-${part}-${i}-${'x'.repeat(100)}`,
        queueCount: 1,
        permission: 6,
        messageTypes: [1],
        atMs: 1,
      }),
    );
    const proposal = { records: Buffer.concat(records), messageRecordAt: [] };
    const outcome = await group.outcomeOf(leader.replica.propose(proposal));
    assert.equal(outcome.kind, 'applied');
  }
}

test('a snapshot that is asked for is there when the answer comes, with all that was applied', async () => {
  const group = await startedGroup();
  await send(group, 5);
  await group.allApplied();
  const node = group.node(NodeId('n2'));
  const keeper = node.replica.snapshotKeeper;
  assert.ok(keeper !== null);
  const { appliedIndex } = node.replica.state;
  const taken = await group.outcomeOf(keeper.take());
  assert.ok(taken.kind === 'taken' && taken.info.appliedIndex >= appliedIndex);
  assert.deepEqual(node.snapshots.newest, taken.info);
  // Nothing new: the same one will do.
  assert.deepEqual(await group.outcomeOf(keeper.take()), taken);
  await send(group, 1);
  const asking = keeper.take();
  await group.stop(NodeId('n2'));
  assert.ok(['taken', 'failed'].includes((await asking).kind), 'nobody waits for ever');
  await group.stopAll();
});
