import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  anAppend,
  anId,
  effectsOf,
  heartbeat,
  N1,
  N2,
  N3,
  preVoteReply,
  sent,
  voteRequest,
} from '../../test/raft-bench/builders.ts';
import { aDesk, aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { Term } from '../base/units.ts';
import type { Effect } from './effects.ts';

function stall(desk: Desk, isStalled = true): readonly Effect[] {
  return desk.step({ kind: 'diskHealth', isStalled });
}

const preVoteRequest = (term: number) =>
  ({ kind: 'preVoteRequest', term: Term(term), last: anId(0, 0) }) as const;

test('a leader whose disk stalls steps down at once', () => {
  const desk = aSettledLeader();
  const effects = stall(desk);
  deepEqual(effects, [{ kind: 'role', role: 'follower', term: 2, leader: null }]);
  equal(desk.status.isDiskStalled, true);
  deepEqual(sent(desk.tick(10), 'heartbeat'), [], 'its heartbeats would keep others away');
});

test('it leads no more in the same term when the disk is well again', () => {
  const desk = aSettledLeader();
  stall(desk);
  stall(desk, false);
  desk.answer(N2);
  desk.accept(N3);
  equal(desk.status.role, 'follower');
});

test('a group of one with a stalled disk has no leader, and has one again afterwards', () => {
  const desk = aSettledLeader({ voters: [N1] });
  stall(desk);
  desk.tick(100);
  equal(desk.status.role, 'follower');
  stall(desk, false);
  desk.tick(2);
  desk.persist();
  equal(desk.status.role, 'leader');
});

test('a node with a stalled disk neither asks for pre-votes nor campaigns', () => {
  const desk = aDesk();
  stall(desk);
  deepEqual(desk.tick(200), []);
  desk.receive(N2, { kind: 'campaignNow', term: Term(1) });
  equal(desk.status.role, 'follower');
  equal(desk.status.term, 1);
});

test('it campaigns soon after the disk is well', () => {
  const desk = aDesk();
  stall(desk);
  desk.tick(200);
  stall(desk, false);
  equal(sent(desk.tick(), 'preVoteRequest').length, 2);
});

test('a pre-candidate or candidate whose disk stalls gives up', () => {
  const asking = aDesk();
  while (asking.status.role !== 'preCandidate') asking.tick();
  stall(asking);
  equal(asking.status.role, 'follower');
  asking.receive(N2, preVoteReply(2, true));
  equal(asking.status.term, 1);

  const standing = aDesk();
  while (standing.status.role !== 'preCandidate') standing.tick();
  standing.receive(N2, preVoteReply(2, true));
  equal(standing.status.role, 'candidate');
  stall(standing);
  standing.persist();
  standing.receive(N2, { kind: 'voteReply', term: Term(2), granted: true });
  equal(standing.status.role, 'follower', 'not even with the vote that was stuck');
});

test('a stalled node refuses pre-votes, and answers no vote request', () => {
  const desk = aDesk();
  const [well] = sent(desk.receive(N2, preVoteRequest(2)), 'preVoteReply');
  equal(well?.message.granted, true);
  stall(desk);
  const [ill] = sent(desk.receive(N2, preVoteRequest(2)), 'preVoteReply');
  equal(ill?.message.granted, false);
  deepEqual(desk.receive(N2, voteRequest(2, anId(0, 0))), []);
  deepEqual(desk.receive(N2, voteRequest(2, anId(0, 0), true)), [], 'nor one of a transfer');
  equal(desk.status.term, 1);
  stall(desk, false);
  desk.receive(N2, voteRequest(2, anId(0, 0)));
  equal(desk.status.votedFor, N2);
});

test('a stalled follower goes on following and says that it is stalled', () => {
  const desk = aDesk();
  stall(desk);
  const effects = desk.receive(N2, anAppend({ term: 1, log: [1], prevIndex: 0 }));
  equal(effectsOf(effects, 'persist').length, 1);
  const [reply] = sent(desk.receive(N2, heartbeat(1)), 'heartbeatReply');
  deepEqual(
    [reply?.message.isDiskStalled, reply?.message.lastIndex, reply?.message.durableIndex],
    [true, 1, 0],
  );
  stall(desk, false);
  const [later] = sent(desk.receive(N2, heartbeat(1)), 'heartbeatReply');
  equal(later?.message.isDiskStalled, false);
});

test('the leader knows which disks are stalled by what their nodes last said', () => {
  const desk = aSettledLeader();
  desk.answer(N2, { isDiskStalled: true });
  equal(desk.peer(N2).isDiskStalled, true);
  equal(desk.peer(N3).isDiskStalled, false);
  desk.answer(N2);
  equal(desk.peer(N2).isDiskStalled, false);
});

test('to be told the same again changes nothing', () => {
  const desk = aFreshLeader();
  deepEqual(stall(desk, false), []);
  equal(desk.status.role, 'leader');
  stall(desk);
  deepEqual(stall(desk), []);
});

test('when the disk of the leader hangs, another one leads and the group goes on', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.hungDisks.add(N1);
  bench.propose(N1);
  bench.settle();
  bench.step(N1, { kind: 'diskHealth', isStalled: true });
  bench.run(80);
  const leader = bench.leader();
  ok(leader === N2 || leader === N3);
  bench.propose(leader);
  bench.run(5);
  equal(bench.status(leader).commitIndex, bench.status(leader).lastIndex);
  equal(bench.status(N1).leader, leader, 'the stalled one follows');
});

test('a group in which two disks stall waits, and goes on with the first that is well', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  for (const id of [N1, N2]) bench.step(id, { kind: 'diskHealth', isStalled: true });
  bench.run(200);
  equal(bench.leader(), null, 'nobody can promise anything');
  bench.step(N2, { kind: 'diskHealth', isStalled: false });
  bench.run(100);
  const leader = bench.leader();
  ok(leader === N2 || leader === N3);
});
