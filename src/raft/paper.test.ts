/** One test per sentence of the paper that can be broken (Raft, Ongaro and Ousterhout 2014). */
import { deepEqual, equal, notEqual, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  aCore,
  aLeader,
  anAppend,
  effectsOf,
  entriesOf,
  heartbeat,
  N1,
  N2,
  N3,
  propose,
  receive,
  termsOf,
  ticks,
} from '../../test/raft-bench/builders.ts';
import { MIB } from '../base/sizes.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { type SafetyRules, standardRules } from './rules.ts';

const [S1, S2, S3, S4, S5] = ['n1', 'n2', 'n3', 'n4', 'n5'].map(NodeId) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

// Raft 5.1: "If one server's current term is smaller than the other's, then it updates its current
// term to the larger value."
test('a larger term is taken over from any message of a leadership', () => {
  const core = aCore({ term: 2 });
  receive(core, N2, heartbeat(7, 0));
  equal(core.status().term, 7);
});

// Raft 5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts
// to follower state."
test('a leader of an old term becomes a follower', () => {
  const { core } = aLeader();
  receive(core, N2, { kind: 'appendAccepted', term: Term(9), matchIndex: LogIndex(1) });
  deepEqual([core.status().role, core.status().term], ['follower', 9]);
});

// Raft 5.2: "servers start up as followers" and remain so "as long as it receives valid RPCs".
test('a server starts as a follower, and stays one while it hears a leader', () => {
  const core = aCore();
  equal(core.status().role, 'follower');
  for (let i = 0; i < 20; i++) {
    receive(core, N2, heartbeat(1, 0));
    ticks(core, 15);
  }
  equal(core.status().role, 'follower');
});

// Raft 5.2: "each server will vote for at most one candidate in a given term".
test('after a crash a server remembers for whom it voted', () => {
  const bench = new Bench({ nodeCount: 3 });
  const request = {
    kind: 'voteRequest',
    term: Term(5),
    last: { term: Term(0), index: LogIndex(0) },
  };
  bench.step(N1, { kind: 'receive', from: N2, message: request as never });
  bench.persistOne(N1);
  bench.crash(N1);
  bench.restart(N1);
  bench.step(N1, { kind: 'receive', from: N3, message: request as never });
  deepEqual([bench.status(N1).term, bench.status(N1).votedFor], [5, N2]);
});

// Raft 5.2: "candidates ... split votes are resolved quickly": randomised timeouts.
test('a group always finds a leader, from whatever seed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bench = new Bench({ nodeCount: 5, seed });
    bench.run(200);
    notEqual(bench.leader(), null);
  }
});

// Raft 5.3: "the leader appends the command to its log as a new entry" and "never overwrites or
// deletes entries in its log; it only appends".
test('a leader only appends', () => {
  const { core } = aLeader({ log: [1, 1] });
  const before = termsOf(core);
  propose(core);
  deepEqual(termsOf(core).slice(0, before.length), before);
  const { term } = core.status();
  throws(() => receive(core, N2, anAppend({ term, log: [1, 1, term], prevIndex: 2 })));
});

