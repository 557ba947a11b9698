/**
 * The ways in which replicated logs have lost data elsewhere, one by one, as far as the core can
 * prevent them. The ids are those of the project's list of hazards; docs/raft.md says which level
 * proves the rest.
 */
import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bench, benchMember } from '../../test/raft-bench/bench.ts';
import {
  aMembership,
  anAppend,
  anId,
  aSnapshot,
  effectsOf,
  heartbeat,
  N1,
  N2,
  N3,
  N4,
  preVoteReply,
  sent,
  termsOf,
  voteRequest,
} from '../../test/raft-bench/builders.ts';
import { aDesk, aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { LogIndex, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import type { Message } from './messages.ts';

function tagsConfirmed(effects: readonly Effect[]): number[] {
  return effectsOf(effects, 'readResult')
    .filter(({ result }) => result === 'confirmed')
    .map(({ tag }) => tag);
}

// H12: the commit rule.

test('H12: a leader commits by counting only what is of its own term', () => {
  const desk = aFreshLeader({ log: [1, 1] });
  desk.persist();
  desk.accept(N2, 2);
  desk.accept(N3, 2);
  equal(desk.status.commitIndex, 0, 'entry 2 is everywhere, and of an older term');
  desk.accept(N2, 3);
  equal(desk.status.commitIndex, 3);
});

test('H12: a message without entries commits no more than it has verified', () => {
  const desk = aDesk({ log: [1, 1, 2, 2] });
  const empty = { ...anAppend({ term: 3, log: [1, 1], prevIndex: 2 }), commitIndex: LogIndex(4) };
  desk.receive(N2, empty);
  equal(desk.status.commitIndex, 2, 'entries 3 and 4 are of another leader');
});

test('H12: a message with entries commits no further than its last one', () => {
  const desk = aDesk({ log: [1, 1, 1, 2] });
  const short = anAppend({ term: 3, log: [1, 1, 1], prevIndex: 1, commitIndex: 9 });
  desk.receive(N2, short);
  equal(desk.status.commitIndex, 3);
});

test('H12: a heartbeat names no more than the receiver has acknowledged', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.persist();
  desk.accept(N2);
  equal(desk.status.commitIndex, 2);
  const named = sent(desk.tick(3), 'heartbeat').map(({ to, message }) => [to, message.commitIndex]);
  deepEqual(named, [
    [N2, 2],
    [N3, 1],
  ]);
});

// H13: cutting.

test('H13: old, short, repeated and reordered messages cut nothing', () => {
  const log = Array.from({ length: 12 }, (_, i) => (i < 5 ? 1 : 2));
  const message = fc.tuple(fc.nat(log.length), fc.nat(log.length)).map(([from, to]) =>
    anAppend({
      term: 2,
      log: log.slice(0, Math.max(from, to)),
      prevIndex: Math.min(from, to),
    }),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const desk = aDesk({ log, term: 2 });
      for (const one of messages) deepEqual(sent(desk.receive(N2, one), 'appendRejected'), []);
      deepEqual(termsOf(desk.core), log);
      equal(desk.status.durableIndex, log.length);
    }),
    { numRuns: 100 },
  );
});

test('H13: a leader that is deposed keeps its log until a conflict is proven', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 3; i++) desk.propose();
  desk.receive(N2, heartbeat(9));
  equal(desk.status.lastIndex, 4);
  desk.receive(N2, anAppend({ term: 9, log: [2], prevIndex: 1 }));
  equal(desk.status.lastIndex, 4, 'a shorter log proves nothing');
});

// H14: indices that are used again.

test('H14: what is written, cut and written again is not durable by the end of its first write', () => {
  const desk = aDesk({ log: [1], term: 2 });
  desk.receive(N2, anAppend({ term: 2, log: [1, 2, 2], prevIndex: 1 }));
  desk.receive(N3, anAppend({ term: 3, log: [1, 3], prevIndex: 1 }));
  desk.receive(N2, anAppend({ term: 4, log: [1, 2, 2], prevIndex: 1 }));
  deepEqual(termsOf(desk.core), [1, 2, 2]);
  const told: number[] = [];
  for (const durable of [1, 1, 3]) {
    for (const { message } of sent(desk.persistOne(), 'appendAccepted')) {
      if (message.term === 4) told.push(message.matchIndex);
    }
    equal(desk.status.durableIndex, durable);
    deepEqual(told, durable === 3 ? [3] : []);
  }
});

