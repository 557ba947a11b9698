import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READ_BARRIERS_MAX } from '../../src/replica/limits.ts';
import type { ReadOutcome } from '../../src/replica/replica.ts';
import { nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup } from './replica-group.ts';

test('a read barrier resolves when all that was acknowledged before it is applied here', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  for (let i = 0; i < 5; i++) {
    storedOf(await group.outcomeOf(leader.replica.propose(messageProposal(nextOffset(leader)))));
    const { commitIndex } = leader.replica.status();
    const outcome = await group.outcomeOf(leader.replica.readBarrier());
    assert.ok(outcome.kind === 'ok');
    assert.ok(outcome.index >= commitIndex);
    assert.ok(leader.replica.state.appliedIndex >= outcome.index);
  }
  await group.stopAll();
});

test('a read barrier waits for what is committed and not applied yet', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  // Entries larger than a turn's share: they are applied turn by turn.
  const proposals = Array.from({ length: 24 }, (_, i) =>
    leader.replica.propose(messageProposal(i, { bodySizeBytes: 40_000 })),
  );
  await Promise.race([group.outcomeOf(proposals[0]!), group.settle()]);
  const seen: { readonly outcome: ReadOutcome; readonly appliedIndex: number }[] = [];
  const reading = leader.replica.readBarrier().then((outcome) => {
    seen.push({ outcome, appliedIndex: leader.replica.state.appliedIndex });
  });
  await group.until('it is read', () => seen.length === 1);
  await reading;
  const [{ outcome, appliedIndex }] = seen as [(typeof seen)[0]];
  assert.ok(outcome.kind === 'ok' && appliedIndex >= outcome.index);
  await group.allApplied();
  await group.stopAll();
});

test('a follower rejects reads, and a leader without a majority answers none', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const others = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  const follower = group.node(others[0]!).replica;
  assert.deepEqual(await group.outcomeOf(follower.readBarrier()), {
    kind: 'rejected',
    why: 'notLeader',
  });
  for (const nodeId of others) group.network.cut(leader.nodeId, nodeId);
  let outcome: ReadOutcome | null = null;
  void leader.replica.readBarrier().then((known) => {
    outcome = known;
  });
  await group.pass(500);
  assert.equal(outcome, null, 'nobody has confirmed it');
  await group.until('it steps down', () => leader.replica.status().role !== 'leader');
  await group.settle();
  assert.deepEqual(outcome, { kind: 'rejected', why: 'notLeader' });
  group.network.heal();
  await group.allApplied();
  await group.stopAll();
});

test('reads of one turn share a question, and too many are refused before they wait', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const framesBefore = leader.replica.metrics().peers.framesSent;
  const reads = Array.from({ length: READ_BARRIERS_MAX }, () => leader.replica.readBarrier());
  assert.deepEqual(await leader.replica.readBarrier(), { kind: 'rejected', why: 'busy' });
  assert.equal(leader.replica.metrics().readsWaiting, READ_BARRIERS_MAX);
  const outcomes = await group.outcomeOf(Promise.all(reads));
  assert.ok(outcomes.every(({ kind }) => kind === 'ok'));
  assert.equal(leader.replica.metrics().readsWaiting, 0);
  const frames = leader.replica.metrics().peers.framesSent - framesBefore;
  assert.ok(frames < 20, `${frames} frames for all of them`);
  await group.stopAll();
});

test('closing rejects the reads that wait', async () => {
  const group = await ReplicaGroup.started();
  const leader = await group.leader();
  const reading = leader.replica.readBarrier();
  await group.stop(leader.nodeId);
  const rejected = { kind: 'rejected', why: 'notLeader' };
  assert.deepEqual(await reading, rejected);
  assert.deepEqual(await leader.replica.readBarrier(), rejected);
  await group.stopAll();
});

