import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  aCore,
  aMembership,
  anAppend,
  effectsOf,
  heartbeat,
  N1,
  N2,
  N3,
  N4,
  N5,
  sent,
  ticks,
} from '../../test/raft-bench/builders.ts';
import { aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { LogIndex, type NodeId, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import { READS_WAITING_MAX } from './limits.ts';
import { standardRules } from './rules.ts';

function confirmed(effects: readonly Effect[]): (readonly [tag: number, index: number])[] {
  return effectsOf(effects, 'readResult').map((result) => {
    ok(result.result === 'confirmed', JSON.stringify(result));
    return [result.tag, result.index];
  });
}

function refused(effects: readonly Effect[]): (readonly [tag: number, why: string])[] {
  return effectsOf(effects, 'readResult').map((result) => {
    ok(result.result === 'refused', JSON.stringify(result));
    return [result.tag, result.why];
  });
}

/** The number of the round in the heartbeats of a step. */
function roundOf(effects: readonly Effect[]): number {
  const rounds = new Set(sent(effects, 'heartbeat').map(({ message }) => message.round));
  equal(rounds.size, 1, 'all are asked the same');
  return [...rounds][0]!; // counted above
}

test('a read is confirmed by a majority that answers a question asked after it', () => {
  const desk = aSettledLeader();
  const asked = desk.read(7);
  deepEqual(confirmed(asked), [], 'nothing is known yet');
  deepEqual(
    sent(asked, 'heartbeat').map(({ to }) => to),
    [N2, N3],
    'the question is not left to the next heartbeat',
  );
  const round = roundOf(asked);
  deepEqual(confirmed(desk.answer(N2, { round })), [[7, 1]]);
  deepEqual(confirmed(desk.answer(N3, { round })), [], 'a read is answered once');
});

test('a read names the commit index of its arrival, not a later one', () => {
  const desk = aSettledLeader();
  const round = roundOf(desk.read(7));
  desk.propose();
  desk.persist();
  desk.accept(N2);
  equal(desk.status.commitIndex, 2);
  deepEqual(confirmed(desk.answer(N2, { round })), [[7, 1]]);
});

test('an answer to an older round confirms nothing', () => {
  const desk = aSettledLeader();
  const first = roundOf(desk.read(1));
  desk.answer(N2, { round: first });
  const second = roundOf(desk.read(2));
  ok(second > first);
  deepEqual(
    confirmed(desk.answer(N3, { round: first })),
    [],
    'late: it was sent before read 2 came',
  );
  deepEqual(confirmed(desk.answer(N3, { round: 0 })), [], 'an answer to something else');
  deepEqual(confirmed(desk.answer(N3, { round: second })), [[2, 1]]);
});

test('reads that arrive while a round is under way are confirmed together by the next one', () => {
  const desk = aSettledLeader();
  const first = roundOf(desk.read(1));
  deepEqual(sent(desk.read(2), 'heartbeat'), [], 'one question at a time');
  desk.read(3);
  const next = desk.answer(N2, { round: first });
  deepEqual(confirmed(next), [[1, 1]]);
  const second = roundOf(next);
  deepEqual(confirmed(desk.answer(N3, { round: first })), []);
  deepEqual(confirmed(desk.answer(N3, { round: second })), [
    [2, 1],
    [3, 1],
  ]);
});

test('a lost question is asked again by the next heartbeat, and a repeated answer is harmless', () => {
  const desk = aSettledLeader();
  const round = roundOf(desk.read(1));
  const again = desk.tick(3);
  equal(roundOf(again), round);
  deepEqual(confirmed(desk.answer(N3, { round })), [[1, 1]]);
  deepEqual(effectsOf(desk.answer(N3, { round }), 'readResult'), []);
});

test('time alone confirms nothing: neither heartbeats of others nor acknowledgements do', () => {
  const desk = aSettledLeader();
  const before = roundOf(desk.tick(3));
  desk.read(1);
  const effects: Effect[] = [];
  for (let i = 0; i < 50; i++) {
    desk.propose();
    desk.persist();
    effects.push(...desk.tick(2), ...desk.accept(N2), ...desk.answer(N2, { round: before }));
  }
  equal(desk.status.role, 'leader');
  deepEqual(confirmed(effects), []);
});

test('a read that comes before the leader has committed in its own term waits for that', () => {
  const desk = aFreshLeader({ log: [1, 1, 1], term: 2 });
  const early = desk.read(1);
  deepEqual(early, [], 'not even a question: the commit index is not known');
  desk.persist();
  const round = roundOf(desk.accept(N2));
  equal(desk.status.commitIndex, 4);
  deepEqual(
    confirmed(desk.answer(N3, { round })),
    [[1, 4]],
    'what older leaders committed is seen',
  );
});

test('a leader whose commit index is of an older term is as blind as one without', () => {
  const desk = aFreshLeader({ log: [1, 1], commitIndex: 2, appliedIndex: 2, term: 1 });
  deepEqual(desk.read(1), []);
  desk.answer(N2, { round: 0 });
  deepEqual(confirmed(desk.answer(N3, { round: 1 })), []);
});

test('while the group changes both sets must have answered', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4, N5] });
  const desk = aSettledLeader({ membership });
  desk.change(
    { kind: 'promote', nodeId: N4 },
    { kind: 'promote', nodeId: N5 },
    { kind: 'remove', nodeId: N2 },
    { kind: 'remove', nodeId: N3 },
  );
  deepEqual(desk.status.membership.membership.outgoing, [N1, N2, N3]);
  const round = roundOf(desk.read(1));
  for (const peer of [N2, N3]) deepEqual(confirmed(desk.answer(peer, { round })), []);
  deepEqual(confirmed(desk.answer(N5, { round })), [[1, 1]]);
});

