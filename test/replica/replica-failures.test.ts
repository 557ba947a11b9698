import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, PhysicalOffset } from '../../src/base/units.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { assertSameLogs, nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup, topicProposal } from './replica-group.ts';

test('nothing is acknowledged before a majority has it on disk', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const [b, c] = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  const logs = [leader.log, group.node(b!).log, group.node(c!).log];
  for (const holders of [
    [1, 2],
    [0, 1],
    [0, 2],
  ]) {
    for (const i of holders) logs[i]!.holding = true;
    let known = false;
    const proposing = leader.replica.propose(messageProposal(nextOffset(leader)));
    void proposing.then(() => {
      known = true;
    });
    await group.pass(2_000);
    assert.equal(known, false, `held: ${holders.join()}`);
    logs[holders[0]!]!.release();
    storedOf(await group.outcomeOf(proposing));
    logs[holders[1]!]!.release();
    await group.allApplied();
  }
  assert.equal(await group.leader(), leader);
  await group.stopAll();
});

test('an entry that others committed is applied for its proposer, who leads no more', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const [b, c] = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  leader.log.holding = true; // replicates, but cannot count its own copy
  group.network.cut(leader.nodeId, c!);
  const proposing = leader.replica.propose(messageProposal(0));
  await group.settle();
  await group.until('the entry is at one peer', () => {
    return group.node(b!).replica.status().lastIndex === leader.replica.status().lastIndex;
  });
  group.network.cut(leader.nodeId, b!);
  await group.until('others lead', () => group.node(b!).replica.leadership() !== null);
  assert.equal(leader.replica.leadership(), null);
  leader.log.release();
  group.network.heal();
  const outcome = await group.outcomeOf(proposing);
  assert.equal(storedOf(outcome)[0]?.queueOffset, 0);
  await group.allApplied();
  await group.stopAll();
});

test('an entry that was overwritten is rejected: surely never in the log', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  for (const nodeId of group.nodeIds) {
    if (nodeId !== leader.nodeId) group.network.cut(leader.nodeId, nodeId);
  }
  const appended = leader.replica.propose(messageProposal(0, { prefix: 'doomed' }));
  await group.settle();
  leader.log.holding = true;
  const alsoAppended = leader.replica.propose(messageProposal(1, { prefix: 'doomed' }));
  await group.settle();
  const queued = leader.replica.propose(messageProposal(2, { prefix: 'doomed' }));
  await group.until('others lead', () => group.serving !== null && group.serving !== leader);
  const next = group.serving!;
  storedOf(await group.outcomeOf(next.replica.propose(messageProposal(0))));
  assert.deepEqual(await group.outcomeOf(queued), { kind: 'rejected', why: 'notLeader' });
  leader.log.release();
  group.network.heal();
  assert.deepEqual(await group.outcomeOf(appended), { kind: 'rejected', why: 'notLeader' });
  assert.deepEqual(await group.outcomeOf(alsoAppended), { kind: 'rejected', why: 'notLeader' });
  await group.allApplied();
  assertSameLogs(group);
  assert.equal(nextOffset(leader), 1);
  await group.stopAll();
});

test('an outcome that does not become known in time is unknown', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  for (const nodeId of group.nodeIds) {
    if (nodeId !== leader.nodeId) group.network.cut(leader.nodeId, nodeId);
  }
  const proposing = leader.replica.propose(messageProposal(0));
  assert.deepEqual(await group.outcomeOf(proposing), { kind: 'unknown' });
  assert.equal(leader.replica.metrics().entriesOpen, 0);
  await group.stopAll();
});

test('closing resolves everything: queued as rejected, appended as unknown; closing twice is one', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  leader.log.holding = true;
  const appended = leader.replica.propose(messageProposal(0));
  await group.settle();
  const queued = leader.replica.propose(messageProposal(1));
  const closing = leader.replica.close();
  assert.equal(leader.replica.close(), closing);
  assert.deepEqual(await appended, { kind: 'unknown' });
  assert.deepEqual(await queued, { kind: 'rejected', why: 'notLeader' });
  await closing;
  assert.equal(leader.log.closeCount, 1);
  assert.deepEqual(await leader.replica.propose(topicProposal()), {
    kind: 'rejected',
    why: 'notLeader',
  });
  await group.stop(leader.nodeId);
  await group.stopAll();
});

