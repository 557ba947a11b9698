import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  anId,
  entriesOf,
  heartbeat,
  N1,
  N2,
  N3,
  N4,
  N5,
  sent,
} from '../../test/raft-bench/builders.ts';
import { aDesk, type Desk } from '../../test/raft-bench/desk.ts';
import { MIB } from '../base/sizes.ts';
import { type NodeId, Term } from '../base/units.ts';
import type { EntryId } from './entry.ts';

/** Of `benchConfig`. */
const POLL_TICKS = 60;

/** `n1` after a power cut of all, asking the others. */
function anAsking(hasTornTail: boolean, voters: readonly NodeId[] = [N1, N2, N3]): Desk {
  const desk = aDesk({ log: [1, 1, 1], hasTornTail, voters });
  while (desk.status.role !== 'preCandidate') desk.tick();
  return desk;
}

interface Reply {
  readonly granted?: boolean;
  readonly last?: EntryId;
  readonly hasTornTail?: boolean;
}

function reply(desk: Desk, from: NodeId, options: Reply = {}): void {
  const { granted = true, last = anId(1, 3), hasTornTail = false } = options;
  const term = Term(desk.status.term + (granted ? 1 : 0));
  desk.receive(from, { kind: 'preVoteReply', term, granted, last, hasTornTail });
}

test('without a torn tail the first majority decides', () => {
  const desk = anAsking(false);
  reply(desk, N2);
  equal(desk.status.role, 'candidate');
});

for (const [whose, own] of [
  ['its own', true],
  ["a peer's", false],
] as const) {
  test(`after a torn tail, ${whose}, a node waits for the answers of all voters`, () => {
    const desk = anAsking(own);
    reply(desk, N2, { hasTornTail: !own });
    equal(desk.status.role, 'preCandidate', 'a majority is not enough');
    equal(desk.status.term, 1);
    reply(desk, N3);
    equal(desk.status.role, 'candidate');
  });
}

test('a refusal is an answer too', () => {
  const desk = anAsking(true);
  reply(desk, N2);
  reply(desk, N3, { granted: false, last: anId(1, 2) });
  equal(desk.status.role, 'candidate');
});

test('it gives way to a voter whose log is longer, as soon as it hears of it', () => {
  const desk = anAsking(true, [N1, N2, N3, N4, N5]);
  reply(desk, N2);
  reply(desk, N3, { granted: false, last: anId(1, 4) });
  equal(desk.status.role, 'preCandidate');
  reply(desk, N4);
  equal(desk.status.role, 'follower', 'a majority would have it, a longer log is there');
  equal(desk.status.term, 1);
});

test('a log of a later term is longer, however short', () => {
  const desk = anAsking(true);
  reply(desk, N3, { granted: false, last: anId(2, 1) });
  reply(desk, N2);
  equal(desk.status.role, 'follower');
});

test('it waits for no longer than the window and one election timeout', () => {
  const desk = aDesk({ log: [1], hasTornTail: true });
  let waited = 0;
  while (desk.status.role !== 'candidate') {
    waited += 1;
    ok(waited <= POLL_TICKS + 40, `${waited} ticks`);
    const asked = sent(desk.tick(), 'preVoteRequest');
    if (asked.length > 0) reply(desk, N2, { last: anId(1, 1) });
  }
  ok(waited >= POLL_TICKS, 'and not for less, since one voter is silent');
});

test('once a leader was heard in this life, a torn tail is of no interest', () => {
  const desk = aDesk({ log: [1, 1, 1], hasTornTail: true });
  desk.receive(N2, heartbeat(1));
  while (desk.status.role !== 'preCandidate') desk.tick();
  ok(sent(desk.tick(), 'preVoteRequest').length === 0);
  reply(desk, N3);
  equal(desk.status.role, 'candidate');
});

test('a node says in its answer where its log ends and that its tail was torn', () => {
  const desk = aDesk({ log: [1, 1, 1], hasTornTail: true });
  const request = { kind: 'preVoteRequest', term: Term(2), last: anId(1, 2) } as const;
  deepEqual(sent(desk.receive(N2, request), 'preVoteReply')[0]?.message, {
    kind: 'preVoteReply',
    term: 1,
    granted: false,
    last: anId(1, 3),
    hasTornTail: true,
  });
});

test('a group of one with a torn tail has nobody to wait for', () => {
  const desk = aDesk({ log: [1], hasTornTail: true, voters: [N1] });
  desk.tick(2);
  desk.persist();
  equal(desk.status.role, 'leader');
});

/** All lost power; the entry 3 that nobody acknowledged is on the disk of `n3` alone. */
function afterAPowerCut(isTorn: boolean): Bench {
  const hardState = { term: Term(1), votedFor: null };
  const disks = new Map(
    [N1, N2, N3].map((id) => [
      id,
      { hardState, disk: entriesOf(id === N3 ? [1, 1, 1] : [1, 1], MIB) },
    ]),
  );
  const bench = new Bench({ nodeCount: 3, disks });
  for (const id of [N1, N2, N3]) {
    bench.crash(id);
    bench.restart(id, { hasTornTail: isTorn && id !== N3 });
  }
  return bench;
}

test('what survives on one disk only is kept after a power cut of all', () => {
  const bench = afterAPowerCut(true);
  // n3 is slow to ask, not to answer.
  for (let i = 0; i < 50; i++) {
    for (const id of [N1, N2]) bench.tick(id);
    bench.settle();
  }
  equal(bench.leader(), null, 'the others have given way');
  bench.run(40);
  equal(bench.leader(), N3);
  equal(bench.status(N1).commitIndex, 4);
  equal(bench.status(N1).lastTerm, bench.status(N3).term);
});

test('without torn tails it may be lost: nothing was promised about it', () => {
  const bench = afterAPowerCut(false);
  for (let i = 0; i < 50 && bench.leader() === null; i++) {
    for (const id of [N1, N2]) bench.tick(id);
    bench.settle();
  }
  ok(bench.leader() !== N3);
  ok(bench.leader() !== null);
});
