import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/sizes.ts';
import { type LogIndex, PhysicalOffset } from '../../src/base/units.ts';
import { decodeMessageRecord } from '../../src/protocol/message-record.ts';
import type { ProposeOutcome } from '../../src/replica/replica.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { assertSameLogs, dataEntries, nextOffset, storedOf } from './group-views.ts';
import { messageProposal, ReplicaGroup, topicProposal } from './replica-group.ts';

test('a proposal is applied on the leader first, then everywhere', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const outcome = await group.outcomeOf(leader.replica.propose(messageProposal(0, { count: 3 })));
  const stored = storedOf(outcome);
  assert.deepEqual(
    stored.map((result) => [result.queueOffset, result.messageId]),
    [
      [0, 'm-0-0'],
      [1, 'm-0-1'],
      [2, 'm-0-2'],
    ],
  );
  await group.allApplied();
  for (const node of group.running.values()) assert.equal(nextOffset(node), 3);
  assertSameLogs(group);
  const status = leader.replica.status();
  assert.ok(status.peers.every((peer) => peer.connected && peer.matchIndex === status.lastIndex));
  assert.equal(leader.replica.addressesOf(status.peers[0]!.nodeId)?.http, '');
  await group.stopAll();
});

test('a group of one serves', async () => {
  const group = await ReplicaGroup.started({ size: 1 });
  await group.createTopic();
  const leader = await group.leader();
  storedOf(await group.outcomeOf(leader.replica.propose(messageProposal(0))));
  await group.stopAll();
});

test('proposals of one turn share an entry, each with its own results', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const before = dataEntries(leader);
  const proposing = [0, 1, 3, 4].map((at) =>
    leader.replica.propose(messageProposal(at, { count: at === 1 ? 2 : 1 })),
  );
  const offsets: number[][] = [];
  for (const one of proposing) {
    offsets.push(storedOf(await group.outcomeOf(one)).map((result) => result.queueOffset));
  }
  assert.deepEqual(offsets, [[0], [1, 2], [3], [4]]);
  assert.equal(dataEntries(leader), before + 1);
  await group.stopAll();
});

test('while a log write runs proposals gather, and leave together when it ends', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  leader.log.holding = true;
  const before = dataEntries(leader);
  const first = leader.replica.propose(messageProposal(0));
  await group.settle();
  const others: Promise<ProposeOutcome>[] = [];
  for (let at = 1; at <= 20; at++) {
    others.push(leader.replica.propose(messageProposal(at)));
    await group.settle();
  }
  assert.equal(dataEntries(leader), before + 1, 'one write at a time');
  leader.log.release();
  storedOf(await group.outcomeOf(first));
  for (const other of others) storedOf(await group.outcomeOf(other));
  assert.equal(dataEntries(leader), before + 2);
  await group.stopAll();
});

test('each message carries the physical offset at which it can be read, across segments', async () => {
  const group = await ReplicaGroup.started({ segmentSizeBytes: 16 * 1024 });
  await group.createTopic();
  const leader = await group.leader();
  for (let at = 0; at < 30; at += 3) {
    const proposal = messageProposal(at, { count: 3, bodySizeBytes: 1000 });
    for (const result of storedOf(await group.outcomeOf(leader.replica.propose(proposal)))) {
      const unit = leader.replica.state.queueUnit('t', 0, result.queueOffset);
      assert.equal(unit?.physicalOffset, result.physicalOffset);
      for (const node of group.running.values()) {
        await group.until('the entry is there', () => nextOffset(node) > result.queueOffset);
        const bytes = await node.log.readRecord(result.physicalOffset, unit.sizeBytes);
        const message = decodeMessageRecord(bytes);
        assert.equal(message.physicalOffset, result.physicalOffset);
        assert.equal(message.queueOffset, result.queueOffset);
      }
    }
  }
  const types = (
    leader.log.cachedEntries(1 as LogIndex, leader.replica.status().lastIndex) ?? []
  ).map((entry) => entry.desc.type);
  assert.ok(types.includes('filler'), 'the log went over the end of a segment');
  await group.allApplied();
  assertSameLogs(group);
  await group.stopAll();
});

