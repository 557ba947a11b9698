/** Groups that grow, shrink and change, with the streams between their nodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { isMember, type Member } from '../../src/raft/membership.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { assertSameLogs, nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup, type RunningNode } from './replica-group.ts';

const n = (number: number) => NodeId(`n${number}`);

const memberOf = (nodeId: NodeId, more: Partial<Member> = {}): Member => ({
  ...{ nodeId, raftAddress: `${nodeId}:10912`, storeUuid: null, priority: 0 },
  ...more,
});

const send = async (group: ReplicaGroup, prefix: string) => {
  const leader = await group.leader();
  const proposing = leader.replica.propose(messageProposal(nextOffset(leader), { prefix }));
  storedOf(await group.outcomeOf(proposing));
};

const isRemovedBy = (group: ReplicaGroup, nodeId: NodeId) => (by: RunningNode) =>
  by.nodeId !== nodeId &&
  by.peerEvents.some((event) => event.kind === 'refusedPeer' && event.code === 'removedNode') &&
  !isMember(group.node(by.nodeId).replica.status().membership.membership, nodeId);

test('a node that joins as a learner catches up, is promoted, and carries the group', async () => {
  const group = await ReplicaGroup.started({ size: 2 });
  await group.createTopic();
  await send(group, 'before');
  const joiner = await group.startJoiner(n(3));
  await group.pass(3_000);
  assert.equal(joiner.replica.status().lastIndex, 0, 'nobody has let it in');
  assert.equal(joiner.replica.status().term, 0, 'and it does not campaign');

  await group.change({ kind: 'addLearner', member: memberOf(n(3)) });
  await group.allApplied();
  assert.deepEqual(joiner.replica.status().membership.membership.learners, [n(3)]);
  const membership = await group.change({ kind: 'promote', nodeId: n(3) });
  assert.deepEqual(membership.voters, [n(1), n(2), n(3)]);

  const founder = (await group.leader()).nodeId;
  await group.stop(founder);
  await send(group, 'without a founder');
  await group.allApplied();
  assertSameLogs(group);
  await group.stopAll();
});

test('memberships survive a restart of all, without anybody telling them again', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  await group.change({ kind: 'remove', nodeId: n(2) });
  const changed = await group.change({ kind: 'describe', member: memberOf(n(1), { priority: 4 }) });
  await group.stop(n(2));
  for (const nodeId of [n(1), n(3)]) await group.stop(nodeId);
  for (const nodeId of [n(1), n(3)]) await group.start(nodeId);
  for (const nodeId of [n(1), n(3)]) {
    assert.deepEqual(group.node(nodeId).replica.status().membership.membership, changed);
  }
  await send(group, 'after the restart');
  await group.stopAll();
});

test('a removed follower is told so: by the log, or by a refusal that says what to do', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const [gone] = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  await group.change({ kind: 'remove', nodeId: gone! });
  await group.pass(12_000);
  await group.until('all have refused it', () =>
    [...group.running.values()]
      .filter(({ nodeId }) => nodeId !== gone)
      .every(isRemovedBy(group, gone!)),
  );
  const told = group.node(gone!).peerEvents.find((event) => event.kind === 'refusedByPeer');
  assert.ok(told?.kind === 'refusedByPeer');
  assert.equal(told.code, 'removedNode');
  assert.match(told.sentence, /removed from this group.*under a new id/);
  assert.equal((await group.leader()).nodeId, leader.nodeId, 'it disturbs nobody');
  await send(group, 'without it');

  // The same node with a new directory is still the removed one.
  await group.stop(gone!);
  group.stores.set(gone!, group.newStore(gone!, 'another-store'));
  group.kvs.set(gone!, new MemoryKvStore());
  const again = await group.start(gone!);
  await group.until('it is refused again', () =>
    again.peerEvents.some(
      (event) => event.kind === 'refusedByPeer' && event.code === 'removedNode',
    ),
  );
  await group.stopAll();
});

test('a leader that removes itself hands over, and the group goes on at once', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const { index } = leader.replica.status().membership;
  const steps = [{ kind: 'remove', nodeId: leader.nodeId }] as const;
  const outcome = await group.outcomeOf(leader.replica.changeMembership(steps, index));
  assert.equal(outcome.kind, 'accepted');
  await group.until('another one leads', () => group.serving !== null && group.serving !== leader);
  assert.equal(leader.replica.leadership(), null);
  await send(group, 'under the next leader');
  assert.ok(!isMember(group.serving!.replica.status().membership.membership, leader.nodeId));
  await group.stopAll();
});

test('a node that slept through the replacement of all others accepts their leader', async () => {
  const group = await ReplicaGroup.started({ size: 3 });
  await group.createTopic();
  const sleeper = group.nodeIds.find((nodeId) => nodeId !== group.serving?.nodeId)!;
  await group.stop(sleeper);
  for (const nodeId of [n(4), n(5)]) {
    await group.startJoiner(nodeId);
    await group.change({ kind: 'addLearner', member: memberOf(nodeId) });
    await group.allApplied();
    await group.change({ kind: 'promote', nodeId });
  }
  const founders = group.nodeIds.filter((nodeId) => nodeId !== sleeper);
  for (const nodeId of founders) await group.change({ kind: 'remove', nodeId });
  for (const nodeId of founders) await group.stop(nodeId);

  const back = await group.start(sleeper);
  await send(group, 'with the sleeper');
  await group.allApplied();
  assertSameLogs(group);
  assert.ok(back.peerEvents.some((event) => event.kind === 'strangerAdmitted'));
  assert.deepEqual(back.replica.status().membership.membership.voters, [sleeper, n(4), n(5)]);
  // Since they are members, their stores are pinned.
  assert.equal(back.log.peers.get(n(4))?.storeUuid, 'store-n4');
  await group.stopAll();
});

test('a learner of another founding is refused: its log would not be ours', async () => {
  const group = await ReplicaGroup.started({ size: 1 });
  await group.createTopic();
  group.stores.set(n(2), group.newStore(n(2), 'store-n2'));
  // It believes that it is a founder.
  group.kvs.set(n(2), new MemoryKvStore());
  const stray = await group.start(n(2), [n(1), n(2)]);
  await group.change({ kind: 'addLearner', member: memberOf(n(2)) });
  await group.pass(2_000);
  assert.equal(stray.replica.status().lastIndex, 0);
  const refused = group.node(n(1)).peerEvents.filter((event) => event.kind === 'refusedPeer');
  assert.ok(
    refused.some(({ code }) => code === 'otherConstants'),
    JSON.stringify(refused),
  );
  await group.stopAll();
});

test('a store that the membership names is the only one that is let in', async () => {
  const group = await ReplicaGroup.started({ size: 2 });
  await group.createTopic();
  const joiner = await group.startJoiner(n(3));
  const member = memberOf(n(3), { storeUuid: 'the-one-that-was-meant' });
  await group.change({ kind: 'addLearner', member });
  await group.pass(2_000);
  assert.equal(joiner.replica.status().lastIndex, 0);
  assert.ok(
    joiner.peerEvents.some(
      (event) => event.kind === 'refusedByPeer' && event.code === 'otherStore',
    ),
  );
  await group.stop(n(3));
  group.stores.set(n(3), group.newStore(n(3), 'the-one-that-was-meant'));
  await group.start(n(3));
  await group.allApplied();
  await group.stopAll();
});

test('changes are refused with their reasons, and not asked twice', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const follower = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  const steps = [{ kind: 'promote', nodeId: n(9) }] as const;
  const { index } = leader.replica.status().membership;
  const answers = [
    await group.outcomeOf(follower.replica.changeMembership(steps, index)),
    await group.outcomeOf(leader.replica.changeMembership(steps, LogIndex(index + 1))),
    await group.outcomeOf(leader.replica.changeMembership(steps, index)),
  ].map((outcome) => (outcome.kind === 'refused' ? outcome.problems.map(({ kind }) => kind) : []));
  assert.ok(answers[0]?.includes('notLeader'));
  assert.ok(answers[1]?.includes('membershipMoved'));
  assert.ok(answers[2]?.includes('invalidStep'));
  await leader.replica.close();
  const closed = await leader.replica.changeMembership(steps, index);
  assert.deepEqual(closed, { kind: 'refused', problems: [{ kind: 'notLeader' }] });
  await group.stop(leader.nodeId);
  await group.stopAll();
});