test('a change after which nobody else decides completes a round that was under way', () => {
  const desk = aSettledLeader({ voters: [N1, N2] });
  desk.change({ kind: 'remove', nodeId: N2 });
  desk.persist();
  roundOf(desk.read(1));
  // Its last acknowledgement comes, its answer to the question never will.
  const effects = [...desk.accept(N2), ...desk.persist(), ...desk.tick()];
  deepEqual(desk.status.membership.membership.voters, [N1]);
  deepEqual(confirmed(effects), [[1, 1]]);
  deepEqual(confirmed(desk.read(2)), [[2, 3]]);
});

test('in a joint phase the majority of one set confirms nothing', () => {
  const rules = { ...standardRules, readWaitsForOwnTermCommit: () => false };
  const membership = aMembership({ voters: [N1, N2, N3], outgoing: [N1, N4, N5] });
  for (const [first, second] of [
    [N2, N4],
    [N5, N3],
  ] as const) {
    const desk = aFreshLeader({ membership, rules });
    const round = roundOf(desk.read(1));
    deepEqual(confirmed(desk.answer(first, { round })), [], `${first} alone`);
    deepEqual(confirmed(desk.answer(second, { round })), [[1, 0]]);
  }
});

test('answers of learners and of strangers do not count', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const desk = aSettledLeader({ membership });
  const round = roundOf(desk.read(1));
  deepEqual(confirmed(desk.answer(N4, { round })), []);
  deepEqual(confirmed(desk.answer(N5, { round })), []);
  deepEqual(confirmed(desk.answer(N2, { round })), [[1, 1]]);
});

test('a group of one confirms at once, after its first commit', () => {
  const desk = aFreshLeader({ voters: [N1] });
  deepEqual(confirmed(desk.read(1)), []);
  deepEqual(confirmed(desk.persist()), [[1, 1]]);
  deepEqual(confirmed(desk.read(2)), [[2, 1]]);
});

