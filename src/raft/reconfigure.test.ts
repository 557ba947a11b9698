import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, benchMember } from '../../test/raft-bench/bench.ts';
import {
  aMembership,
  effectsOf,
  N1,
  N2,
  N3,
  N4,
  N5,
  preVoteReply,
  sent,
  thePersist,
} from '../../test/raft-bench/builders.ts';
import { aDesk, aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { LogIndex, type NodeId, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import { type ChangeProblem, isVoter, type Membership, type MembershipStep } from './membership.ts';

const promote = (nodeId: NodeId): MembershipStep => ({ kind: 'promote', nodeId });
const remove = (nodeId: NodeId): MembershipStep => ({ kind: 'remove', nodeId });
const addLearner = (nodeId: NodeId): MembershipStep => ({
  kind: 'addLearner',
  member: benchMember(nodeId),
});

function problemsOf(effects: readonly Effect[]): readonly ChangeProblem[] {
  const [result, ...others] = effectsOf(effects, 'changeResult');
  deepEqual(others, [], 'a change is answered once');
  ok(result?.result === 'refused', JSON.stringify(result));
  return result.problems;
}

/** @returns the index of the config entry. */
function acceptedAt(effects: readonly Effect[]): LogIndex {
  const [result] = effectsOf(effects, 'changeResult');
  ok(result?.result === 'accepted', JSON.stringify(result));
  return result.index;
}

function membershipOf({ status }: Desk): Membership {
  return status.membership.membership;
}

function sets({ voters, outgoing, learners }: Membership): readonly (readonly NodeId[])[] {
  return [voters, outgoing, learners];
}

// Refusals.

test('only a leader changes the membership', () => {
  const desk = aDesk();
  deepEqual(problemsOf(desk.change(addLearner(N4))), [{ kind: 'notLeader' }]);
});

test('a change of nothing is refused', () => {
  const desk = aSettledLeader();
  deepEqual(problemsOf(desk.change()), [{ kind: 'noSteps' }]);
});

test('nothing is changed before the leader has committed in its own term', () => {
  const desk = aFreshLeader();
  desk.answer(N2);
  desk.persist();
  deepEqual(problemsOf(desk.change(addLearner(N4))), [{ kind: 'ownTermNotCommitted' }]);
  desk.accept(N2);
  equal(acceptedAt(desk.change(addLearner(N4))), 2);
});

test('a second change waits until the first one is committed', () => {
  const desk = aSettledLeader();
  const index = acceptedAt(desk.change(addLearner(N4)));
  deepEqual(problemsOf(desk.change(addLearner(N5))), [{ kind: 'changeInFlight', index }]);
  desk.persist();
  desk.accept(N2);
  acceptedAt(desk.change(addLearner(N5)));
});

test('a second change waits until the joint phase of the first one is over', () => {
  const desk = aSettledLeader();
  const joint = acceptedAt(desk.change(remove(N3)));
  deepEqual(problemsOf(desk.change(addLearner(N4))), [{ kind: 'changeInFlight', index: joint }]);
  desk.persist();
  desk.accept(N2);
  const leave = desk.status.membership.index;
  equal(leave, joint + 1);
  deepEqual(problemsOf(desk.change(addLearner(N4))), [{ kind: 'changeInFlight', index: leave }]);
  desk.persist();
  desk.accept(N2);
  acceptedAt(desk.change(addLearner(N4)));
});

test('a change that was meant for another membership is refused', () => {
  const desk = aSettledLeader();
  desk.change(addLearner(N4));
  desk.persist();
  desk.accept(N2);
  const stale = desk.step({
    kind: 'changeMembership',
    tag: 4,
    steps: [remove(N4)],
    ifMembershipIndex: LogIndex(0),
  });
  deepEqual(problemsOf(stale), [{ kind: 'membershipMoved', asked: 0, current: 2 }]);
});

test('steps that make no sense are refused with their reasons', () => {
  const desk = aSettledLeader();
  const problems = problemsOf(desk.change(promote(N4), addLearner(N2)));
  deepEqual(
    problems.map((problem) => problem.kind === 'invalidStep' && problem.reason),
    ['n4 is not a member', 'n2 is a member already'],
  );
});

test('a learner that lags is not promoted, and the lag is told', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const desk = aSettledLeader({ membership, config: { handoverLagBytesMax: 144 } });
  for (let i = 0; i < 3; i++) desk.propose();
  for (const peer of [N2, N3]) desk.accept(peer);
  desk.persist();
  desk.apply();
  deepEqual(problemsOf(desk.change(promote(N4))), [
    { kind: 'learnerBehind', nodeId: N4, lagBytes: 216 },
  ]);
  desk.accept(N4, 2);
  acceptedAt(desk.change(promote(N4)));
});

test('a learner that is silent, or was never heard, is not promoted however small the log', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const silent = aSettledLeader({ membership });
  silent.pass(21, [N2, N3]);
  deepEqual(problemsOf(silent.change(promote(N4))), [
    { kind: 'learnerBehind', nodeId: N4, lagBytes: 0 },
  ]);
  const alone = aSettledLeader({ voters: [N1] });
  alone.change(addLearner(N2));
  alone.persist();
  const [first, second] = problemsOf(alone.change(promote(N2)));
  equal(first?.kind, 'learnerBehind');
  deepEqual(second, { kind: 'noQuorumAfter', active: 1, needed: 2 });
});

