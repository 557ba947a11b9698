import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, benchMembership } from '../../test/raft-bench/bench.ts';
import {
  aMembership,
  anAppend,
  anId,
  aSnapshot,
  ENTRY_SIZE_BYTES,
  effectsOf,
  heartbeat,
  logged,
  N1,
  N2,
  N3,
  N4,
  preVoteReply,
  sent,
  termsOf,
  thePersist,
  voteRequest,
  waiting,
} from '../../test/raft-bench/builders.ts';
import { aDesk, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import type { SnapshotDesc } from './entry.ts';
import { standardRules } from './rules.ts';

function install(desk: Desk, snapshot: SnapshotDesc, term = 3): readonly Effect[] {
  return desk.receive(N2, { kind: 'installSnapshot', term: Term(term), snapshot });
}

function matchesOf(effects: readonly Effect[]): number[] {
  return sent(effects, 'appendAccepted').map(({ message }) => message.matchIndex);
}

function placesOf({ status }: Desk): readonly number[] {
  const { baseIndex, lastIndex, durableIndex, commitIndex, appliedIndex } = status;
  return [baseIndex, lastIndex, durableIndex, commitIndex, appliedIndex];
}

function applies(effects: readonly Effect[]): (readonly [from: number, to: number])[] {
  return effectsOf(effects, 'apply').map(({ from, to }) => [from, to]);
}

// The follower.

test('a snapshot takes the place of a log that ends before it, and counts when it is durable', () => {
  const desk = aDesk({ log: [1, 1], term: 1, appliedIndex: 1 });
  const effects = install(desk, aSnapshot(2, 5));
  const write = thePersist(effects);
  deepEqual(write.snapshot, aSnapshot(2, 5));
  equal(write.truncateFrom, null, 'the whole log is void: nothing is left to cut');
  deepEqual(write.entries, []);
  deepEqual(write.hardState, { term: 3, votedFor: null }, 'one unit with the term it came in');
  deepEqual(matchesOf(effects), [], 'the reply waits for the disk');
  deepEqual(placesOf(desk), [5, 5, 1, 5, 1], 'durable is what was committed before, and no more');
  deepEqual(matchesOf(desk.persist()), [5]);
  deepEqual(placesOf(desk), [5, 5, 5, 5, 5]);
});

test('nothing is applied for what a snapshot stands for', () => {
  const desk = aDesk({ log: [1, 1], appliedIndex: 1 });
  const effects = [...install(desk, aSnapshot(2, 5)), ...desk.persist()];
  deepEqual(applies(effects), []);
});

for (const [what, index] of [
  ['ends where the commit index is', 3],
  ['ends before it', 2],
] as const) {
  test(`a snapshot that ${what} is acknowledged and changes nothing`, () => {
    const desk = aDesk({ log: [1, 1, 1, 1], appliedIndex: 3 });
    const effects = install(desk, aSnapshot(1, index), 1);
    deepEqual(effectsOf(effects, 'persist'), []);
    deepEqual(matchesOf(effects), [index]);
    deepEqual(placesOf(desk), [0, 4, 4, 3, 3]);
  });
}

test('a log that holds the last entry of a snapshot is kept, and committed up to there', () => {
  const desk = aDesk({ log: [1, 1, 2, 2], appliedIndex: 1 });
  const effects = install(desk, aSnapshot(2, 3), 2);
  deepEqual(effectsOf(effects, 'persist'), []);
  deepEqual(applies(effects), [[2, 3]]);
  deepEqual(matchesOf(effects), [3]);
  deepEqual(placesOf(desk), [0, 4, 4, 3, 1]);
});

test('a log that has another entry there is replaced, with all that follows', () => {
  const desk = aDesk({ log: [1, 1, 1, 1, 1], appliedIndex: 1 });
  const write = thePersist(install(desk, aSnapshot(2, 3)));
  deepEqual(write.snapshot?.last, anId(2, 3));
  deepEqual(placesOf(desk), [3, 3, 1, 3, 1]);
  equal(desk.core.entryAt(LogIndex(4)), null);
  equal(desk.core.termAt(LogIndex(3)), 2);
  equal(desk.core.termAt(LogIndex(2)), 'compacted');
});

test('the log goes on where the snapshot ends, byte for byte', () => {
  const desk = aDesk();
  install(desk, aSnapshot(2, 5));
  equal(desk.status.endOffset, aSnapshot(2, 5).endOffset);
  const log = [2, 2, 2, 2, 2, 3, 3];
  const effects = desk.receive(N2, anAppend({ term: 3, log, prevIndex: 5 }));
  deepEqual(
    thePersist(effects).entries.map(({ index }) => index),
    [6, 7],
  );
  equal(desk.status.endOffset, aSnapshot(2, 5).endOffset + 2 * ENTRY_SIZE_BYTES);
});

test('entries after a snapshot are acknowledged and applied behind it, not before', () => {
  const desk = aDesk();
  install(desk, aSnapshot(2, 5));
  const log = [2, 2, 2, 2, 2, 3];
  const append = desk.receive(N2, anAppend({ term: 3, log, prevIndex: 5, commitIndex: 6 }));
  deepEqual([matchesOf(append), applies(append)], [[], []]);
  deepEqual(desk.status.commitIndex, 6);
  const first = desk.persistOne();
  deepEqual([matchesOf(first), applies(first)], [[5], []], 'entry 6 is not durable yet');
  equal(desk.status.appliedIndex, 5);
  const second = desk.persistOne();
  deepEqual([matchesOf(second), applies(second)], [[6], [[6, 6]]]);
});

test('an append from before the snapshot matches below it, and brings what is beyond it', () => {
  const desk = aDesk();
  install(desk, aSnapshot(2, 5));
  const log = [1, 1, 2, 2, 2, 2, 3];
  const old = desk.receive(N2, anAppend({ term: 3, log: log.slice(0, 4), prevIndex: 2 }));
  deepEqual(effectsOf(old, 'alarm'), []);
  deepEqual(sent(old, 'appendRejected'), []);
  equal(desk.status.lastIndex, 5, 'an old message cuts nothing');
  desk.receive(N2, anAppend({ term: 3, log, prevIndex: 3 }));
  equal(desk.status.lastIndex, 7);
  deepEqual(matchesOf(desk.persist()).toSorted(), [4, 5, 7]);
});

test('an append that races an install is not acknowledged before the snapshot is durable', () => {
  const desk = aDesk({ log: [1, 1], appliedIndex: 0, term: 3 });
  install(desk, aSnapshot(2, 5));
  const log = [1, 1, 2, 2, 2];
  deepEqual(matchesOf(desk.receive(N2, anAppend({ term: 3, log, prevIndex: 1 }))), []);
  deepEqual(matchesOf(desk.persist()), [5, 5]);
});

test('an append that lies behind the snapshot is rejected, and the snapshot named', () => {
  const desk = aDesk();
  install(desk, aSnapshot(2, 5));
  const log = [1, 1, 2, 2, 2, 2, 3, 3];
  const [reply] = sent(
    desk.receive(N2, anAppend({ term: 3, log, prevIndex: 7 })),
    'appendRejected',
  );
  deepEqual(reply?.message.hint, anId(2, 5));
});

test('a snapshot that comes while older entries are being applied lets them finish', () => {
  const desk = aDesk({ log: [1, 1, 1] });
  deepEqual(applies(desk.receive(N2, heartbeat(1, 3))), [[1, 3]]);
  install(desk, aSnapshot(2, 5));
  desk.step({ kind: 'applied', index: LogIndex(2) });
  equal(desk.status.appliedIndex, 2);
  desk.persist();
  equal(desk.status.appliedIndex, 5);
  deepEqual(desk.step({ kind: 'applied', index: LogIndex(3) }), [], 'void: it was overtaken');
  equal(desk.status.appliedIndex, 5);
});

test('entries that become durable while a snapshot waits behind them are not applied any more', () => {
  const desk = aDesk({ term: 3 });
  desk.receive(N2, anAppend({ term: 3, log: [1, 1], prevIndex: 0, commitIndex: 2 }));
  equal(desk.status.commitIndex, 2);
  install(desk, aSnapshot(2, 5));
  deepEqual(applies(desk.persistOne()), [], 'they are gone from the log, the snapshot has them');
  equal(desk.status.durableIndex, 2);
  deepEqual(applies(desk.persistOne()), []);
  equal(desk.status.appliedIndex, 5);
});

test('of two snapshots that follow each other the second one counts in the end', () => {
  const desk = aDesk({ log: [1], appliedIndex: 1 });
  install(desk, aSnapshot(2, 5));
  const second = install(desk, aSnapshot(3, 8));
  deepEqual(thePersist(second).snapshot?.last, anId(3, 8));
  const first = desk.persistOne();
  deepEqual(matchesOf(first), [5]);
  equal(desk.status.durableIndex, 5, 'the first is in');
  equal(desk.status.appliedIndex, 1, 'and overtaken');
  deepEqual(matchesOf(desk.persistOne()), [8]);
  deepEqual(placesOf(desk), [8, 8, 8, 8, 8]);
});

test('of two snapshots in the wrong order the older one is acknowledged behind the newer', () => {
  const desk = aDesk();
  install(desk, aSnapshot(3, 8));
  const older = install(desk, aSnapshot(2, 5));
  deepEqual(
    effectsOf(older, 'persist').map(({ snapshot }) => snapshot),
    [null],
    'only a reply that waits',
  );
  deepEqual(matchesOf(desk.persist()), [8, 5]);
});

test('the membership of a snapshot is in force at once', () => {
  const desk = aDesk();
  const membership = logged(aMembership({ voters: [N1, N2], learners: [N4] }), 4);
  const effects = install(desk, aSnapshot(2, 5, membership));
  deepEqual(effectsOf(effects, 'membership'), [{ kind: 'membership', current: membership }]);
  deepEqual(desk.status.membership, membership);
});

/** `n4` as a learner is in force by entry 2, whose fate is not known here. */
function aFollowerInAChange(): Desk {
  const desk = aDesk({ log: [1] });
  desk.receive(N3, {
    ...anAppend({ term: 1, log: [1], prevIndex: 1 }),
    entries: [aConfigEntry(desk, 2)],
    memberships: [logged(aMembership({ voters: [N1, N2, N3], learners: [N4] }), 2)],
  });
  equal(desk.status.membership.index, 2);
  return desk;
}

for (const [what, index, isLost] of [
  ['another membership at the same index', 2, true],
  ['the membership before', 0, true],
  ['a later membership, which may have followed ours', 4, false],
] as const) {
  test(`a snapshot with ${what} is told${isLost ? ', with an alarm: ours is lost' : ''}`, () => {
    const desk = aFollowerInAChange();
    const other = logged(aMembership({ voters: [N1, N2, N3] }), index);
    const effects = install(desk, aSnapshot(2, 5, other));
    deepEqual(effectsOf(effects, 'membership'), [{ kind: 'membership', current: other }]);
    deepEqual(
      effectsOf(effects, 'alarm').map(({ id }) => id),
      isLost ? ['membershipRolledBack'] : [],
    );
  });
}

test('a snapshot with the very membership that is in force changes nothing about it', () => {
  const desk = aFollowerInAChange();
  const effects = install(desk, aSnapshot(2, 5, desk.status.membership));
  deepEqual(effectsOf(effects, 'membership'), []);
  deepEqual(effectsOf(effects, 'alarm'), []);
});

function aConfigEntry(desk: Desk, index: number) {
  return {
    index: LogIndex(index),
    term: Term(1),
    type: 'config',
    physicalOffset: desk.status.endOffset,
    sizeBytes: ENTRY_SIZE_BYTES,
    payloadSizeBytes: 8,
    payloadCrc: 4,
  } as const;
}

test('a snapshot from the leader of an older term is answered with ours, and not installed', () => {
  const desk = aDesk({ term: 4 });
  const effects = install(desk, aSnapshot(2, 5), 3);
  deepEqual(effectsOf(effects, 'persist'), []);
  equal(sent(effects, 'heartbeatReply')[0]?.message.term, 4);
  equal(desk.status.lastIndex, 0);
});

test('a candidate that is brought a snapshot in its term follows', () => {
  const desk = aDesk({ term: 2 });
  while (desk.status.role !== 'preCandidate') desk.tick();
  desk.receive(N3, preVoteReply(3, true));
  equal(desk.status.role, 'candidate');
  install(desk, aSnapshot(2, 5), 3);
  equal(desk.status.role, 'follower');
  equal(desk.status.leader, N2);
  deepEqual(matchesOf(desk.persist()), [5]);
});

test('until a snapshot is durable the node says so to the leader', () => {
  const desk = aDesk({ log: [1, 1, 1], appliedIndex: 2, term: 3 });
  install(desk, aSnapshot(2, 5));
  const [reply] = sent(desk.receive(N2, heartbeat(3, 0, 4)), 'heartbeatReply');
  deepEqual([reply?.message.lastIndex, reply?.message.durableIndex], [5, 2]);
});

test('a heartbeat commits nothing beyond what is durable while a snapshot is written', () => {
  const desk = aDesk({ log: [1], term: 3 });
  install(desk, aSnapshot(2, 5));
  desk.receive(N2, anAppend({ term: 3, log: [1, 1, 1, 2, 2, 3], prevIndex: 5 }));
  desk.receive(N2, heartbeat(3, 6));
  equal(desk.status.commitIndex, 5);
});

test('a proposal whose place a snapshot covers has an unknown outcome, and is told nothing', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.persist();
  const effects = [
    ...install(desk, aSnapshot(3, 5), 3),
    ...desk.persist(),
    ...desk.receive(
      N2,
      anAppend({ term: 3, log: [1, 1, 1, 1, 3, 3], prevIndex: 5, commitIndex: 6 }),
    ),
  ];
  deepEqual(effectsOf(effects, 'proposeResult'), []);
});

