import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import { aMembership, effectsOf, N1, N2, N3, N4, sent } from '../../test/raft-bench/builders.ts';
import { aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';

/** Of `benchConfig`. */
const ACTIVE_TICKS = 20;
const PROGRESS_TICKS = 60;

// Silence.

test('a leader that hears nobody leads for an election timeout and no longer', () => {
  const desk = aSettledLeader();
  desk.tick(ACTIVE_TICKS);
  equal(desk.status.role, 'leader');
  deepEqual(desk.tick(), [{ kind: 'role', role: 'follower', term: 2, leader: null }]);
});

test('silence is counted in ticks that were processed, whatever the clocks say', () => {
  const desk = aSettledLeader();
  // A process that was stopped gets one tick for all that time.
  desk.tick(ACTIVE_TICKS);
  desk.step({ kind: 'resumed' });
  equal(desk.status.role, 'leader');
  desk.answer(N2);
  desk.tick(ACTIVE_TICKS);
  equal(desk.status.role, 'leader');
});

test('any answer in the own term counts: to heartbeats, to appends, refusals too', () => {
  const answers: readonly ((desk: Desk) => unknown)[] = [
    (desk) => desk.answer(N2),
    (desk) => desk.accept(N2),
    (desk) => {
      const { term, lastIndex } = desk.status;
      const id = { term, index: lastIndex };
      desk.receive(N2, { kind: 'appendRejected', term, rejected: id, hint: id });
    },
  ];
  for (const answer of answers) {
    const desk = aSettledLeader();
    desk.tick(ACTIVE_TICKS);
    answer(desk);
    desk.tick(ACTIVE_TICKS);
    equal(desk.status.role, 'leader');
  }
});

test('what learners and strangers say keeps nobody in office', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const desk = aSettledLeader({ membership });
  desk.pass(ACTIVE_TICKS + 1, [N4]);
  equal(desk.status.role, 'follower');
});

test('a new leader is given an election timeout to hear from its peers', () => {
  const desk = aFreshLeader();
  desk.tick(ACTIVE_TICKS);
  equal(desk.status.role, 'leader');
  desk.tick();
  equal(desk.status.role, 'follower');
});

test('a group of one never loses its leader to silence', () => {
  const desk = aSettledLeader({ voters: [N1] });
  desk.pass(500, []);
  equal(desk.status.role, 'leader');
});

test('a leader that steps down takes back nothing: its entries may still be committed', () => {
  const desk = aSettledLeader();
  const accepted = desk.propose();
  equal(effectsOf(accepted, 'proposeResult')[0]?.result, 'accepted');
  deepEqual(effectsOf(desk.tick(ACTIVE_TICKS + 1), 'proposeResult'), []);
  equal(desk.status.lastIndex, 2);
});

// No progress (L8).

test('a leader that is heard, but whose entries nobody takes over, steps down', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.persist();
  const answer = { last: 1, durable: 1 };
  desk.pass(PROGRESS_TICKS - 1, [N2, N3], answer);
  equal(desk.status.role, 'leader');
  const effects = desk.pass(2, [N2, N3], answer);
  equal(effectsOf(effects, 'role')[0]?.role, 'follower');
});

test('entries that arrive and never become durable are no progress', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.persist();
  desk.pass(PROGRESS_TICKS + 1, [N2, N3], { last: 2, durable: 1 });
  equal(desk.status.role, 'follower');
});

test('with nothing open a leader leads for ever', () => {
  const desk = aSettledLeader();
  desk.pass(10 * PROGRESS_TICKS, [N2, N3]);
  equal(desk.status.role, 'leader');
});

test('a long calm before an entry does not count against the leader', () => {
  const desk = aSettledLeader();
  desk.pass(5 * PROGRESS_TICKS, [N2, N3]);
  desk.propose();
  desk.pass(PROGRESS_TICKS - 1, [N2, N3], { last: 1, durable: 1 });
  equal(desk.status.role, 'leader');
});

test('one peer that takes over what it is sent is enough', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 3 * PROGRESS_TICKS; i++) {
    if (i % 10 === 0) desk.propose();
    desk.persist();
    desk.pass(1, [N2, N3], { last: 1, durable: 1 });
    desk.accept(N2);
  }
  equal(desk.status.role, 'leader');
  equal(desk.peer(N3).matchIndex, 1);
});

test('slow progress is progress', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 10; i++) desk.propose();
  desk.persist();
  for (let match = 2; match <= 8; match++) {
    desk.pass(PROGRESS_TICKS - 5, [N2, N3], { last: match, durable: match - 1 });
    desk.accept(N2, match);
  }
  equal(desk.status.role, 'leader');
});

test('a leader whose own disk hangs leads as long as its peers commit without it', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 3 * PROGRESS_TICKS; i++) {
    if (i % 10 === 0) desk.propose();
    desk.tick();
    for (const peer of [N2, N3]) desk.accept(peer);
  }
  equal(desk.status.role, 'leader');
  equal(desk.status.commitIndex, desk.status.lastIndex);
});

test('a leader whose own disk and one peer hang commits nothing, and steps down', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.accept(N2);
  equal(desk.status.commitIndex, 1);
  for (let i = 0; i <= PROGRESS_TICKS; i++) {
    desk.tick();
    desk.answer(N2);
    desk.answer(N3, { last: 2, durable: 1 });
  }
  equal(desk.status.role, 'follower');
});

test('a peer that is brought a snapshot is on its way', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 3; i++) desk.propose();
  desk.persist();
  desk.accept(N2);
  desk.apply();
  desk.step({ kind: 'compacted', through: desk.status.appliedIndex });
  desk.step({ kind: 'peerUnreachable', peer: N3 });
  desk.answer(N3, { last: 1 });
  equal(desk.peer(N3).state, 'snapshot');
  for (let i = 0; i < 2 * PROGRESS_TICKS; i++) desk.pass(1, [N3], { last: 1 });
  equal(desk.status.role, 'leader');
});

test('a group whose leader can send heartbeats but no entries gets another leader', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.loses = ({ from, message }) => from === N1 && message.kind === 'appendRequest';
  bench.propose(N1);
  bench.run(PROGRESS_TICKS + 60);
  const leader = bench.leader();
  ok(leader === N2 || leader === N3);
  bench.propose(leader);
  bench.run(5);
  equal(bench.status(leader).commitIndex, bench.status(leader).lastIndex);
});

test('heartbeats come in their interval, and none after the end', () => {
  const desk = aSettledLeader();
  const beats = Array.from({ length: 30 }, () => sent(desk.tick(), 'heartbeat').length / 2);
  deepEqual(
    beats.map((beat, i) => (beat === 1 ? i + 1 : 0)).filter((tick) => tick > 0),
    [3, 6, 9, 12, 15, 18],
  );
});
