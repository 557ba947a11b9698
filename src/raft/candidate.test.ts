import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  aCore,
  effectsOf,
  heartbeat,
  N1,
  N2,
  N3,
  preVoteReply,
  receive,
  sent,
  thePersist,
  ticks,
  waiting,
} from '../../test/raft-bench/builders.ts';
import { NodeId, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import type { RaftCore } from './raft-core.ts';

function untilRole(core: RaftCore, role: string): readonly Effect[] {
  for (let i = 0; i < 100; i++) {
    const effects = core.step({ kind: 'tick' });
    if (core.status().role === role) return effects;
  }
  throw new Error(`never became ${role}`);
}

function preVoteFrom(core: RaftCore, peer: NodeId, granted = true): readonly Effect[] {
  const term = Term(core.status().term + (granted ? 1 : 0));
  return receive(core, peer, preVoteReply(term, granted));
}

function voteFrom(core: RaftCore, peer: NodeId, granted = true): readonly Effect[] {
  return receive(core, peer, { kind: 'voteReply', term: core.status().term, granted });
}

test('a silent node asks for pre-votes and changes nothing durable', () => {
  const core = aCore({ log: [1, 2] });
  const effects = untilRole(core, 'preCandidate');
  const message = { kind: 'preVoteRequest', term: 3, last: { term: 2, index: 2 } };
  deepEqual(sent(effects, 'preVoteRequest'), [
    { to: N2, message },
    { to: N3, message },
  ]);
  equal(effectsOf(effects, 'persist').length, 0);
  equal(core.status().term, 2);
});

test('vote requests wait until term, own vote and log are durable', () => {
  const core = aCore({ log: [1, 2] });
  untilRole(core, 'preCandidate');
  const effects = preVoteFrom(core, N2);
  equal(sent(effects, 'voteRequest').length, 0);
  deepEqual(thePersist(effects).hardState, { term: 3, votedFor: N1 });
  equal(waiting(effects, 'voteRequest').length, 2);
});

test('our own vote counts when it is durable, and not before', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  const persist = thePersist(preVoteFrom(core, N2));
  voteFrom(core, N2);
  equal(core.status().role, 'candidate');
  core.step({ kind: 'persisted', token: persist.token });
  equal(core.status().role, 'leader');
});

test('nobody leads before its own vote is durable, even with the votes of all others', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  const persist = thePersist(preVoteFrom(core, N2));
  voteFrom(core, N2);
  voteFrom(core, N3);
  equal(core.status().role, 'candidate');
  core.step({ kind: 'persisted', token: persist.token });
  equal(core.status().role, 'leader');
});

test('a candidate waits for its disk, and does not raise its term meanwhile', () => {
  for (const voters of [[N1], [N1, N2, N3]]) {
    const core = aCore({ voters });
    const persists = effectsOf(
      untilRole(core, voters.length === 1 ? 'candidate' : 'preCandidate'),
      'persist',
    );
    if (voters.length > 1) persists.push(thePersist(preVoteFrom(core, N2)));
    equal(effectsOf(ticks(core, 500), 'persist').length, 0);
    equal(core.status().term, 2);
    core.step({ kind: 'persisted', token: persists[0]!.token }); // one was written
    if (voters.length > 1) voteFrom(core, N2);
    equal(core.status().role, 'leader');
  }
});

test('a majority of refusals ends the attempt', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  preVoteFrom(core, N2, false);
  equal(core.status().role, 'preCandidate');
  preVoteFrom(core, N3, false);
  equal(core.status().role, 'follower');
  equal(core.status().term, 1);
});

test('a refusal from a later term is believed', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  const refusal = preVoteReply(9, false);
  deepEqual(thePersist(receive(core, N2, refusal)).hardState, { term: 9, votedFor: null });
  equal(core.status().role, 'follower');
});

test('grants of another term do not count', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  receive(core, N2, preVoteReply(1, true));
  receive(core, N2, preVoteReply(7, true));
  equal(core.status().role, 'preCandidate');
  equal(core.status().term, 1);
});

test('an isolated node does not raise its term, however long it waits', () => {
  const core = aCore();
  ticks(core, 1000);
  equal(core.status().term, 1);
});

test('a candidate that hears a leader of its term follows it', () => {
  const core = aCore();
  untilRole(core, 'preCandidate');
  preVoteFrom(core, N2);
  receive(core, N3, heartbeat(2, 0));
  equal(core.status().role, 'follower');
  equal(core.status().leader, N3);
});

test('election timeouts are drawn anew and lie in their range', () => {
  const core = aCore();
  const waits: number[] = [];
  for (let round = 0; round < 60; round++) {
    let count = 0;
    let asked = false;
    while (!asked) {
      asked = sent(core.step({ kind: 'tick' }), 'preVoteRequest').length > 0;
      count += 1;
    }
    waits.push(count);
  }
  const [first, ...later] = waits;
  ok(first! >= 5 && first! <= 10, 'a node that has just started waits a quarter of the time');
  ok(later.every((wait) => wait >= 20 && wait < 40));
  notEqual(new Set(later).size, 1);
});

test('a node that is alone elects itself at its first tick and commits alone', () => {
  const bench = new Bench({ nodeCount: 1 });
  const id = NodeId('n1');
  bench.tick(id);
  bench.settle();
  equal(bench.status(id).role, 'leader');
  bench.propose(id);
  bench.settle();
  equal(bench.status(id).appliedIndex, 2);
});

test('in a quiet group nobody else ever campaigns', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.run(60);
  const leader = bench.leader();
  ok(leader !== null);
  const { term } = bench.status(leader);
  bench.run(500);
  equal(bench.leader(), leader);
  equal(bench.status(leader).term, term);
});

test('an isolated node comes back without disturbing the leader', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.run(5);
  bench.isolate(N3);
  bench.run(200);
  equal(bench.status(N3).role, 'preCandidate');
  bench.heal();
  bench.run(100);
  equal(bench.leader(), N1);
  equal(bench.status(N3).leader, N1);
  equal(bench.status(N1).term, 1);
});

test('a node stuck in a later term makes the leader step down, and the group goes on', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N3);
  // N3 reached a later term before the wire broke: the pre-votes it needed are not repeated here.
  bench.step(N3, {
    kind: 'receive',
    from: N2,
    message: { kind: 'voteReply', term: Term(8), granted: false },
  });
  bench.settle();
  bench.propose(N1);
  bench.heal();
  bench.run(100);
  const leader = bench.leader();
  ok(leader !== null);
  ok(bench.status(leader).term > 8);
  for (const id of bench.ids) equal(bench.status(id).appliedIndex, bench.status(leader).lastIndex);
});
