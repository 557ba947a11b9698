/** A log that loses its beginning, and replicas that need what is gone (H16 to H18). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIB, MIB } from '../../src/base/sizes.ts';
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
  assert.ok(MIB > 0);
  await group.stopAll();
});