test('a vote is given by the end of the snapshot, also before it is durable', () => {
  const desk = aDesk({ term: 3 });
  install(desk, aSnapshot(2, 5));
  desk.tick(20);
  desk.receive(N3, voteRequest(4, anId(2, 4)));
  equal(desk.status.votedFor, null, 'the log of n3 is behind');
  const effects = desk.receive(N3, voteRequest(5, anId(2, 5)));
  equal(desk.status.votedFor, N3);
  equal(waiting(effects, 'voteReply').length, 1);
});

test('the planted bug of an old snapshot over a newer log ends the process', () => {
  const rules = { ...standardRules, snapshotReplacesLog: () => true };
  const desk = aDesk({ base: aSnapshot(1, 3), log: [1, 1], rules, term: 1 });
  throws(() => install(desk, aSnapshot(1, 2), 1), InvariantError);
});

// Crashes.

/** `n3` was away, the others have forgotten what it lacks. */
function aGroupWithOneFarBehind(): Bench {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N3);
  for (let i = 0; i < 4; i++) bench.propose(N1);
  bench.settle();
  bench.compact(N1);
  bench.heal();
  bench.loses = ({ to, message }) => to === N3 && message.kind === 'appendRequest';
  return bench;
}

function untilInstallIsQueued(bench: Bench): void {
  for (let i = 0; i < 50; i++) {
    bench.tick(N1);
    for (let left = bench.wire.length; left > 0; left--) bench.deliver();
    bench.bringSnapshot(N1);
    if (bench.node(N3).queue.some(({ snapshot }) => snapshot !== null)) return;
  }
  throw new Error('no snapshot came');
}