const ends: readonly (readonly [string, (desk: Desk) => readonly Effect[]])[] = [
  ['a newer leader is heard', (desk) => desk.receive(N3, heartbeat(9))],
  ['a newer term is heard of', (desk) => desk.receive(N3, { ...aVoteReply, term: Term(9) })],
  ['a newer leader sends entries', (desk) => desk.receive(N3, anAppend(ANOTHER))],
  ['no majority is heard', (desk) => desk.tick(21)],
  ['the disk stalls', (desk) => desk.step({ kind: 'diskHealth', isStalled: true })],
];
const aVoteReply = { kind: 'voteReply', granted: false } as const;
const ANOTHER = { term: 9, log: [], prevIndex: 0 };

for (const [what, end] of ends) {
  test(`all waiting reads are refused when ${what}`, () => {
    const desk = aSettledLeader();
    const round = roundOf(desk.read(1));
    desk.read(2);
    deepEqual(refused(end(desk)), [
      [1, 'notLeader'],
      [2, 'notLeader'],
    ]);
    deepEqual(effectsOf(desk.answer(N2, { round }), 'readResult'), []);
  });
}

test('early reads are refused as well when the leadership ends', () => {
  const desk = aFreshLeader();
  desk.read(1);
  deepEqual(refused(desk.receive(N3, heartbeat(9))), [[1, 'notLeader']]);
});

test('nobody but a leader takes a read', () => {
  const core = aCore();
  const read = { kind: 'read', tag: 5 } as const;
  deepEqual(refused(core.step(read)), [[5, 'notLeader']]);
  ticks(core, 20);
  equal(core.status().role, 'preCandidate');
  deepEqual(refused(core.step(read)), [[5, 'notLeader']]);
});

test('reads above the bound are refused, the others keep waiting', () => {
  const desk = aSettledLeader();
  const round = roundOf(desk.read(0));
  for (let tag = 1; tag < READS_WAITING_MAX; tag++) desk.read(tag);
  deepEqual(refused(desk.read(-1)), [[-1, 'tooMany']]);
  const next = desk.answer(N2, { round });
  deepEqual(confirmed(next), [[0, 1]]);
  deepEqual(refused(desk.read(-2)), [], 'there is room again');
  equal(confirmed(desk.answer(N2, { round: roundOf(next) })).length, READS_WAITING_MAX - 1);
});

test('an answer from an earlier term does not confirm a read of this one', () => {
  const desk = aSettledLeader();
  const round = roundOf(desk.read(1));
  const { term, lastIndex } = desk.status;
  const late = desk.receive(N2, {
    kind: 'heartbeatReply',
    term: Term(term - 1),
    round,
    lastIndex,
    durableIndex: lastIndex,
    isDiskStalled: false,
  });
  deepEqual(confirmed(late), []);
});

function readsOf(bench: Bench, id: NodeId) {
  return bench.effectsOf(id, 'readResult');
}

test('a leader that was cut off never answers a read from its past', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N1);
  const tag = bench.read(N1);
  // Its own time stands still meanwhile, as in a process that is stopped.
  for (let i = 0; i < 60 && bench.status(N2).role !== 'leader'; i++) {
    for (const id of [N2, N3]) bench.tick(id);
    bench.settle();
  }
  const leader = bench.leader();
  ok(leader !== null && leader !== N1);
  bench.propose(leader);
  bench.settle();
  bench.heal();
  const late = bench.read(N1);
  equal(bench.status(N1).role, 'leader', 'it does not know yet');
  bench.tick(N1, 3);
  bench.settle();
  deepEqual(
    readsOf(bench, N1).map((read) => [read.tag, read.result]),
    [
      [tag, 'refused'],
      [late, 'refused'],
    ],
  );
});

test('a read is confirmed although the disk of the leader and the log of a peer are behind', () => {
  const desk = aSettledLeader();
  desk.propose();
  const round = roundOf(desk.read(1));
  deepEqual(confirmed(desk.answer(N2, { last: 1, durable: 1, round })), [[1, LogIndex(1)]]);
});