test('a proposal above the packing size travels alone; one above the limit is refused', async () => {
  const group = await ReplicaGroup.started({ segmentSizeBytes: 16 * MIB });
  await group.createTopic();
  const { replica } = await group.leader();
  const before = dataEntries(await group.leader());
  const tooLarge = messageProposal(0, { count: 3, bodySizeBytes: 3 * MIB });
  assert.deepEqual(await replica.propose(tooLarge), { kind: 'rejected', why: 'tooLarge' });
  const proposing = [
    replica.propose(messageProposal(0)),
    replica.propose(messageProposal(1, { bodySizeBytes: 2 * MIB })),
    replica.propose(messageProposal(2)),
  ];
  for (const one of proposing) storedOf(await group.outcomeOf(one));
  assert.equal(dataEntries(await group.leader()), before + 3);
  await group.stopAll();
});

test('a proposal that no segment can hold is refused', async () => {
  const group = await ReplicaGroup.started({ segmentSizeBytes: 16 * 1024 });
  await group.createTopic();
  const { replica } = await group.leader();
  const outcome = await replica.propose(messageProposal(0, { bodySizeBytes: 15_000 }));
  assert.deepEqual(outcome, { kind: 'rejected', why: 'tooLarge' });
  await group.stopAll();
});

test('a full queue refuses with busy, and everything it took is applied in order', async () => {
  const group = await ReplicaGroup.started({ segmentSizeBytes: 64 * MIB });
  await group.createTopic();
  const leader = await group.leader();
  leader.log.holding = true;
  const proposing: Promise<ProposeOutcome>[] = [];
  const outcomes: ProposeOutcome[] = [];
  for (let at = 0; at < 100; at++) {
    const one = leader.replica.propose(messageProposal(at, { bodySizeBytes: MIB }));
    void one.then((outcome) => outcomes.push(outcome));
    proposing.push(one);
  }
  await group.settle();
  const refused = outcomes.length;
  assert.ok(refused > 30 && refused < 40, `${refused} of 100 MiB do not fit in 64 MiB`);
  assert.ok(outcomes.every((outcome) => outcome.kind === 'rejected' && outcome.why === 'busy'));
  leader.log.release();
  for (const one of proposing.slice(0, 100 - refused)) storedOf(await group.outcomeOf(one));
  assert.equal(nextOffset(leader), 100 - refused);
  await group.stopAll();
});

test('only the leader takes proposals', async () => {
  const group = await ReplicaGroup.started();
  const leader = await group.leader();
  await group.allApplied();
  for (const node of group.running.values()) {
    if (node === leader) continue;
    const outcome = await node.replica.propose(topicProposal());
    assert.deepEqual(outcome, { kind: 'rejected', why: 'notLeader' });
    assert.equal(node.replica.leader(), leader.nodeId);
  }
  await group.stopAll();
});

test('leadership is told when the no-op is applied, not when the election is won', async () => {
  const group = new ReplicaGroup({ size: 1 });
  const node = await group.start(group.nodeIds[0]!);
  const told: string[] = [];
  node.replica.onRoleChange((status) => told.push(status.role));
  node.replica.onApplied((entry) => told.push(`applied ${entry.type}`));
  node.replica.onLeadership((leadership) => told.push(leadership ? 'serving' : 'lost'));
  await group.leader();
  assert.deepEqual(told.slice(-3), ['leader', 'applied noop', 'serving']);
  await group.stopAll();
  assert.equal(told.at(-1), 'lost');
});

