import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  aCore,
  aMembership,
  anId,
  effectsOf,
  heartbeat,
  N1,
  N2,
  N3,
  N4,
  N5,
  receive,
  sent,
  thePersist,
  ticks,
  voteRequest,
  waiting,
} from '../../test/raft-bench/builders.ts';
import { aDesk, aFreshLeader, aSettledLeader, type Desk } from '../../test/raft-bench/desk.ts';
import { type NodeId, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';

/** Of `benchConfig`. */
const ABORT_TICKS = 20;
const PREFERENCE_TICKS = 100;

function results(effects: readonly Effect[]): (readonly [tag: number, result: string])[] {
  return effectsOf(effects, 'transferResult').map((result) => [
    result.tag,
    result.result === 'refused' ? result.why : result.result,
  ]);
}

function askedToCampaign(effects: readonly Effect[]): NodeId[] {
  return sent(effects, 'campaignNow').map(({ to }) => to);
}

function verdicts(effects: readonly Effect[]): string[] {
  return effectsOf(effects, 'proposeResult').map((result) =>
    result.result === 'rejected' ? result.why : result.result,
  );
}

// Refusals.

test('only a leader hands over', () => {
  const desk = aDesk();
  deepEqual(results(desk.transfer(N2, 7)), [[7, 'notLeader']]);
  desk.tick(30);
  deepEqual(results(desk.transfer(N2, 8)), [[8, 'notLeader']]);
});

test('leadership goes to another voter, and to nobody else', () => {
  const membership = aMembership({ voters: [N1, N2, N3], learners: [N4] });
  const desk = aSettledLeader({ membership });
  deepEqual(results(desk.transfer(N1)), [[1, 'isSelf']]);
  deepEqual(results(desk.transfer(N4)), [[1, 'notVoter']]);
  deepEqual(results(desk.transfer(N5)), [[1, 'notVoter']]);
  equal(desk.status.transferTo, null);
});

test('a voter that is leaving is not made leader', () => {
  const desk = aSettledLeader();
  desk.change({ kind: 'remove', nodeId: N3 });
  deepEqual(results(desk.transfer(N3)), [[1, 'notVoter']]);
});

test('one transfer at a time', () => {
  const desk = aSettledLeader();
  deepEqual(results(desk.transfer(N2, 1)), []);
  deepEqual(results(desk.transfer(N3, 2)), [[2, 'inProgress']]);
  deepEqual(results(desk.transfer(N2, 3)), [[3, 'inProgress']]);
  equal(desk.status.transferTo, N2);
});

test('a silent voter is refused', () => {
  const desk = aSettledLeader();
  desk.pass(21, [N2]);
  deepEqual(results(desk.transfer(N3)), [[1, 'silent']]);
  deepEqual(results(desk.transfer(N2)), []);
});

test('a voter with a stalled disk is refused, until it says that it is well', () => {
  const desk = aSettledLeader();
  desk.answer(N3, { isDiskStalled: true });
  deepEqual(results(desk.transfer(N3)), [[1, 'diskStalled']]);
  desk.answer(N3, { isDiskStalled: false });
  deepEqual(results(desk.transfer(N3)), []);
});

test('a voter that lags more than the bound is refused, one at the bound is not', () => {
  const desk = aSettledLeader({ config: { handoverLagBytesMax: 144 } });
  for (let i = 0; i < 2; i++) desk.propose();
  equal(desk.peer(N3).lagBytes, 144);
  desk.accept(N2);
  desk.propose();
  desk.accept(N2);
  deepEqual(results(desk.transfer(N3)), [[1, 'behind']]);
  desk.accept(N3, 2);
  deepEqual(results(desk.transfer(N3)), []);
});

// A transfer that goes well.

test('the target is asked to campaign at once when it has everything', () => {
  const desk = aSettledLeader();
  const effects = desk.transfer(N2);
  deepEqual(askedToCampaign(effects), [N2]);
  deepEqual(sent(effects, 'campaignNow')[0]?.message, { kind: 'campaignNow', term: Term(2) });
});

test('a target that lags is brought the rest first, and asked once', () => {
  const desk = aSettledLeader();
  for (let i = 0; i < 3; i++) desk.propose();
  deepEqual(askedToCampaign(desk.transfer(N2)), []);
  deepEqual(askedToCampaign(desk.accept(N2, 3)), []);
  deepEqual(askedToCampaign(desk.accept(N3)), [], 'what others have does not matter');
  deepEqual(askedToCampaign(desk.accept(N2, 4)), [N2]);
  deepEqual(askedToCampaign(desk.accept(N2, 4)), []);
  deepEqual(askedToCampaign(desk.answer(N2)), []);
});

test('proposals are refused while leadership moves, and nothing of them is appended', () => {
  const desk = aSettledLeader();
  desk.transfer(N2);
  const { lastIndex } = desk.status;
  deepEqual(verdicts(desk.propose()), ['transferring']);
  equal(desk.status.lastIndex, lastIndex);
});

test('a change of membership is refused while leadership moves', () => {
  const desk = aSettledLeader();
  desk.transfer(N2);
  const [result] = effectsOf(desk.change({ kind: 'remove', nodeId: N3 }), 'changeResult');
  deepEqual(result, {
    kind: 'changeResult',
    tag: 1,
    result: 'refused',
    problems: [{ kind: 'transferInProgress', to: N2 }],
  });
});

test('a transfer has succeeded when the term of the leader is over', () => {
  const desk = aSettledLeader();
  desk.transfer(N2, 9);
  deepEqual(results(desk.receive(N2, voteRequest(3, anId(2, 1), true))), [[9, 'handedOver']]);
  equal(desk.status.role, 'follower');
});

test('a whole transfer takes no tick: the target leads, the old leader follows', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.propose(N1);
  const tag = bench.transfer(N1, N3);
  bench.settle();
  equal(bench.leader(), N3);
  equal(bench.status(N1).role, 'follower');
  equal(bench.status(N3).term, 2);
  const [result] = bench.effectsOf(N1, 'transferResult');
  deepEqual(result, { kind: 'transferResult', tag, result: 'handedOver' });
});