test('leadership moves to the node that was named, and nothing is lost or refused as unknown', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const target = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!;
  const before = leader.replica.propose(messageProposal(0));
  await group.settle();
  const transfer = leader.replica.transferLeadership(target);
  assert.deepEqual(await group.outcomeOf(transfer), { kind: 'handedOver' });
  storedOf(await group.outcomeOf(before));
  await group.until('the target serves', () => group.serving?.nodeId === target);
  const next = group.serving!;
  storedOf(await group.outcomeOf(next.replica.propose(messageProposal(nextOffset(next)))));
  await group.stopAll();
});

test('a transfer that cannot be is refused with its reason', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const [b, c] = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  const ask = (to: typeof b) => group.outcomeOf(leader.replica.transferLeadership(to!));
  assert.deepEqual(await ask(leader.nodeId), { kind: 'refused', why: 'isSelf' });
  assert.deepEqual(await group.outcomeOf(group.node(b!).replica.transferLeadership(c!)), {
    kind: 'refused',
    why: 'notLeader',
  });
  await group.stop(c!);
  await group.pass(2_500);
  assert.deepEqual(await ask(c), { kind: 'refused', why: 'silent' });
  await group.stopAll();
});

test('proposals wait while a transfer is under way, and go on when it is aborted', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const target = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  // It had everything and was well a moment ago; now the request to campaign does not reach it.
  group.network.cut(leader.nodeId, target.nodeId);
  const transfer = leader.replica.transferLeadership(target.nodeId);
  await group.settle();
  assert.equal(leader.replica.status().transferTo, target.nodeId);
  const waiting = [0, 1, 2].map((at) => leader.replica.propose(messageProposal(at)));
  await group.pass(300);
  assert.equal(leader.replica.metrics().proposalsQueued, 3);
  assert.deepEqual(await group.outcomeOf(transfer), { kind: 'aborted' });
  const offsets: number[] = [];
  for (const proposing of waiting) {
    offsets.push(storedOf(await group.outcomeOf(proposing))[0]!.queueOffset);
  }
  assert.deepEqual(offsets, [0, 1, 2]);
  assert.equal(leader.replica.status().transferTo, null);
  group.network.heal();
  await group.allApplied();
  await group.stopAll();
});

test('proposals that waited for a transfer are rejected when it succeeds: surely not in the log', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const target = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!;
  const transfer = leader.replica.transferLeadership(target);
  const waiting = leader.replica.propose(messageProposal(0));
  assert.deepEqual(await group.outcomeOf(transfer), { kind: 'handedOver' });
  assert.deepEqual(await group.outcomeOf(waiting), { kind: 'rejected', why: 'notLeader' });
  await group.allApplied();
  assert.equal(nextOffset(leader), 0);
  await group.stopAll();
});

test('closing answers a transfer whose end it will not see', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const target = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  group.network.cut(leader.nodeId, target.nodeId);
  const transfer = leader.replica.transferLeadership(target.nodeId);
  await group.settle();
  await group.stop(leader.nodeId);
  assert.deepEqual(await transfer, { kind: 'unknown' });
  assert.deepEqual(await leader.replica.transferLeadership(target.nodeId), {
    kind: 'refused',
    why: 'notLeader',
  });
  await group.stopAll();
});

test('a follower whose disk hangs says so, and is not made leader', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const sick = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  sick.log.pendingMs = 3_500;
  await group.pass(500);
  assert.equal(sick.replica.status().isDiskStalled, true);
  assert.deepEqual(await group.outcomeOf(leader.replica.transferLeadership(sick.nodeId)), {
    kind: 'refused',
    why: 'diskStalled',
  });
  sick.log.pendingMs = 0;
  await group.pass(500);
  assert.equal(sick.replica.status().isDiskStalled, false);
  assert.deepEqual(await group.outcomeOf(leader.replica.transferLeadership(sick.nodeId)), {
    kind: 'handedOver',
  });
  await group.stopAll();
});