test('damaged frames cost their stream, never a byte of the log', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  let frames = 0;
  group.network.tamper = (_from, _to, bytes) => {
    frames++;
    if (frames % 13 !== 0 || bytes.length === 0) return bytes;
    const damaged = bytes.slice();
    damaged[frames % bytes.length]! ^= 1 << (frames % 8);
    return damaged;
  };
  let acknowledged = 0;
  for (let i = 0; i < 60; i++) {
    const leader = await group.leader();
    const at = nextOffset(leader);
    const outcome = await group.outcomeOf(leader.replica.propose(messageProposal(at)));
    if (outcome.kind === 'applied') acknowledged++;
  }
  group.network.tamper = (_from, _to, bytes) => bytes;
  await group.allApplied();
  const corrupt = [...group.running.values()].flatMap((node) =>
    node.peerEvents.filter((event) => event.kind === 'corruptFrame'),
  );
  assert.ok(corrupt.length > 3, `damage was seen ${corrupt.length} times`);
  assert.ok(acknowledged >= 40, `${acknowledged} of 60`);
  assertSameLogs(group);
  for (const node of group.running.values()) assert.ok(nextOffset(node) >= acknowledged);
  await group.stopAll();
});

test('a wiped node that comes back under its old name takes no part', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const wiped = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!;
  await group.stop(wiped);
  group.stores.set(wiped, group.newStore(wiped, 'store-after-the-wipe'));
  group.kvs.set(wiped, new MemoryKvStore());
  const node = await group.start(wiped);
  storedOf(await group.outcomeOf(leader.replica.propose(messageProposal(0))));
  await group.pass(5_000);
  assert.equal(node.replica.status().lastIndex, 0);
  assert.equal(node.replica.status().leader, null);
  assert.ok(node.peerEvents.some((event) => event.kind === 'refusedByPeer'));
  assert.ok(
    leader.peerEvents.some((event) => event.kind === 'refusedPeer' && event.code === 'otherStore'),
  );
  await group.stopAll();
});

test('a snapshot, which nobody of our version sends, is ignored and said', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.pinned();
  const other = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  other.events.length = 0;
  const before = other.replica.status();
  const { term, membership } = before;
  const last = { term, index: LogIndex(before.lastIndex + 100) };
  const snapshot = { last, endOffset: PhysicalOffset(1_000_000), membership };
  leader.transport.send(other.nodeId, { kind: 'installSnapshot', term, snapshot }, []);
  await group.settle();
  assert.deepEqual(other.events, [
    { kind: 'snapshotIgnored', from: leader.nodeId, index: last.index },
  ]);
  assert.equal(other.replica.status().lastIndex, before.lastIndex);
  storedOf(await group.outcomeOf(leader.replica.propose(messageProposal(0))));
  await group.allApplied();
  await group.stopAll();
});

test('a leader whose disk hangs steps down at once, and another one takes over', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.pinned();
  leader.events.length = 0;
  leader.log.holding = true;
  leader.log.pendingMs = 3_500;
  await group.pass(100);
  assert.equal(leader.replica.status().role, 'follower');
  assert.equal(leader.replica.status().isDiskStalled, true);
  await group.until('another one leads', () => group.serving !== null && group.serving !== leader);
  assert.equal(leader.replica.leadership(), null);
  assert.deepEqual(
    leader.events.map((event) => event.kind),
    ['diskStalled'],
  );
  leader.log.pendingMs = 0;
  leader.log.release();
  await group.allApplied();
  assert.equal(leader.events.at(-1)?.kind, 'diskRecovered');
  await group.stopAll();
});

test('a disk that hangs for too long is fatal, once', async () => {
  const group = await ReplicaGroup.started();
  const leader = await group.leader();
  leader.log.pendingMs = 20_001;
  await group.pass(1_000);
  assert.equal(leader.failures.length, 1);
  assert.match(leader.failures[0]!.message, /disk has not finished a write for 20001 ms/);
  assert.equal(leader.replica.leadership(), null);
  await group.stop(leader.nodeId);
  await group.stopAll();
});

test('entries that do not continue our log are dropped with an alarm', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  await group.pinned();
  const other = group.node(group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!);
  other.events.length = 0;
  const last = other.replica.status().lastIndex;
  // Its copy of the last entry is another one than the leader's, with the same index and term.
  const headerCrcAt = other.log.headerCrcAt.bind(other.log);
  other.log.headerCrcAt = (index) => (index === last ? 12345 : headerCrcAt(index));
  storedOf(await group.outcomeOf(leader.replica.propose(messageProposal(0))));
  await group.pass(1_000);
  assert.equal(other.replica.status().lastIndex, last);
  assert.equal(other.events[0]?.kind, 'chainBroken');
  await group.stopAll();
});

test('after a torn tail an election waits for those that may know more, but not for ever', async () => {
  for (const hasTornTail of [false, true]) {
    const group = new ReplicaGroup();
    const [a, b] = group.nodeIds;
    for (const nodeId of [a!, b!]) {
      group.stores.get(nodeId)!.hasTornTail = hasTornTail;
      await group.start(nodeId);
    }
    await group.pass(2_000);
    assert.equal(group.serving !== null, !hasTornTail);
    await group.leader();
    await group.stopAll();
  }
});