test('H14: an acknowledgement keeps the term it was made in', () => {
  const desk = aDesk({ term: 2 });
  desk.receive(N2, anAppend({ term: 2, log: [2], prevIndex: 0 }));
  desk.receive(N3, heartbeat(3));
  const terms = sent(desk.persist(), 'appendAccepted').map(({ message }) => message.term);
  deepEqual(terms, [2]);
});

// H15. That nobody proposes before the no-op of the own term is applied, so that what is numbered by
// the log is numbered once, is the gate of the driver: test/replica/replica-group.test.ts. The core's
// part is that a place is foretold exactly.

test('H15: an entry is placed where it was foretold, also when a filler comes first', () => {
  const desk = aSettledLeader({ config: { segmentSizeBytes: 8192 } });
  for (let i = 0; i < 40; i++) {
    const foretold = desk.core.placementFor(700 + i);
    ok(foretold !== null);
    desk.propose(700 + i);
    const { index, term, physicalOffset } = foretold;
    const entry = desk.core.entryAt(index);
    deepEqual([entry?.term, entry?.physicalOffset, entry?.type], [term, physicalOffset, 'data']);
    equal(desk.status.lastIndex, index);
    desk.persist();
    desk.accept(N2);
    desk.apply();
  }
});

test('H15: nobody but a leader can foretell a place', () => {
  const desk = aSettledLeader();
  ok(desk.core.placementFor(8) !== null);
  desk.receive(N2, heartbeat(9));
  equal(desk.core.placementFor(8), null);
});

test('H15: nothing above the commit index is applied', () => {
  const desk = aSettledLeader();
  const effects = [...desk.propose(), ...desk.persist()];
  deepEqual(effectsOf(effects, 'apply'), []);
  deepEqual(effectsOf(desk.accept(N3), 'apply'), [{ kind: 'apply', from: 2, to: 2 }]);
});

// H16: what is forgotten is not a conflict, and not a match with nothing.

test('H16: a message that begins below the base is a match, and cuts nothing', () => {
  const desk = aDesk({ base: aSnapshot(2, 5), log: [2, 3], term: 3 });
  const log = [1, 1, 2, 2, 2, 2, 3];
  for (let prevIndex = 0; prevIndex <= 5; prevIndex++) {
    for (let end = prevIndex; end <= 7; end++) {
      const message = anAppend({ term: 3, log: log.slice(0, end), prevIndex });
      const effects = desk.receive(N2, message);
      deepEqual(
        sent(effects, 'appendAccepted').map(({ message: { matchIndex } }) => matchIndex),
        [end],
        `after ${prevIndex} to ${end}`,
      );
    }
  }
  equal(desk.status.lastIndex, 7);
});

test('H16: a message that begins behind the log is no match', () => {
  const desk = aDesk({ base: aSnapshot(2, 5), term: 3 });
  const append = { ...anAppend({ term: 3, log: [], prevIndex: 0 }), prev: anId(2, 6) };
  equal(sent(desk.receive(N2, append), 'appendRejected').length, 1);
});

test('H16: a follower that forgot a committed prefix answers like one that kept it', () => {
  const scenario = fc.record({
    committed: fc.integer({ min: 1, max: 6 }),
    forgotten: fc.nat(6),
    ownTail: fc.nat(3),
    slices: fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { maxLength: 12 }),
  });
  fc.assert(
    fc.property(scenario, ({ committed, forgotten, ownTail, slices }) => {
      const prefix = Array.from({ length: committed }, (_, i) => (i < 2 ? 1 : 2));
      const ours = [...prefix, ...Array.from({ length: ownTail }, () => 3)];
      const theirs = [...prefix, 4, 4, 4];
      const base = Math.min(forgotten, committed);
      const whole = aDesk({ log: ours, term: 4, appliedIndex: committed });
      const forgetful = aDesk({ log: ours, term: 4, appliedIndex: committed });
      forgetful.step({ kind: 'compacted', through: LogIndex(base) });
      for (const [a, b] of slices) {
        const prevIndex = Math.min(a, b, theirs.length);
        const end = Math.min(Math.max(a, b), theirs.length);
        const message = anAppend({ term: 4, log: theirs.slice(0, end), prevIndex });
        const answers = [whole, forgetful].map((desk) => [
          ...desk.receive(N2, message),
          ...desk.persist(),
        ]);
        deepEqual(answers[1], answers[0]);
        deepEqual(termsOf(forgetful.core).slice(base), termsOf(whole.core).slice(base));
      }
    }),
    { numRuns: 200 },
  );
});

// H20: changes of membership.

