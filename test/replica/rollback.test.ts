/** Directories that come back older than they were: wiped, restored from an image, or cloned (H21 to H23). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../../src/base/errors.ts';
import { NodeId } from '../../src/base/units.ts';
import { REFUSED_BY_GROUP_MS } from '../../src/replica/limits.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { BOOT_IDS_KEPT_MAX } from '../../src/store/limits.ts';
import { nextOffset, storedOf } from './group-views.ts';
import type { MemoryStore } from './memory-commit-log.ts';
import { messageProposal, ReplicaGroup, type RunningNode } from './replica-group.ts';

const n = (number: number) => NodeId(`n${number}`);

async function startedGroup(): Promise<{ group: ReplicaGroup; followers: readonly NodeId[] }> {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  await group.pinned();
  const { nodeId } = await group.leader();
  return { group, followers: group.nodeIds.filter((id) => id !== nodeId) };
}

async function send(group: ReplicaGroup, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    const leader = await group.leader();
    const sending = leader.replica.propose(messageProposal(nextOffset(leader)));
    storedOf(await group.outcomeOf(sending));
  }
}

async function restart(group: ReplicaGroup, nodeId: NodeId): Promise<RunningNode> {
  await group.kill(nodeId);
  return group.start(nodeId);
}

/** The directory as it was when the image was made; derived state is made anew from its log. */
async function restore(
  group: ReplicaGroup,
  nodeId: NodeId,
  image: MemoryStore,
): Promise<RunningNode> {
  if (group.running.has(nodeId)) await group.kill(nodeId);
  group.stores.set(nodeId, image.copy());
  group.kvs.set(nodeId, new MemoryKvStore());
  return group.start(nodeId);
}

/** How often `by` refused a peer with the code. */
const refusalsOf = (by: RunningNode, code: string) =>
  by.peerEvents.flatMap((event) =>
    event.kind === 'refusedPeer' && event.code === code ? [event.sentence] : [],
  );

const imageOf = (group: ReplicaGroup, nodeId: NodeId) => group.stores.get(nodeId)!.copy();

async function untilItEnds(group: ReplicaGroup, node: RunningNode): Promise<void> {
  await group.until('it gives up', () => node.failures.length > 0);
  const [error] = node.failures;
  assert.ok(error instanceof FatalError);
  assert.equal(error.reason, 'refusedByGroup');
  assert.match(error.message, /2 of 3 members refuse it.*a new id/);
}

test('an image of the same start is refused by the leader that has its acknowledgements, for ever', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const image = imageOf(group, victim!);
  await send(group, 3);
  await group.allApplied();
  const restored = await restore(group, victim!, image);
  const leader = await group.leader();
  await group.until('it is refused', () => refusalsOf(leader, 'olderStore').length > 0);
  const forgotten = restored.replica.status().lastIndex;
  const [sentence] = refusalsOf(leader, 'olderStore');
  const words = `last entry ${forgotten} of term 1, but acknowledged entry ${forgotten + 3} of term 1`;
  assert.ok(sentence?.includes(words), `${words} in: ${sentence}`);
  await group.pass(REFUSED_BY_GROUP_MS);
  assert.deepEqual(restored.failures, [], 'one peer alone does not end it');
  assert.deepEqual(
    restored.replica.status().refusedBy.map(({ nodeId, code }) => `${nodeId} ${code}`),
    [`${leader.nodeId} olderStore`],
  );
  assert.equal(restored.replica.status().lastIndex, forgotten);
  await send(group);

  // Neither the next start of the image nor a later term makes it a member again.
  leader.peerEvents.length = 0;
  await restart(group, victim!);
  await group.until('it is refused again', () => refusalsOf(leader, 'olderStore').length > 0);
  await group.stopAll();
});

test('an orderly close keeps what followers have acknowledged', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const image = imageOf(group, victim!);
  await send(group, 3);
  const { nodeId } = await group.leader();
  // All are down, and no term is newer than the image.
  await group.stop(victim!);
  await group.stop(nodeId);
  const leaderBefore = await group.start(nodeId);
  await restore(group, victim!, image);
  await group.until('it is refused', () => refusalsOf(leaderBefore, 'olderStore').length > 0);
  await group.stopAll();
});

test('an older image whose start counter catches up is refused by everybody, and ends each time', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const image = imageOf(group, victim!);
  for (let i = 0; i < 3; i++) {
    await restart(group, victim!);
    await group.pass(1_000);
  }
  const seen = group.stores.get(victim!)!.bootCount;
  let restored = await restore(group, victim!, image);
  for (let start = image.bootCount + 1; start <= seen + 3; start++) {
    assert.equal(group.stores.get(victim!)!.bootCount, start);
    for (const other of group.running.values()) other.peerEvents.length = 0;
    await group.until(`start ${start} is refused by all`, () =>
      [...group.running.values()].every(
        (other) => other === restored || refusalsOf(other, 'olderStore').length > 0,
      ),
    );
    assert.equal(restored.replica.status().leader, null);
    if (start < seen + 3) restored = await restart(group, victim!);
  }
  await group.until('it learns it', () =>
    restored.events.some((event) => event.kind === 'refusedByGroup'),
  );
  assert.equal(restored.replica.status().refusedBy.length, 2);
  await untilItEnds(group, restored);
  await group.stop(victim!);
  await send(group);
  await group.stopAll();
});