test('a change after which too few voters would be active is refused, with the numbers', () => {
  const desk = aSettledLeader();
  desk.pass(21, [N2]);
  deepEqual(problemsOf(desk.change(remove(N2))), [{ kind: 'noQuorumAfter', active: 1, needed: 2 }]);
  acceptedAt(desk.change(remove(N3)));
});

test('a new leader does not take for active whom it has not heard', () => {
  const desk = aFreshLeader();
  desk.persist();
  desk.accept(N2);
  deepEqual(problemsOf(desk.change(remove(N2))), [{ kind: 'noQuorumAfter', active: 1, needed: 2 }]);
});

test('a change does not go over the bound of open bytes', () => {
  const desk = aSettledLeader({ config: { uncommittedSizeBytesMax: 144 } });
  desk.propose();
  desk.propose();
  deepEqual(problemsOf(desk.change(addLearner(N4))), [{ kind: 'noRoom' }]);
});

test('all that speaks against a change is told at once', () => {
  const desk = aFreshLeader({ config: { uncommittedSizeBytesMax: 64 } });
  const problems = problemsOf(
    desk.step({
      kind: 'changeMembership',
      tag: 1,
      steps: [remove(N2)],
      ifMembershipIndex: LogIndex(9),
    }),
  );
  deepEqual(
    problems.map(({ kind }) => kind),
    ['ownTermNotCommitted', 'membershipMoved', 'noQuorumAfter', 'noQuorumAfter', 'noRoom'],
  );
});

test('a refused change leaves nothing behind', () => {
  const desk = aSettledLeader();
  const before = desk.status;
  deepEqual(
    desk.change(promote(N5)).map(({ kind }) => kind),
    ['changeResult'],
  );
  deepEqual(desk.status, before);
});

// Effective on append.

test('a change is in force, written and sent in the step that accepts it', () => {
  const desk = aSettledLeader();
  const effects = desk.change(addLearner(N4));
  const { index, membership } = desk.status.membership;
  deepEqual(sets(membership), [[N1, N2, N3], [], [N4]]);
  deepEqual(effectsOf(effects, 'membership'), [
    { kind: 'membership', current: { index, membership } },
  ]);
  const { entries, memberships } = thePersist(effects);
  deepEqual(
    entries.map((entry) => [entry.type, entry.payloadSizeBytes, entry.payloadCrc]),
    [['config', 8, 4]],
    'size and CRC are those of its encoding',
  );
  deepEqual(memberships, [{ index, membership }]);
  const appends = sent(effects, 'appendRequest');
  deepEqual(
    appends.map(({ to }) => to),
    [N2, N3, N4],
    'the new member is spoken to at once',
  );
  deepEqual(appends[0]?.message.memberships, memberships);
});

test('a follower goes by a membership as soon as it has appended it', () => {
  const bench = new Bench({ nodeCount: 3, spareCount: 1 });
  bench.elect(N1);
  bench.loses = ({ message }) => message.kind === 'appendAccepted';
  bench.change(N1, addLearner(N4));
  bench.settle();
  equal(bench.status(N1).commitIndex, 1);
  deepEqual(bench.status(N2).membership, bench.status(N1).membership);
});

test('a learner gets the log, and its acknowledgements commit nothing', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const desk = aSettledLeader({ membership });
  desk.propose();
  desk.persist();
  desk.accept(N4);
  equal(desk.status.commitIndex, 1);
  equal(desk.peer(N4).isLearner, true);
  desk.accept(N2);
  equal(desk.status.commitIndex, 2);
});