// The target.

test('a target campaigns without a pre-vote, and says who sent it', () => {
  const core = aCore();
  receive(core, N2, heartbeat(1));
  const effects = receive(core, N2, { kind: 'campaignNow', term: Term(1) });
  equal(core.status().role, 'candidate');
  equal(sent(effects, 'preVoteRequest').length, 0);
  deepEqual(
    waiting(effects, 'voteRequest').map(({ to, message }) => [
      to,
      message.term,
      message.isTransfer,
    ]),
    [
      [N2, 2, true],
      [N3, 2, true],
    ],
  );
  equal(thePersist(effects).hardState?.votedFor, N1, 'its own vote comes first here as well');
});

test('an ordinary campaign does not pretend to be a transfer', () => {
  const core = aCore({ voters: [N1, N2] });
  ticks(core, 30);
  const effects = receive(core, N2, {
    kind: 'preVoteReply',
    term: Term(2),
    granted: true,
    last: anId(0, 0),
    hasTornTail: false,
  });
  deepEqual(
    waiting(effects, 'voteRequest').map(({ message }) => message.isTransfer),
    [false],
  );
});

const declines: readonly (readonly [string, (desk: Desk) => void])[] = [
  ['a learner', () => {}],
  ['a node with a stalled disk', (desk) => desk.step({ kind: 'diskHealth', isStalled: true })],
];
for (const [what, prepare] of declines) {
  test(`${what} does not campaign, although it is asked to`, () => {
    const isLearner = what === 'a learner';
    const membership = aMembership({
      voters: isLearner ? [N2, N3] : [N1, N2, N3],
      learners: isLearner ? [N1] : [],
    });
    const desk = aDesk({ membership });
    desk.receive(N2, heartbeat(1));
    prepare(desk);
    desk.receive(N2, { kind: 'campaignNow', term: Term(1) });
    equal(desk.status.role, 'follower');
    equal(desk.status.term, 1);
  });
}