test('a power cut before the end of an install leaves the old log', () => {
  const bench = aGroupWithOneFarBehind();
  bench.loses = () => false;
  untilInstallIsQueued(bench);
  equal(bench.status(N3).baseIndex, 5);
  bench.crash(N3);
  bench.restart(N3);
  deepEqual([bench.status(N3).baseIndex, bench.status(N3).lastIndex], [0, 1]);
  bench.run(300);
  equal(bench.status(N3).appliedIndex, bench.status(N1).lastIndex, 'and it is brought another one');
});

test('a power cut after it finds the snapshot and nothing else', () => {
  const bench = aGroupWithOneFarBehind();
  bench.loses = () => false;
  untilInstallIsQueued(bench);
  while (bench.persistOne(N3)) {}
  bench.crash(N3);
  bench.restart(N3);
  const { baseIndex, lastIndex, lastTerm, commitIndex, appliedIndex } = bench.status(N3);
  deepEqual([baseIndex, lastIndex, lastTerm, commitIndex, appliedIndex], [5, 5, 1, 5, 5]);
  bench.propose(N1);
  bench.run(10);
  equal(bench.status(N3).appliedIndex, 6);
});

test('a node that stands on a snapshot alone can lead', () => {
  const desk = aDesk({ base: aSnapshot(4, 9), term: 4 });
  while (desk.status.role !== 'preCandidate') desk.tick();
  const effects = desk.receive(N2, preVoteReply(5, true));
  deepEqual(waiting(effects, 'voteRequest')[0]?.message.last, anId(4, 9));
  desk.persist();
  const lead = desk.receive(N2, { kind: 'voteReply', term: Term(5), granted: true });
  deepEqual(sent(lead, 'appendRequest')[0]?.message.prev, anId(4, 9));
  equal(desk.status.lastIndex, 10);
});