test('however often an image is started, it is not forgotten that it was refused', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const image = imageOf(group, victim!);
  await restart(group, victim!);
  await group.pass(1_000);
  await restore(group, victim!, image);
  for (let start = 0; start < BOOT_IDS_KEPT_MAX + 3; start++) {
    for (const other of group.running.values()) other.peerEvents.length = 0;
    await group.until(`start ${start} of the image is refused by all`, () =>
      [...group.running.values()].every(
        (other) => other.nodeId === victim || refusalsOf(other, 'olderStore').length > 0,
      ),
    );
    await restart(group, victim!);
  }
  await group.stopAll();
});

test('what nodes know of each other outlives a restart of everybody', async () => {
  const { group } = await startedGroup();
  const image = imageOf(group, n(1));
  for (let round = 0; round < 2; round++) {
    for (const nodeId of group.nodeIds) await group.kill(nodeId);
    for (const nodeId of group.nodeIds) await group.start(nodeId);
    await send(group);
    await group.allApplied();
    for (const node of group.running.values()) assert.deepEqual(refusalsOf(node, 'olderStore'), []);
  }
  for (const nodeId of group.nodeIds) await group.kill(nodeId);
  await restore(group, n(1), image);
  for (const nodeId of [n(2), n(3)]) await group.start(nodeId);
  await group.until('both refuse it', () =>
    [n(2), n(3)].every((nodeId) => refusalsOf(group.node(nodeId), 'olderStore').length > 0),
  );
  await send(group);
  await group.stopAll();
});

test('a clone that is started beside its original takes its place: one of them takes part', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const original = group.node(victim!);
  group.stores.set(victim!, imageOf(group, victim!));
  group.kvs.set(victim!, new MemoryKvStore());
  const clone = await group.start(victim!);
  await group.until('the clone takes part', () => clone.replica.status().leader !== null);
  await group.until('the original is refused by most', () =>
    original.events.some((event) => event.kind === 'refusedByGroup'),
  );
  await untilItEnds(group, original);
  await send(group);
  await group.until('the clone has it', () => nextOffset(clone) === 1);
  assert.equal(nextOffset(original), 0);
  assert.deepEqual(clone.failures, []);
  await group.stop(victim!);
  await original.replica.close();
  await group.stopAll();
});

test('a clone that lacks something acknowledged is refused, and its original stays', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  const original = group.node(victim!);
  const image = imageOf(group, victim!);
  await send(group, 2);
  await group.allApplied();
  group.stores.set(victim!, image);
  group.kvs.set(victim!, new MemoryKvStore());
  const clone = await group.start(victim!);
  const leader = await group.leader();
  await group.until('the clone is refused', () => refusalsOf(leader, 'olderStore').length > 0);
  assert.equal(nextOffset(clone), 0);
  await group.stop(victim!);
  await original.replica.close();
  await group.stopAll();
});

test('a node that was started more often than is remembered is believed, and that is said', async () => {
  const { group, followers } = await startedGroup();
  const [often, away] = followers;
  await group.stop(away!);
  for (let i = 0; i < BOOT_IDS_KEPT_MAX; i++) await restart(group, often!);
  await group.allApplied();
  const back = await group.start(away!);
  await group.until('both are there', () => back.replica.status().leader !== null);
  await group.pass(1_000);
  const unproven = back.peerEvents.filter((event) => event.kind === 'unprovenStart');
  assert.deepEqual(unproven, [
    {
      kind: 'unprovenStart',
      peer: often,
      storeUuid: `store-${often}`,
      bootCount: BOOT_IDS_KEPT_MAX + 1,
      bootCountSeen: 1,
    },
  ]);
  assert.deepEqual(refusalsOf(back, 'olderStore'), []);
  await group.stopAll();
});

test('a wiped node learns that most refuse it, shows it, and ends with a sentence', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  await group.stop(victim!);
  group.stores.set(victim!, group.newStore(victim!, 'store-after-the-wipe'));
  group.kvs.set(victim!, new MemoryKvStore());
  const wiped = await group.start(victim!);
  await group.until('it is told', () =>
    wiped.events.some((event) => event.kind === 'refusedByGroup'),
  );
  assert.deepEqual(
    wiped.replica.status().refusedBy.map(({ code }) => code),
    ['otherStore', 'otherStore'],
  );
  await untilItEnds(group, wiped);
  await group.stop(victim!);
  await group.stopAll();
});

test('a node that joins later knows from the log which stores are meant, without having met them', async () => {
  const { group, followers } = await startedGroup();
  const [victim] = followers;
  await group.stop(victim!);
  const joiner = await group.startJoiner(n(4));
  const member = { nodeId: n(4), raftAddress: 'n4:10912', storeUuid: null, priority: 0 };
  await group.change({ kind: 'addLearner', member });
  await group.allApplied();
  group.stores.set(victim!, group.newStore(victim!, 'store-after-the-wipe'));
  group.kvs.set(victim!, new MemoryKvStore());
  await group.start(victim!);
  await group.until('the joiner refuses it', () => refusalsOf(joiner, 'otherStore').length > 0);
  assert.ok(refusalsOf(joiner, 'otherStore')[0]?.includes(`knows it as store store-${victim}`));
  assert.equal(joiner.log.peers.has(victim!), false);
  await group.stop(victim!);
  await group.stopAll();
});