test('who is asked by the leader of an older term does not campaign', () => {
  const core = aCore({ term: 3 });
  receive(core, N2, { kind: 'campaignNow', term: Term(2) });
  equal(core.status().role, 'follower');
  equal(core.status().term, 3);
});

test('a vote for a transfer is given although a leader is heard; any other is not', () => {
  for (const isTransfer of [true, false]) {
    const desk = aDesk();
    desk.receive(N2, heartbeat(1));
    desk.receive(N3, voteRequest(2, anId(0, 0), isTransfer));
    equal(desk.status.votedFor, isTransfer ? N3 : null);
    equal(desk.status.term, isTransfer ? 2 : 1);
  }
});

test('a transfer overrides no other rule: the log must be up to date, the vote free', () => {
  const behind = aDesk({ log: [1, 1] });
  behind.receive(N2, heartbeat(1));
  behind.receive(N3, voteRequest(2, anId(1, 1), true));
  equal(behind.status.votedFor, null);
  const taken = aDesk({ term: 2, votedFor: N2 });
  const effects = [...taken.receive(N3, voteRequest(2, anId(0, 0), true)), ...taken.persist()];
  deepEqual(
    sent(effects, 'voteReply').map(({ message }) => message.granted),
    [false],
  );
});

// One that does not.

test('after an election timeout a transfer is given up, and the leader leads on', () => {
  const desk = aSettledLeader();
  desk.transfer(N2, 5);
  deepEqual(results(desk.pass(ABORT_TICKS - 1, [N2, N3])), []);
  deepEqual(verdicts(desk.propose()), ['transferring']);
  deepEqual(results(desk.pass(1, [N2, N3])), [[5, 'aborted']]);
  equal(desk.status.role, 'leader');
  equal(desk.status.transferTo, null);
  deepEqual(verdicts(desk.propose()), ['accepted']);
  deepEqual(results(desk.transfer(N3, 6)), [], 'another one may begin');
});

test('a target that dies while it catches up is not asked, and is given up', () => {
  const desk = aSettledLeader();
  desk.propose();
  desk.accept(N3);
  const effects = [...desk.transfer(N2, 5), ...desk.pass(ABORT_TICKS, [N3])];
  deepEqual(askedToCampaign(effects), []);
  deepEqual(results(effects), [[5, 'aborted']]);
});

test('a group in which the question to the target is lost has its leader back', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.loses = ({ message }) => message.kind === 'campaignNow';
  bench.transfer(N1, N3);
  bench.run(ABORT_TICKS + 1);
  equal(bench.leader(), N1);
  equal(bench.status(N1).term, 1);
  bench.propose(N1);
  bench.settle();
  equal(bench.status(N1).commitIndex, 2);
});

// Preferences.

function aPreferringLeader(priorities: Readonly<Record<string, number>>): Desk {
  return aSettledLeader({ membership: aMembership({ voters: [N1, N2, N3], priorities }) });
}

test('after a time of calm the leader hands over to a voter of higher priority', () => {
  const desk = aPreferringLeader({ n1: 1, n3: 2 });
  deepEqual(askedToCampaign(desk.pass(PREFERENCE_TICKS - 1, [N2, N3])), []);
  const effects = desk.pass(2, [N2, N3]);
  deepEqual(askedToCampaign(effects), [N3]);
  deepEqual(results(effects), [], 'nobody asked, nobody is answered');
  equal(desk.status.transferTo, N3);
});

test('the highest of all priorities wins', () => {
  const desk = aPreferringLeader({ n1: 1, n2: 5, n3: 2 });
  deepEqual(askedToCampaign(desk.pass(PREFERENCE_TICKS + 1, [N2, N3])), [N2]);
});

test('equal or lower priority moves nothing', () => {
  const desk = aPreferringLeader({ n1: 2, n2: 2, n3: 1 });
  deepEqual(askedToCampaign(desk.pass(3 * PREFERENCE_TICKS, [N2, N3])), []);
});