// Forgetting.

test('entries that are applied may be forgotten, others may not', () => {
  const desk = aDesk({ log: [1, 1, 2, 2], appliedIndex: 3 });
  const compacted = (through: number) =>
    desk.step({ kind: 'compacted', through: LogIndex(through) });
  deepEqual(compacted(3), []);
  equal(desk.status.baseIndex, 3);
  deepEqual(termsOf(desk.core).slice(3), [2]);
  deepEqual(compacted(2), [], 'they are gone already');
  equal(desk.status.baseIndex, 3);
  throws(() => compacted(4), InvariantError);
});

test('a group that stands on snapshots works as one that does not', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  for (let i = 0; i < 5; i++) bench.propose(N1);
  bench.run(4);
  for (const id of [N1, N2, N3]) bench.compact(id);
  equal(bench.status(N1).baseIndex, 6);
  bench.propose(N1);
  bench.run(4);
  bench.crash(N1);
  bench.run(80);
  const leader = bench.leader();
  ok(leader === N2 || leader === N3);
  equal(bench.status(leader).commitIndex, 8);
});

// The leader.

/** `n1` leads; `n3` has not acknowledged anything after `match`, and the log begins after 5. */
function aLeaderWithOneFarBehind(match = 1): Desk {
  const desk = aSettledLeader();
  for (let i = 0; i < 5; i++) desk.propose();
  desk.persist();
  desk.accept(N2);
  desk.accept(N3, match);
  desk.apply();
  desk.step({ kind: 'compacted', through: LogIndex(5) });
  return desk;
}