// Raft 5.3, figure 7: a leader brings any log to its own.
const LEADER_LOG = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
const figure7: readonly (readonly [string, readonly number[]])[] = [
  ['a: one entry missing', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
  ['b: many entries missing', [1, 1, 1, 4]],
  ['c: one entry too many', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
  ['d: entries of a term that the leader never saw', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
  ['e: missing and too many', [1, 1, 1, 4, 4, 4, 4]],
  ['f: the log of a failed leader', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
];

for (const [what, log] of figure7) {
  test(`figure 7 ${what}: the log becomes that of the leader, in few messages`, () => {
    const { core: leader, effects } = aLeader({ log: LEADER_LOG, term: 7, voters: [N1, N2] });
    const follower = aCore({ log, term: 8, voters: [N1, N2] });
    // The builder makes n1 of both; to each other they are n2 and, as leader, n2 again.
    let toFollower = effects;
    let messageCount = 0;
    for (; messageCount < 10 && toFollower.length > 0; messageCount++) {
      const replies = effectsOf(toFollower, 'send').flatMap(({ message }) =>
        receive(follower, N2, message),
      );
      toFollower = replies
        .flatMap((effect) => {
          if (effect.kind === 'send') return [effect.message];
          if (effect.kind !== 'persist') return [];
          follower.step({ kind: 'persisted', token: effect.token });
          return effect.after.map(({ message }) => message);
        })
        .flatMap((message) => receive(leader, N2, message));
    }
    deepEqual(termsOf(follower), [...LEADER_LOG, 8]);
    ok(messageCount <= 4, 'whole terms are skipped');
  });
}

/** Raft 5.4.2, figure 8 (b): S1 wrote 2 in term 2, S5 another 2 in term 3, and S1 has crashed. */
function figure8b(rules: SafetyRules): Bench {
  const disk = (term: number, votedFor: NodeId, log: readonly number[]) => ({
    hardState: { term: Term(term), votedFor },
    disk: entriesOf(log, 1 * MIB),
  });
  const disks = new Map([
    [S1, disk(2, S1, [1, 2])],
    [S2, disk(2, S1, [1, 2])],
    [S3, disk(3, S5, [1])],
    [S4, disk(3, S5, [1])],
    [S5, disk(3, S5, [1, 3])],
  ]);
  return new Bench({ nodeCount: 5, rules, disks, config: { appendSizeBytesMax: 1 } });
}

/** (c): S1 leads term 4 and brings its old entry 2 to S3; its own entry 3 reaches nobody. */
function figure8c(rules: SafetyRules): Bench {
  const bench = figure8b(rules);
  bench.isolate(S4);
  bench.isolate(S5);
  bench.loses = ({ message }) =>
    message.kind === 'appendRequest' && message.entries.some(({ index }) => index > 2);
  bench.elect(S1);
  // S2 has entry 2 already and would only be asked for 3: a refusal makes S1 offer it 2 again.
  const message = {
    kind: 'appendRejected',
    term: Term(4),
    rejected: { term: Term(2), index: LogIndex(2) },
    hint: { term: Term(1), index: LogIndex(1) },
  } as const;
  bench.step(S1, { kind: 'receive', from: S2, message });
  bench.run(12);
  deepEqual(
    [S1, S2, S3].map((id) => bench.node(id).disk[1]?.term),
    [2, 2, 2],
  );
  deepEqual(
    bench.status(S1).peers.map(({ matchIndex }) => matchIndex),
    [2, 2, 0, 0],
  );
  return bench;
}

/** (d): S1 crashes, and S5 is elected by S3 and S4, whose logs are older than its own. */
function figure8d(bench: Bench): void {
  bench.crash(S1);
  bench.isolate(S1);
  bench.loses = () => false;
  for (const id of [S3, S4, S5]) {
    for (const other of [S3, S4, S5]) bench.cutWays.delete(`${id}>${other}`);
  }
  bench.tick(S3, 20);
  bench.elect(S5);
}

// Raft 5.4.2: "Raft never commits log entries from previous terms by counting replicas."
test('figure 8: an entry of an older term on a majority is not committed, and may be lost', () => {
  const bench = figure8c(standardRules);
  equal(bench.status(S1).commitIndex, 0);
  figure8d(bench);
  bench.run(12);
  deepEqual(termsOf(bench.node(S3).core), [1, 3, 5]);
  equal(bench.status(S5).commitIndex, 3);
});

// Raft 5.4.2: "once an entry from the current term has been committed ... all prior entries are
// committed indirectly".
test('figure 8: an entry of its own term on a majority commits everything before it', () => {
  const bench = figure8c(standardRules);
  bench.loses = () => false;
  bench.run(12);
  equal(bench.status(S1).commitIndex, 3);
  throws(() => figure8d(bench), /n5 leads/, '(e): S5 cannot win any more');
});

test('figure 8: a leader that counts entries of older terms loses a committed entry', () => {
  const bench = figure8c({ ...standardRules, mayCommitByCounting: () => true });
  equal(bench.status(S1).commitIndex, 2, 'this is the bug');
  throws(() => {
    figure8d(bench);
    bench.run(12);
  }, /committed entry is never cut|leader holds all that is committed/);
});

// Raft 5.5: "Raft RPCs are idempotent".
test('a repeated append changes nothing', () => {
  const core = aCore({ log: [1] });
  const append = anAppend({ term: 1, log: [1, 1, 1], prevIndex: 1, commitIndex: 2 });
  receive(core, N3, append);
  const before = core.status();
  receive(core, N3, append);
  deepEqual(core.status(), before);
});

// Raft 8: "a leader ... commit[s] a blank no-op entry into the log at the start of its term".
test('a leader without proposals commits what older leaders left', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.propose(N1);
  bench.settle();
  bench.crash(N1);
  bench.run(100);
  const leader = bench.leader();
  ok(leader !== null);
  equal(bench.status(leader).commitIndex, 3);
});