test('a learner never campaigns', () => {
  const membership = aMembership({ voters: [N2, N3], learners: [N1] });
  const desk = aDesk({ membership });
  deepEqual(sent(desk.tick(500), 'preVoteRequest'), []);
  equal(desk.status.role, 'follower');
});

test('a learner grants votes: it may be a voter and not know it', () => {
  const membership = aMembership({ voters: [N2, N3], learners: [N1] });
  const desk = aDesk({ membership });
  const request = { term: Term(2), last: { term: Term(0), index: LogIndex(0) } };
  const [reply] = sent(desk.receive(N2, { kind: 'preVoteRequest', ...request }), 'preVoteReply');
  equal(reply?.message.granted, true);
  desk.receive(N2, { kind: 'voteRequest', ...request, isTransfer: false });
  equal(desk.status.votedFor, N2);
});

// Joint consensus.

const REPLACE = [promote(N4), promote(N5), remove(N2), remove(N3)];

/** `n1` leads; of `n1 n2 n3` it makes `n1 n4 n5`. */
function aJointLeader(): Desk {
  const desk = aSettledLeader({
    membership: aMembership({ voters: [N1, N2, N3], learners: [N4, N5] }),
  });
  acceptedAt(desk.change(...REPLACE));
  deepEqual(sets(membershipOf(desk)), [[N1, N4, N5], [N1, N2, N3], []]);
  desk.persist();
  return desk;
}

test('a joint entry is committed by a majority of both sets, in whatever order they answer', () => {
  for (const [first, second] of [
    [[N2, N3], N4],
    [[N4, N5], N3],
  ] as const) {
    const desk = aJointLeader();
    for (const peer of first) desk.accept(peer, 2);
    equal(desk.status.commitIndex, 1, `${first} are a majority of one set only`);
    desk.accept(second, 2);
    equal(desk.status.commitIndex, 2);
  }
});

test('the leader leaves the joint phase by itself when its entry is committed', () => {
  const desk = aJointLeader();
  desk.accept(N2, 2);
  const effects = desk.accept(N4, 2);
  const { entries, memberships } = thePersist(effects);
  deepEqual(
    entries.map(({ index, type }) => [index, type]),
    [[3, 'config']],
  );
  deepEqual(sets(membershipOf(desk)), [[N1, N4, N5], [], []]);
  deepEqual(memberships[0]?.membership.removed, [N2, N3]);
  deepEqual(
    sent(effects, 'appendRequest').map(({ to }) => to),
    [N4, N5],
    'who is gone is sent nothing',
  );
  deepEqual(
    desk.status.peers.map(({ nodeId }) => nodeId),
    [N4, N5],
  );
});

test('acknowledgements of a removed voter count no more', () => {
  const desk = aJointLeader();
  desk.accept(N2, 2);
  desk.accept(N4, 2);
  desk.propose();
  for (const peer of [N2, N3]) desk.accept(peer, 4);
  equal(desk.status.commitIndex, 2);
  desk.accept(N5, 4);
  equal(desk.status.commitIndex, 2, 'n5 alone, the own disk is not done');
  desk.persist();
  equal(desk.status.commitIndex, 4);
});

test('in a joint phase a candidate needs the votes of both sets', () => {
  const membership = aMembership({ voters: [N1, N4, N5], outgoing: [N1, N2, N3] });
  const desk = aDesk({ membership });
  while (desk.status.role !== 'preCandidate') desk.tick();
  for (const peer of [N2, N3]) desk.receive(peer, preVoteReply(2, true));
  equal(desk.status.role, 'preCandidate', 'pre-votes too');
  desk.receive(N4, preVoteReply(2, true));
  desk.persist();
  const vote = { kind: 'voteReply', term: Term(2), granted: true } as const;
  for (const peer of [N4, N5]) desk.receive(peer, vote);
  equal(desk.status.role, 'candidate');
  desk.receive(N3, vote);
  equal(desk.status.role, 'leader');
});

test('a leader in a joint phase that does not hear one of the sets steps down', () => {
  const desk = aJointLeader();
  desk.pass(21, [N2, N3]);
  equal(desk.status.role, 'follower');
});