function wantsSnapshot(effects: readonly Effect[]): string[] {
  return effectsOf(effects, 'sendSnapshot').map(({ to }) => to);
}

test('a peer that needs an entry that is gone is brought a snapshot, once, and sent nothing else', () => {
  const desk = aLeaderWithOneFarBehind();
  deepEqual(desk.step({ kind: 'peerUnreachable', peer: N3 }), []);
  const effects = desk.answer(N3, { last: 1 });
  deepEqual(wantsSnapshot(effects), [N3]);
  equal(desk.peer(N3).state, 'snapshot');
  const later = [...desk.propose(), ...desk.answer(N3, { last: 1 }), ...desk.pass(30, [N2, N3])];
  deepEqual(wantsSnapshot(later), []);
  deepEqual(
    sent(later, 'appendRequest').filter(({ to }) => to === N3),
    [],
  );
  ok(sent(later, 'heartbeat').some(({ to }) => to === N3));
});

test('what is on its way to a peer when the log is forgotten still counts', () => {
  const desk = aLeaderWithOneFarBehind();
  equal(desk.peer(N3).state, 'replicating');
  deepEqual(wantsSnapshot(desk.accept(N3, 6)), []);
  equal(desk.peer(N3).matchIndex, 6);
});

test('a peer that has everything up to the base needs no snapshot', () => {
  const desk = aLeaderWithOneFarBehind(5);
  desk.step({ kind: 'peerUnreachable', peer: N3 });
  const effects = desk.answer(N3, { last: 5 });
  deepEqual(wantsSnapshot(effects), []);
  deepEqual(sent(effects, 'appendRequest')[0]?.message.prev, anId(2, 5));
});