for (const how of ['stop', 'kill'] as const) {
  test(`after the ${how} of leader after leader nothing acknowledged is lost`, async () => {
    const group = await ReplicaGroup.started();
    await group.createTopic();
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const leader = await group.leader();
      for (let i = 0; i < 5; i++) {
        const at = nextOffset(leader);
        const outcome = await group.outcomeOf(leader.replica.propose(messageProposal(at)));
        acknowledged += storedOf(outcome).length;
      }
      await group[how](leader.nodeId);
      const next = await group.leader();
      assert.equal(nextOffset(next), acknowledged);
      await group.start(leader.nodeId);
    }
    await group.allApplied();
    assertSameLogs(group);
    await group.stopAll();
  });
}

test('derived state that is lost is rebuilt from the log at start', async () => {
  const group = await ReplicaGroup.started({ segmentSizeBytes: 16 * 1024 });
  await group.createTopic();
  const leader = await group.leader();
  for (let at = 0; at < 40; at++) {
    storedOf(
      await group.outcomeOf(leader.replica.propose(messageProposal(at, { bodySizeBytes: 500 }))),
    );
  }
  await group.allApplied();
  const other = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!;
  await group.stop(other);
  group.kvs.set(other, new MemoryKvStore());
  const node = await group.start(other);
  assert.ok(node.replica.status().appliedIndex > 30, 'what the log proves is applied at once');
  await group.allApplied();
  assert.equal(nextOffset(node), 40);
  await group.stopAll();
});

test('a follower far behind is fed from disk, in order', async () => {
  const group = await ReplicaGroup.started();
  await group.createTopic();
  const leader = await group.leader();
  const behind = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId)!;
  await group.stop(behind);
  for (let at = 0; at < 60; at++) {
    storedOf(
      await group.outcomeOf(leader.replica.propose(messageProposal(at, { bodySizeBytes: 900 }))),
    );
  }
  leader.log.cachedCount = 3;
  const node = await group.start(behind);
  node.log.cachedCount = 0;
  await group.allApplied();
  assert.ok(leader.log.readCount > 5, 'the entries came from disk');
  assert.ok(node.log.readCount > 5, 'and were applied from disk');
  assert.equal(nextOffset(node), 60);
  assert.equal(node.peerEvents.filter((event) => event.kind === 'corruptFrame').length, 0);
  await group.stopAll();
});

test('derived state is flushed soon after the last entry, without any further traffic', async () => {
  const group = await ReplicaGroup.started({ size: 1 });
  await group.createTopic();
  const leader = await group.leader();
  assert.ok(leader.replica.state.unflushedEntries > 0);
  await group.pass(200);
  assert.equal(leader.replica.state.unflushedEntries, 0);
  await group.stopAll();
});

test('physical offsets are right when an entry is placed in its second attempt', async () => {
  // The leader loses its room for uncommitted bytes, proposals wait, and go on when it commits.
  const group = await ReplicaGroup.started({ segmentSizeBytes: 64 * MIB });
  await group.createTopic();
  const leader = await group.leader();
  await group.allApplied();
  const followers = group.nodeIds.filter((nodeId) => nodeId !== leader.nodeId);
  for (const nodeId of followers) group.node(nodeId).log.holding = true;
  const proposing: Promise<ProposeOutcome>[] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 30; i++) {
      const at = round * 30 + i;
      proposing.push(leader.replica.propose(messageProposal(at, { bodySizeBytes: MIB - 1000 })));
    }
    await group.pass(100);
  }
  assert.ok(leader.replica.metrics().proposalsQueued > 10, 'some wait for room');
  for (const nodeId of followers) group.node(nodeId).log.release();
  for (const one of proposing) {
    const [result] = storedOf(await group.outcomeOf(one));
    const bytes = await leader.log.readRecord(PhysicalOffset(result!.physicalOffset), 2000);
    assert.equal(
      Buffer.from(bytes.subarray(28, 36)).readBigUInt64BE(),
      BigInt(result!.physicalOffset),
    );
  }
  assert.equal(nextOffset(leader), 90);
  await group.stopAll();
});