/** `n1` has put a joint entry on the disks of these, and is gone. */
function aJointPhaseWithoutLeader(reached: readonly NodeId[]): Bench {
  const bench = new Bench({ nodeCount: 3, spareCount: 1 });
  bench.elect(N1);
  bench.change(N1, addLearner(N4));
  bench.settle();
  bench.loses = ({ to, message }) =>
    (message.kind === 'appendRequest' && !reached.includes(to)) ||
    message.kind === 'appendAccepted';
  bench.change(N1, promote(N4), remove(N3));
  bench.settle();
  bench.crash(N1);
  bench.loses = () => false;
  return bench;
}

test('a new leader that finds a joint phase finishes it', () => {
  const bench = aJointPhaseWithoutLeader([N2, N4]);
  bench.run(100);
  const leader = bench.leader();
  ok(leader !== null);
  const { membership, index } = bench.status(leader).membership;
  deepEqual(sets(membership), [[N1, N2, N4], [], []]);
  ok(index <= bench.status(leader).commitIndex);
  deepEqual(membership.removed, [N3]);
});

test('a new leader that never had the change brings back the membership before, with an alarm', () => {
  const bench = aJointPhaseWithoutLeader([]);
  equal(bench.status(N1).membership.index, 3);
  bench.run(100);
  ok(bench.leader() !== null);
  bench.restart(N1);
  equal(bench.status(N1).membership.index, 3, 'it is in its log, and so in force');
  bench.run(50);
  deepEqual(sets(bench.status(N1).membership.membership), [[N1, N2, N3], [], [N4]]);
  deepEqual(
    bench.effectsOf(N1, 'alarm').map(({ id, details }) => [id, details]),
    [['membershipRolledBack', { inForce: 2 }]],
  );
  deepEqual(bench.effectsOf(N1, 'membership').at(-1)?.current.index, 2);
});

test('a leader that comes back with changes it does not know to be committed may lead', () => {
  const bench = new Bench({ nodeCount: 1, spareCount: 2 });
  bench.elect(N1);
  for (const id of [N2, N3]) {
    bench.change(N1, addLearner(id));
    bench.settle();
  }
  bench.crash(N1);
  bench.restart(N1, { appliedIndex: 0 });
  bench.run(5);
  equal(bench.status(N1).role, 'leader');
  deepEqual(bench.status(N1).membership.membership.learners, [N2, N3]);
});

// Removal.

test('a leader that removes itself leads to the end, passes leadership on, and steps down', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.loses = ({ message }) => message.kind === 'appendAccepted' && message.matchIndex > 2;
  bench.change(N1, remove(N1));
  bench.settle();
  deepEqual(sets(bench.status(N1).membership.membership), [[N2, N3], [], []]);
  equal(bench.status(N1).role, 'leader', 'in force is a group without it, and it leads');
  bench.propose(N1);
  equal(bench.status(N1).lastIndex, 4);
  bench.loses = () => false;
  for (let i = 0; i < 10 && bench.status(N1).role === 'leader'; i++) bench.run(1);
  const next = bench.leader();
  ok(next !== null && next !== N1, 'who had everything need not wait for its timer');
  equal(bench.status(next).term, 2);
  bench.run(5);
  equal(bench.status(next).commitIndex, 5, 'what it led to is committed');
  deepEqual(bench.status(next).membership.membership.removed, [N1]);
});

test('a node that knows that it is removed never campaigns again', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.change(N1, remove(N1));
  bench.settle();
  const { term } = bench.status(N1);
  bench.isolate(N1);
  bench.tick(N1, 500);
  equal(bench.status(N1).role, 'follower');
  equal(bench.status(N1).term, term);
  deepEqual(bench.wire, []);
});

test('a removed node that does not know it asks in vain and disturbs nobody', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N3);
  bench.change(N1, remove(N3));
  bench.settle();
  bench.heal();
  equal(isVoter(bench.status(N3).membership.membership, N3), true, 'as far as it knows');
  const { term } = bench.status(N1);
  bench.run(200);
  ok(
    bench.effectsOf(N3, 'role').some(({ role }) => role === 'preCandidate'),
    'it must ask: it cannot know that its removal is committed',
  );
  equal(bench.leader(), N1);
  equal(bench.status(N1).term, term);
  deepEqual(bench.effectsOf(N2, 'alarm'), [], 'that it still speaks is no news');
});