test('H20: a leader changes nothing before it has committed in its own term', () => {
  const desk = aFreshLeader({ log: [1, 1], appliedIndex: 2 });
  for (const peer of [N2, N3]) desk.answer(peer);
  const add = { kind: 'addLearner', member: benchMember(N4) } as const;
  const [early] = effectsOf(desk.change(add), 'changeResult');
  ok(early?.result === 'refused');
  deepEqual(early.problems, [{ kind: 'ownTermNotCommitted' }]);
});

/** `n1` of `n1 n2 n3` has begun to remove `n3`; only `n2` has heard of it, and `n1` of nothing. */
function aHalfDoneRemoval(): Bench {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N3);
  bench.loses = ({ message }) => message.kind === 'appendAccepted';
  bench.change(N1, { kind: 'remove', nodeId: N3 });
  bench.settle();
  equal(bench.status(N2).membership.index, 2);
  bench.crash(N1);
  bench.restart(N1);
  return bench;
}

test('H20: an inherited joint phase is left only when it is committed in a term of our own', () => {
  const bench = aHalfDoneRemoval();
  bench.elect(N2);
  equal(bench.status(N2).membership.membership.outgoing.length, 3);
  equal(bench.status(N2).commitIndex, 1, 'all who decide have it, and n2 does not know');
  bench.loses = () => false;
  bench.run(10);
  deepEqual(bench.status(N2).membership.membership.voters, [N1, N2]);
  deepEqual(bench.status(N2).membership.membership.removed, [N3]);
});

test('H20: a joint phase is not left by the commit of what lies before it', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.change({ kind: 'remove', nodeId: N3 });
  desk.persist();
  desk.accept(N2, 2);
  equal(desk.status.commitIndex, 2);
  equal(desk.status.membership.membership.outgoing.length, 3);
  desk.accept(N2, 3);
  equal(desk.status.membership.membership.outgoing.length, 0);
});

test('H20: a node that is removed only by others still campaigns: its vote may be needed', () => {
  const bench = aHalfDoneRemoval();
  bench.tick(N3, 60);
  equal(bench.status(N3).role, 'preCandidate');
});

test('H20: a change that another leader never had is rolled back to the one before in the log', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N1);
  bench.change(N1, { kind: 'remove', nodeId: N3 });
  equal(bench.status(N1).membership.index, 2);
  bench.run(60);
  bench.heal();
  bench.run(40);
  deepEqual(bench.status(N1).membership.index, 0);
  deepEqual(bench.status(N1).membership.membership.outgoing, []);
});

// H21, H22, H23: identity. Who is on the other end of a connection, whether its directory was wiped,
// cloned or put back, is decided in the handshake (test/replica/handshake-pins.test.ts) and proven in
// the simulator; the core sees only nodes whose promises are known. Its part is below.

test('H21: a stranger is heard, and counts for nothing', () => {
  const asking = aDesk();
  while (asking.status.role !== 'preCandidate') asking.tick();
  const effects = asking.receive(N4, preVoteReply(2, true));
  equal(asking.status.role, 'preCandidate');
  deepEqual(
    effectsOf(effects, 'alarm').map(({ id }) => id),
    ['strangerMessage'],
  );
  const leading = aSettledLeader();
  leading.propose();
  leading.persist();
  leading.accept(N4, 2);
  equal(leading.status.commitIndex, 1);
});

test('H22: a node id is used once: who was removed never comes back under it', () => {
  const desk = aSettledLeader();
  desk.change({ kind: 'remove', nodeId: N3 });
  for (let i = 0; i < 2; i++) {
    desk.persist();
    desk.accept(N2);
  }
  deepEqual(desk.status.membership.membership.removed, [N3]);
  const back = desk.change({ kind: 'addLearner', member: benchMember(N3) });
  const [result] = effectsOf(back, 'changeResult');
  ok(result?.result === 'refused');
  equal(result.problems[0]?.kind, 'invalidStep');
});

test('H22: another directory is another node: a store that is pinned stays so', () => {
  const members = [N1, N2, N3].map((id) => benchMember(id, { storeUuid: `store of ${id}` }));
  const desk = aSettledLeader({
    membership: { ...aMembership({ voters: [N1, N2, N3] }), members },
  });
  const wiped = benchMember(N2, { storeUuid: 'a new store' });
  const [result] = effectsOf(desk.change({ kind: 'describe', member: wiped }), 'changeResult');
  ok(result?.result === 'refused');
  equal(result.problems[0]?.kind, 'invalidStep');
});

