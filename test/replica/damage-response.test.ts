/** Rot that a running replica finds in its own log: who ends, who hands over first, who stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FatalError } from '../../src/base/errors.ts';
import { LogIndex, type NodeId } from '../../src/base/units.ts';
import { type DamageEvent, DamageResponse } from '../../src/replica/damage-response.ts';
import type { LogDamage } from '../../src/store/scrub/log-on-disk.ts';
import { ReplicaGroup, type RunningNode } from './replica-group.ts';

const DAMAGE: LogDamage = {
  extent: 'everywhere',
  path: 'x.seg',
  position: 4096,
  index: LogIndex(7),
  found: 'bytes that are not entry 7 (badPayloadCrc)',
};

function responding({ replica }: RunningNode, group: ReplicaGroup) {
  const events: DamageEvent[] = [];
  const ends: FatalError[] = [];
  const response = new DamageResponse({
    replica,
    clock: group.clock,
    onEvent: (event) => events.push(event),
    onFatal: (error) => ends.push(error),
  });
  return { response, events, ends };
}

async function followerOf(group: ReplicaGroup): Promise<RunningNode> {
  const leader = await group.leader();
  const id = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId);
  assert.ok(id !== undefined);
  return group.node(id);
}

test('a follower ends at once, with exit code 76 and what it found', async () => {
  const group = await ReplicaGroup.started();
  await group.pinned();
  const { response, events, ends } = responding(await followerOf(group), group);
  response.onDamage(DAMAGE);
  await group.until('the end', () => ends.length === 1);
  assert.equal(ends[0]?.reason, 'logDamaged');
  assert.match(ends[0]?.message ?? '', /^entry 7 in x\.seg at byte 4096 is damaged: found bytes/);
  assert.deepEqual(events, []);
  response.onDamage(DAMAGE);
  await group.pass(100);
  assert.equal(ends.length, 1, 'it ends once');
  await group.stopAll();
});

test('a leader hands over before it ends', async () => {
  const group = await ReplicaGroup.started();
  await group.pinned();
  const leader = await group.leader();
  const { response, events, ends } = responding(leader, group);
  response.onDamage(DAMAGE);
  await group.until('the end', () => ends.length === 1);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['handingOver'],
  );
  assert.notEqual(leader.replica.status().role, 'leader', 'it leads no more when it ends');
  await group.stopAll();
});

test('who makes the majority stays until another one is back', async () => {
  const group = await ReplicaGroup.started();
  await group.pinned();
  const follower = await followerOf(group);
  const leader = await group.leader();
  const third = group.nodeIds.find((id) => id !== leader.nodeId && id !== follower.nodeId);
  await group.stop(third as NodeId);
  await group.until('it is missed', () => {
    const { peers } = follower.replica.status();
    return peers.some(({ nodeId, connected }) => nodeId === third && !connected);
  });
  const { response, events, ends } = responding(follower, group);
  response.onDamage(DAMAGE);
  await group.pass(20_000);
  assert.deepEqual(ends, []);
  assert.deepEqual(
    events.map((event) => (event.kind === 'damageKept' ? event.why : event.kind)),
    ['without this node too few of the group would be left to serve'],
  );
  assert.match(response.damage ?? '', /entry 7/);
  await group.start(third as NodeId);
  await group.until('the end', () => ends.length === 1);
  await group.stopAll();
});

test('the only voter stays, and says so', async () => {
  const group = await ReplicaGroup.started({ size: 1 });
  const leader = await group.leader();
  const { response, events, ends } = responding(leader, group);
  response.onDamage(DAMAGE);
  await group.pass(20_000);
  assert.deepEqual(ends, []);
  assert.equal(events.length, 1);
  response.stop();
  await group.stopAll();
});

test('what only the device has wrong is no reason to end', async () => {
  const group = await ReplicaGroup.started();
  await group.pinned();
  const { response, ends } = responding(await followerOf(group), group);
  response.onDamage({ ...DAMAGE, extent: 'device' });
  await group.pass(10_000);
  assert.deepEqual(ends, []);
  assert.match(response.damage ?? '', /on the device, though the system remembers it right/);
  await group.stopAll();
});