/** Leads the group of two out of which it is going: the last entry is on its own disk alone. */
function aGroupWhoseLastEntryIsWithTheRemoved(): Bench {
  const bench = new Bench({ nodeCount: 2 });
  bench.elect(N2);
  bench.change(N2, remove(N2));
  bench.loses = ({ from, message }) =>
    from === N2 && message.kind === 'appendRequest' && message.prev.index >= 2;
  bench.settle();
  equal(bench.status(N1).lastIndex, 2);
  equal(bench.status(N2).lastIndex, 3);
  bench.loses = () => false;
  bench.crash(N2);
  bench.restart(N2);
  return bench;
}

test('who is removed by an entry that only it has still campaigns, and ends its removal', () => {
  const bench = aGroupWhoseLastEntryIsWithTheRemoved();
  // n1 needs n2's vote for the joint phase, and n2 has the longer log.
  bench.run(200);
  equal(bench.leader(), N1);
  deepEqual(sets(bench.status(N1).membership.membership), [[N1], [], []]);
  equal(bench.status(N2).role, 'follower');
});

test('the same after a restart that knows of no commit for several changes', () => {
  const bench = new Bench({ nodeCount: 1, spareCount: 2 });
  bench.elect(N1);
  for (const id of [N2, N3]) join(bench, N1, id);
  bench.change(N1, remove(N1));
  bench.run(5);
  for (let i = 0; i < 100 && bench.leader() !== N3; i++) {
    const leader = bench.leader();
    if (leader === N2) bench.transfer(N2, N3);
    bench.run(1);
  }
  // n3 leads the group of n2 and n3 out of which it goes; the last entry is on its own disk alone.
  bench.change(N3, remove(N3));
  const joint = bench.status(N3).membership.index;
  bench.loses = ({ from, message }) =>
    from === N3 && message.kind === 'appendRequest' && message.prev.index >= joint;
  bench.settle();
  deepEqual(sets(bench.status(N3).membership.membership), [[N2], [], []]);
  deepEqual(sets(bench.status(N2).membership.membership), [[N2], [N2, N3], []]);
  bench.loses = () => false;
  bench.crash(N3);
  bench.restart(N3, { appliedIndex: 0 });
  bench.run(200);
  equal(bench.leader(), N2);
  deepEqual(sets(bench.status(N2).membership.membership), [[N2], [], []]);
});

// A group grows from one to three and shrinks again.

/** Adds the node, brings it up to date, makes it a voter. */
function join(bench: Bench, leader: NodeId, id: NodeId): void {
  bench.change(leader, addLearner(id));
  bench.run(6);
  bench.change(leader, promote(id));
  bench.run(6);
  const { membership } = bench.status(leader).membership;
  equal(membership.outgoing.length, 0);
  ok(membership.voters.includes(id));
}

test('a group of one grows to three and shrinks to one, and keeps all its entries', () => {
  const bench = new Bench({ nodeCount: 1, spareCount: 2 });
  bench.elect(N1);
  for (let i = 0; i < 3; i++) bench.propose(N1);
  bench.settle();
  for (const id of [N2, N3]) {
    join(bench, N1, id);
    bench.propose(N1);
    bench.settle();
    equal(bench.status(id).lastIndex, bench.status(N1).lastIndex);
  }
  const grown = bench.status(N1).lastIndex;
  equal(bench.status(N1).commitIndex, grown);
  for (const id of [N2, N1]) {
    const leader = bench.leader();
    ok(leader !== null);
    bench.change(leader, remove(id));
    bench.run(60);
  }
  const last = bench.leader();
  equal(last, N3);
  deepEqual(sets(bench.status(N3).membership.membership), [[N3], [], []]);
  deepEqual(bench.status(N3).membership.membership.removed, [N2, N1]);
  bench.propose(N3);
  bench.settle();
  equal(bench.status(N3).commitIndex, bench.status(N3).lastIndex);
  ok(bench.status(N3).commitIndex > grown);
});

test('a group of two that loses one member cannot commit, and can again when it is back', () => {
  const bench = new Bench({ nodeCount: 1, spareCount: 1 });
  bench.elect(N1);
  join(bench, N1, N2);
  bench.crash(N2);
  bench.propose(N1);
  bench.settle();
  ok(bench.status(N1).commitIndex < bench.status(N1).lastIndex);
  bench.restart(N2);
  bench.run(100);
  const leader = bench.leader();
  ok(leader !== null);
  equal(bench.status(leader).commitIndex, bench.status(leader).lastIndex);
});