test('H23: a peer that reports less than it acknowledged trips the alarm, and is trusted no more', () => {
  const desk = aSettledLeader({ log: [1, 1, 1, 1] });
  equal(desk.peer(N3).matchIndex, 5);
  const effects: Effect[] = [];
  for (let i = 0; i < 20; i++) {
    effects.push(...desk.tick(3), ...desk.answer(N2), ...desk.answer(N3, { last: 2 }));
  }
  deepEqual(effectsOf(effects, 'alarm'), [
    {
      kind: 'alarm',
      id: 'followerLostLog',
      details: { peer: N3, matchIndex: 5, lastIndex: 2, durableIndex: 2 },
    },
  ]);
  equal(desk.peer(N3).matchIndex, 0, 'what it has may be of another time');
  const beats = sent(desk.tick(3), 'heartbeat').filter(({ to }) => to === N3);
  equal(beats[0]?.message.commitIndex, 0, 'and so it is told to commit nothing of it');
});

test('H23: one short report is an old message, not a lost log', () => {
  const desk = aSettledLeader({ log: [1, 1] });
  const effects = [...desk.answer(N3, { last: 1 }), ...desk.tick(60), ...desk.answer(N3)];
  deepEqual(effectsOf(effects, 'alarm'), []);
});

// H24, H25: reads.

test('H24: no late or repeated answer is taken for the answer to a later question', () => {
  const desk = aSettledLeader();
  const asked: number[] = [];
  for (let tag = 1; tag <= 5; tag++) {
    const [beat] = sent(desk.read(tag), 'heartbeat');
    ok(beat !== undefined);
    notEqual(asked.at(-1), beat.message.round);
    for (const old of asked) {
      for (const peer of [N2, N3]) deepEqual(tagsConfirmed(desk.answer(peer, { round: old })), []);
    }
    deepEqual(tagsConfirmed(desk.answer(N2, { round: beat.message.round })), [tag]);
    asked.push(beat.message.round);
  }
});

test('H24: a leader that was stopped between question and answer does not serve a new read by it', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  const before = bench.read(N1);
  for (let left = bench.wire.length; left > 0; left--) bench.deliver();
  // The answers are on the wire. The leader is stopped, the others go on without it.
  const late = bench.wire.splice(0);
  ok(late.length === 2);
  bench.isolate(N1);
  for (let i = 0; i < 60 && bench.leader() === N1; i++) {
    for (const id of [N2, N3]) bench.tick(id);
    bench.settle();
  }
  const after = bench.read(N1);
  bench.wire.push(...late);
  bench.settle();
  // The first read came before all that: its answer is still a true one.
  deepEqual(tagsConfirmed(bench.node(N1).effects), [before]);
  bench.heal();
  bench.run(5);
  const results = bench.effectsOf(N1, 'readResult').map(({ tag, result }) => [tag, result]);
  deepEqual(results.at(-1), [after, 'refused']);
});

// That the core asks no clock at all is checked by tools/layers.test.ts.
test('H25: a read is never confirmed by time alone, however well the leader is', () => {
  const desk = aSettledLeader();
  desk.read(1);
  const effects = desk.pass(1000, [N2, N3], { round: 0 });
  equal(desk.status.role, 'leader');
  deepEqual(tagsConfirmed(effects), []);
  equal(desk.peer(N2).isActive, true);
});

// H26: a process that was stopped.

test('H26: after a pause the election timer starts again, and nothing else happens', () => {
  const desk = aDesk();
  desk.receive(N2, heartbeat(1));
  desk.tick(19);
  deepEqual(desk.step({ kind: 'resumed' }), []);
  deepEqual(desk.tick(19), [], 'what waits in the sockets is read first');
  ok(sent(desk.tick(40), 'preVoteRequest').length > 0);
});

test('H26: a leader that was stopped still has to be heard by a majority', () => {
  const desk = aSettledLeader();
  desk.tick(20);
  desk.step({ kind: 'resumed' });
  desk.tick();
  equal(desk.status.role, 'follower', 'its pause does not extend its time');
});

// H27: partial partitions.

const WAYS = [N1, N2, N3].flatMap((from) =>
  [N1, N2, N3].filter((to) => to !== from).map((to) => `${from}>${to}`),
);
const ELECTION_TIMEOUT_TICKS_MAX = 40;

function hasFullyConnectedPair(open: ReadonlySet<string>): boolean {
  return WAYS.some((way) => {
    const [from, to] = way.split('>');
    return open.has(way) && open.has(`${to}>${from}`);
  });
}