test('leadership is never moved to a node with a stalled disk, however long', () => {
  const desk = aPreferringLeader({ n3: 9 });
  const effects: Effect[] = [];
  for (let i = 0; i < 3 * PREFERENCE_TICKS; i++) {
    effects.push(...desk.pass(1, [N2]));
    effects.push(...desk.answer(N3, { isDiskStalled: true }));
  }
  equal(desk.status.role, 'leader');
  deepEqual(askedToCampaign(effects), []);
  deepEqual(verdicts(effects), []);
  equal(desk.status.transferTo, null);
});

test('leadership is never moved to a node that lags, and proposals are never refused for it', () => {
  const membership = aMembership({ voters: [N1, N2, N3], priorities: { n3: 9 } });
  const desk = aSettledLeader({ membership, config: { handoverLagBytesMax: 64 } });
  desk.propose();
  desk.propose();
  const effects: Effect[] = [];
  for (let i = 0; i < 3 * PREFERENCE_TICKS; i++) {
    effects.push(...desk.pass(1, [N2]), ...desk.accept(N2));
    // It takes over some, always too little.
    effects.push(...desk.answer(N3, { last: 1, durable: 1 }));
  }
  equal(desk.status.role, 'leader');
  deepEqual(askedToCampaign(effects), []);
  equal(desk.status.transferTo, null);
  deepEqual(verdicts(desk.propose()), ['accepted']);
});

test('calm is counted anew after a member was silent', () => {
  const desk = aPreferringLeader({ n3: 2 });
  desk.pass(PREFERENCE_TICKS - 10, [N2, N3]);
  desk.pass(25, [N3]);
  deepEqual(askedToCampaign(desk.pass(PREFERENCE_TICKS - 5, [N2, N3])), []);
  deepEqual(askedToCampaign(desk.pass(10, [N2, N3])), [N3]);
});

test('nothing is moved while some disk in the group is stalled', () => {
  const desk = aPreferringLeader({ n3: 2 });
  const effects: Effect[] = [];
  for (let i = 0; i < 2 * PREFERENCE_TICKS; i++) {
    effects.push(...desk.pass(1, [N3]), ...desk.answer(N2, { isDiskStalled: true }));
  }
  deepEqual(askedToCampaign(effects), []);
  deepEqual(askedToCampaign(desk.pass(PREFERENCE_TICKS + 1, [N2, N3])), [N3]);
});

test('a preferred learner is not made leader', () => {
  const membership = aMembership({ voters: [N1, N2], learners: [N3], priorities: { n3: 2 } });
  const desk = aSettledLeader({ membership });
  deepEqual(askedToCampaign(desk.pass(2 * PREFERENCE_TICKS, [N2, N3])), []);
});

test('when a preferred node does not take over, it is not tried again at once', () => {
  const desk = aPreferringLeader({ n3: 2 });
  const asked = desk.pass(PREFERENCE_TICKS + 1 + ABORT_TICKS, [N2, N3]);
  deepEqual(askedToCampaign(asked), [N3]);
  equal(desk.status.transferTo, null, 'given up');
  deepEqual(verdicts(desk.propose()), ['accepted']);
  for (const peer of [N2, N3]) desk.accept(peer);
  deepEqual(askedToCampaign(desk.pass(PREFERENCE_TICKS - 2, [N2, N3])), []);
  deepEqual(askedToCampaign(desk.pass(4, [N2, N3])), [N3]);
});

test('a group ends up with its preferred leader, and stays with it', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  const { membership } = bench.status(N1).membership;
  const member = membership.members.find(({ nodeId }) => nodeId === N2);
  ok(member !== undefined);
  bench.change(N1, { kind: 'describe', member: { ...member, priority: 1 } });
  bench.run(PREFERENCE_TICKS + 5);
  equal(bench.leader(), N2);
  const { term } = bench.status(N2);
  bench.run(3 * PREFERENCE_TICKS);
  equal(bench.leader(), N2);
  equal(bench.status(N2).term, term);
});

test('a new leader hands over to nobody whom it has not heard yet', () => {
  const desk = aFreshLeader();
  deepEqual(results(desk.transfer(N2)), [[1, 'silent']]);
  desk.persist();
  desk.accept(N2);
  deepEqual(askedToCampaign(desk.transfer(N2)), [N2]);
});