/** `n3` waits for its snapshot. */
function aLeaderThatBringsASnapshot(): Desk {
  const desk = aLeaderWithOneFarBehind();
  desk.step({ kind: 'peerUnreachable', peer: N3 });
  desk.answer(N3, { last: 1 });
  equal(desk.peer(N3).state, 'snapshot');
  return desk;
}

test('when a snapshot is accepted the entries after it follow', () => {
  const desk = aLeaderThatBringsASnapshot();
  desk.step({ kind: 'snapshotSent', peer: N3, index: LogIndex(5) });
  const effects = desk.accept(N3, 5);
  equal(desk.peer(N3).state, 'replicating');
  deepEqual(
    sent(effects, 'appendRequest').map(({ to, message }) => [
      to,
      message.prev.index,
      message.entries.map(({ index }) => index),
    ]),
    [[N3, 5, [6]]],
  );
});

test('a snapshot counts for commit like any acknowledgement', () => {
  const desk = aLeaderThatBringsASnapshot();
  desk.propose();
  desk.persist();
  desk.step({ kind: 'snapshotSent', peer: N3, index: LogIndex(5) });
  desk.accept(N3, 5);
  equal(desk.status.commitIndex, 6);
  desk.accept(N3, 7);
  equal(desk.status.commitIndex, 7);
});

test('after a failure the next one is brought when the peer has been heard', () => {
  const desk = aLeaderThatBringsASnapshot();
  deepEqual(wantsSnapshot(desk.step({ kind: 'snapshotFailed', peer: N3 })), []);
  deepEqual(wantsSnapshot(desk.propose()), []);
  deepEqual(wantsSnapshot(desk.answer(N3, { last: 1 })), [N3]);
});

test('a leader whose log went on being forgotten brings another snapshot after the first', () => {
  const desk = aLeaderThatBringsASnapshot();
  desk.step({ kind: 'snapshotSent', peer: N3, index: LogIndex(5) });
  desk.propose();
  desk.persist();
  desk.accept(N2);
  desk.apply();
  desk.step({ kind: 'compacted', through: LogIndex(7) });
  deepEqual(wantsSnapshot(desk.accept(N3, 5)), [N3]);
});

test('word about a snapshot is void for strangers, and for who does not lead', () => {
  const desk = aLeaderThatBringsASnapshot();
  deepEqual(desk.step({ kind: 'snapshotSent', peer: N4, index: LogIndex(5) }), []);
  desk.receive(N2, heartbeat(9));
  deepEqual(desk.step({ kind: 'snapshotSent', peer: N3, index: LogIndex(5) }), []);
  deepEqual(desk.step({ kind: 'snapshotFailed', peer: N3 }), []);
});

test('a new member of a group that stands on a snapshot begins with one', () => {
  const bench = new Bench({ nodeCount: 3, spareCount: 1 });
  bench.elect(N1);
  for (let i = 0; i < 5; i++) bench.propose(N1);
  bench.settle();
  bench.compact(N1);
  bench.change(N1, {
    kind: 'addLearner',
    member: { nodeId: N4, storeUuid: null, raftAddress: 'n4:1', priority: 0 },
  });
  bench.run(10);
  equal(bench.effectsOf(N4, 'persist').filter(({ snapshot }) => snapshot !== null).length, 1);
  equal(bench.status(N4).lastIndex, 7);
  deepEqual(bench.status(N4).membership.membership.learners, [N4]);
  deepEqual(benchMembership([N1, N2, N3]).voters, bench.status(N4).membership.membership.voters);
});