/** Clients offer a write to whoever takes it. @returns whether one of them was committed. */
function canWrite(bench: Bench, ticks: number): boolean {
  const offered = new Set<number>();
  for (let i = 0; i < ticks; i++) {
    bench.run(1);
    for (const id of bench.ids) {
      if (bench.status(id).role === 'leader') offered.add(bench.propose(id));
    }
    bench.settle();
    const last = bench.promises.committed.get(bench.promises.committedIndex);
    if (last?.type === 'data' && offered.has(last.payloadCrc)) return true;
  }
  return false;
}

for (const start of ['a leader', 'no leader'] as const) {
  test(`H27: with ${start}, on any subset of ways, two who hear each other can write`, () => {
    for (let subset = 0; subset < 2 ** WAYS.length; subset++) {
      const open = new Set(WAYS.filter((_, i) => (subset & (1 << i)) !== 0));
      const bench = new Bench({ nodeCount: 3, seed: subset });
      if (start === 'a leader') bench.elect(N1);
      for (const way of WAYS) if (!open.has(way)) bench.cutWays.add(way);
      const isWritten = canWrite(bench, 5 * ELECTION_TIMEOUT_TICKS_MAX);
      if (hasFullyConnectedPair(open)) ok(isWritten, `a write over ${[...open].join(' ')}`);
      bench.heal();
      ok(canWrite(bench, 5 * ELECTION_TIMEOUT_TICKS_MAX), `healed from ${[...open].join(' ')}`);
    }
  });
}

test('H27: a bridge between two that do not hear each other keeps its leader', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N2);
  for (const way of [`${N2}>${N3}`, `${N3}>${N2}`]) bench.cutWays.add(way);
  bench.run(300);
  equal(bench.leader(), N2);
  equal(bench.status(N1).term, 1, 'n3 asks n1, and n1 hears a leader');
});

// H29: outcomes.

function outcomes(effects: readonly Effect[]): string[] {
  return effectsOf(effects, 'proposeResult').map(({ result }) => result);
}

/** `n1` has led term 2 and proposed entry 2; another leader has its own entry there. */
function aDeposedLeader(): Desk {
  const desk = aSettledLeader();
  deepEqual(outcomes(desk.propose()), ['accepted']);
  desk.persist();
  return desk;
}

/** An append of entry 2, in this term of its own, after the no-op of n1. */
function anotherLog(desk: Desk, term: number, entryTerm: number, commitIndex: number): Message {
  const first = desk.core.entryAt(LogIndex(1));
  ok(first !== null);
  const append = anAppend({ term, log: [2, entryTerm], prevIndex: 1 });
  const physicalOffset = first.physicalOffset + first.sizeBytes;
  const entries = append.entries.map((entry) => ({
    ...entry,
    physicalOffset: physicalOffset as typeof entry.physicalOffset,
  }));
  return { ...append, entries, commitIndex: LogIndex(commitIndex) };
}

test('H29: an entry that is cut may come back: its outcome stays open', () => {
  const desk = aDeposedLeader();
  const effects = [
    ...desk.receive(N2, anotherLog(desk, 3, 3, 1)),
    ...desk.receive(N3, anotherLog(desk, 4, 2, 2)),
    ...desk.persist(),
  ];
  deepEqual(termsOf(desk.core), [2, 2]);
  equal(desk.status.commitIndex, 2, 'the very entry of n1 is committed after all');
  deepEqual(outcomes(effects), []);
});

test('H29: surely never applied is only what a committed entry of another term displaced', () => {
  const desk = aDeposedLeader();
  deepEqual(outcomes(desk.receive(N2, anotherLog(desk, 3, 3, 1))), []);
  deepEqual(outcomes(desk.receive(N2, anotherLog(desk, 3, 3, 2))), ['overwritten']);
});

test('H29: what is rejected was never in the log', () => {
  const desk = aSettledLeader();
  desk.receive(N2, heartbeat(9));
  const { lastIndex } = desk.status;
  deepEqual(outcomes(desk.propose()), ['rejected']);
  equal(desk.status.lastIndex, lastIndex);
});

test('H29: the end of a leadership says nothing about what was accepted', () => {
  const ends: readonly ((desk: Desk) => readonly Effect[])[] = [
    (desk) => desk.tick(30),
    (desk) => desk.receive(N2, heartbeat(9)),
    (desk) => desk.receive(N2, voteRequest(9, anId(8, 9), true)),
    (desk) => desk.step({ kind: 'diskHealth', isStalled: true }),
  ];
  for (const end of ends) {
    const desk = aDeposedLeader();
    deepEqual(outcomes(end(desk)), []);
    equal(desk.status.role, 'follower');
    equal(desk.core.termAt(LogIndex(2)), Term(2));
  }
});
