import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../test/raft-bench/bench.ts';
import {
  aCore,
  aLeader,
  anAppend,
  anId,
  ENTRY_SIZE_BYTES,
  effectsOf,
  heartbeatReply,
  N1,
  N2,
  N3,
  propose,
  receive,
  sent,
  termsOf,
  thePersist,
  ticks,
  voteRequest,
} from '../../test/raft-bench/builders.ts';
import { InvariantError } from '../base/assert.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, type NodeId, Term } from '../base/units.ts';
import type { Effect } from './effects.ts';
import type { Message } from './messages.ts';
import type { RaftCore } from './raft-core.ts';

function accept(core: RaftCore, peer: NodeId, matchIndex: number): readonly Effect[] {
  const { term } = core.status();
  return receive(core, peer, { kind: 'appendAccepted', term, matchIndex: LogIndex(matchIndex) });
}

function report(core: RaftCore, peer: NodeId, last: number, durable = last): readonly Effect[] {
  return receive(core, peer, heartbeatReply(core.status().term, { last, durable }));
}

function persisted(core: RaftCore, effects: readonly Effect[]): readonly Effect[] {
  return core.step({ kind: 'persisted', token: thePersist(effects).token });
}

function peerOf(core: RaftCore, peer: NodeId) {
  return core.status().peers.find(({ nodeId }) => nodeId === peer)!; // a voter of the group
}

/** Leads term 2 with the no-op durable everywhere, so that both peers are replicating. */
function aSettledLeader(options: Parameters<typeof aLeader>[0] = {}): RaftCore {
  const { core, effects } = aLeader(options);
  persisted(core, effects);
  const { lastIndex } = core.status();
  for (const peer of [N2, N3]) accept(core, peer, lastIndex);
  return core;
}

test('a new leader writes and sends a no-op of its term in one step', () => {
  const { core, effects } = aLeader({ log: [1, 1] });
  const persist = thePersist(effects);
  deepEqual(
    persist.entries.map(({ type, term, index }) => [type, term, index]),
    [['noop', 2, 3]],
  );
  const appends = sent(effects, 'appendRequest');
  deepEqual(
    appends.map(({ to }) => to),
    [N2, N3],
  );
  deepEqual(appends[0]?.message.entries, persist.entries);
  deepEqual(appends[0]?.message.prev, { term: 1, index: 2 });
  deepEqual(effects[0], { kind: 'role', role: 'leader', term: 2, leader: N1 });
  equal(core.status().endOffset, 4 * KIB + 2 * ENTRY_SIZE_BYTES + 64);
});

test('a proposal is accepted, written and sent in the step that brings it', () => {
  const core = aSettledLeader();
  const place = core.placementFor(8);
  const effects = propose(core, 77);
  deepEqual(
    effects.map(({ kind }) => kind),
    ['proposeResult', 'persist', 'send', 'send'],
  );
  const want = { kind: 'proposeResult', tag: 77, result: 'accepted', index: 2, term: 2 };
  deepEqual(effects[0], want);
  const [entry] = thePersist(effects).entries;
  equal(entry?.physicalOffset, place?.physicalOffset);
  equal(entry?.index, place?.index);
  equal(entry?.payloadCrc, 77);
});

test('nobody but a leader accepts proposals or knows a place for them', () => {
  const core = aCore();
  deepEqual(propose(core, 5), [
    { kind: 'proposeResult', tag: 5, result: 'rejected', why: 'notLeader' },
  ]);
  equal(core.placementFor(8), null);
});

test('proposals that do not fit into the window are refused before they are appended', () => {
  const window = 3 * ENTRY_SIZE_BYTES;
  const core = aSettledLeader({ config: { uncommittedSizeBytesMax: window } });
  const results = [1, 2, 3, 4].map((tag) => effectsOf(propose(core, tag), 'proposeResult')[0]);
  deepEqual(
    results.map((result) => result?.result),
    ['accepted', 'accepted', 'accepted', 'rejected'],
  );
  equal(core.status().lastIndex, 4);
});

test('the window opens again when entries are committed and durable here', () => {
  const core = aSettledLeader({ config: { uncommittedSizeBytesMax: ENTRY_SIZE_BYTES } });
  const first = propose(core, 1);
  accept(core, N2, 2);
  accept(core, N3, 2);
  equal(core.status().commitIndex, 2);
  equal(effectsOf(propose(core, 2), 'proposeResult')[0]?.result, 'rejected', 'our disk is behind');
  persisted(core, first);
  equal(effectsOf(propose(core, 3), 'proposeResult')[0]?.result, 'accepted');
});

test('a leader commits with its own disk and one peer', () => {
  const core = aSettledLeader();
  const effects = propose(core);
  accept(core, N2, 2);
  equal(core.status().commitIndex, 1, 'our own copy is not durable');
  const done = persisted(core, effects);
  equal(core.status().commitIndex, 2);
  deepEqual(effectsOf(done, 'apply'), [{ kind: 'apply', from: 2, to: 2 }]);
});

test('two peers commit without the disk of the leader, which applies when its own is done', () => {
  const core = aSettledLeader();
  const effects = propose(core);
  accept(core, N2, 2);
  const committed = accept(core, N3, 2);
  equal(core.status().commitIndex, 2);
  equal(effectsOf(committed, 'apply').length, 0);
  deepEqual(effectsOf(persisted(core, effects), 'apply'), [{ kind: 'apply', from: 2, to: 2 }]);
});

test('replies of an older term count for nothing', () => {
  const core = aSettledLeader();
  propose(core);
  receive(core, N2, { kind: 'appendAccepted', term: Term(1), matchIndex: LogIndex(2) });
  equal(peerOf(core, N2).matchIndex, 1);
});

test('a peer that accepts more than was ever written ends the process', () => {
  const core = aSettledLeader();
  throws(() => accept(core, N2, 99), InvariantError);
});

test('messages in flight stay below their count, and go on as acknowledgements arrive', () => {
  const core = aSettledLeader({ config: { inflightCountMax: 3 } });
  const sentTo2 = (effects: readonly Effect[]): number =>
    sent(effects, 'appendRequest').filter(({ to }) => to === N2).length;
  const counts = [1, 2, 3, 4, 5].map((tag) => sentTo2(propose(core, tag)));
  deepEqual(counts, [1, 1, 1, 0, 0]);
  const effects = accept(core, N2, 2);
  const next = sent(effects, 'appendRequest')[0]?.message;
  deepEqual(
    next?.entries.map(({ index }) => index),
    [5, 6],
  );
});

test('a message carries at most its size, and a larger entry goes alone', () => {
  const limits = { appendSizeBytesMax: 2 * ENTRY_SIZE_BYTES, inflightSizeBytesMax: 10_000 };
  const core = aSettledLeader({ config: { ...limits, inflightCountMax: 1 } });
  for (const tag of [1, 2, 3, 4]) propose(core, tag);
  propose(core, 5, 3000);
  const sizes: number[] = [];
  for (let match = 2; match < 6; ) {
    const [append] = sent(accept(core, N2, match), 'appendRequest');
    sizes.push(append?.message.entries.length ?? 0);
    match += sizes.at(-1)!; // pushed above
  }
  deepEqual(sizes, [2, 1, 1]);
});

test('bytes in flight stay below their limit', () => {
  const core = aSettledLeader({ config: { inflightSizeBytesMax: 2 * ENTRY_SIZE_BYTES + 10 } });
  const counts = [1, 2, 3].map((tag) => sent(propose(core, tag), 'appendRequest').length);
  deepEqual(counts, [2, 2, 0]);
});

test('an entry that does not fit in the segment comes after a filler of its own index', () => {
  const core = aSettledLeader({ config: { segmentSizeBytes: 8 * KIB } });
  propose(core, 1, 3 * KIB);
  const place = core.placementFor(2 * KIB);
  const effects = propose(core, 2, 2 * KIB);
  const [filler, entry] = thePersist(effects).entries;
  deepEqual(
    [filler?.type, filler?.index, filler?.payloadSizeBytes, filler?.payloadCrc],
    ['filler', 3, 0, 0],
  );
  equal(filler?.sizeBytes, place?.fillerSizeBytes);
  equal(filler!.physicalOffset + filler!.sizeBytes, 8 * KIB); // asserted to be there just above
  deepEqual([entry?.type, entry?.index, entry?.physicalOffset], ['data', 4, 12 * KIB]);
  equal(place?.index, 4);
  equal(effectsOf(effects, 'proposeResult')[0]?.result, 'accepted');
});

test('a no-op obeys placement too', () => {
  const config = { segmentSizeBytes: 4 * KIB + 3 * ENTRY_SIZE_BYTES };
  const { effects } = aLeader({ log: [1, 1], config });
  const types = thePersist(effects).entries.map(({ type }) => type);
  deepEqual(types, ['filler', 'noop']);
});

test('heartbeats name what the receiver surely holds', () => {
  const core = aSettledLeader();
  propose(core, 1);
  const first = propose(core, 2);
  core.step({ kind: 'persisted', token: thePersist(first).token - 1 });
  persisted(core, first);
  accept(core, N2, 3);
  const beats = sent(ticks(core, 3), 'heartbeat').map(({ to, message }) => [
    to,
    message.commitIndex,
  ]);
  deepEqual(beats, [
    [N2, 3],
    [N3, 1],
  ]);
});

test('a leader that hears no majority for an election timeout steps down', () => {
  const core = aSettledLeader();
  ticks(core, 20);
  equal(core.status().role, 'leader');
  const effects = ticks(core, 1);
  deepEqual(effectsOf(effects, 'role'), [
    { kind: 'role', role: 'follower', term: 2, leader: null },
  ]);
});

test('one peer of two keeps a leader in office', () => {
  const core = aSettledLeader();
  for (let i = 0; i < 50; i++) {
    ticks(core, 10);
    report(core, N2, 1);
  }
  equal(core.status().role, 'leader');
});

test('a leader with a majority ignores who wants its place', () => {
  const core = aSettledLeader();
  const last = { term: Term(9), index: LogIndex(99) };
  deepEqual(receive(core, N2, voteRequest(9, last)), []);
  const [reply] = sent(
    receive(core, N2, { kind: 'preVoteRequest', term: Term(9), last }),
    'preVoteReply',
  );
  equal(reply?.message.granted, false);
});

test('a rejection hint is answered by skipping whole terms on our side as well', () => {
  const { core, effects } = aLeader({ log: [1, 1, 1, 4, 4, 4, 6, 6], term: 6 });
  persisted(core, effects);
  const { term } = core.status();
  // The peer has 1 1 1 2 2 2 2 2: no entry of its term 2 can match, and nothing of our 4 either.
  const answer = receive(core, N2, {
    kind: 'appendRejected',
    term,
    rejected: { term: Term(6), index: LogIndex(8) },
    hint: { term: Term(2), index: LogIndex(8) },
  });
  deepEqual(sent(answer, 'appendRequest')[0]?.message.prev, { term: 1, index: 3 });
});

test('a lost append is sent again after a heartbeat interval, once', () => {
  const core = aSettledLeader();
  propose(core, 1);
  ticks(core, 3);
  const resent = sent(report(core, N2, 1), 'appendRequest');
  deepEqual(
    resent.map(({ message }) => message.entries.map(({ index }) => index)),
    [[2]],
  );
  equal(sent(report(core, N2, 1), 'appendRequest').length, 0, 'the same news again');
  equal(sent(ticks(core, 2), 'appendRequest').length, 0);
});

test('nothing is sent again to a peer whose disk is slow', () => {
  const core = aSettledLeader();
  propose(core, 1);
  for (let i = 0; i < 5; i++) {
    ticks(core, 3);
    equal(sent(report(core, N2, 2, 1), 'appendRequest').length, 0);
  }
});

test('a lost acknowledgement is asked for with an empty append', () => {
  const core = aSettledLeader();
  propose(core, 1);
  ticks(core, 3);
  const [probe] = sent(report(core, N2, 2), 'appendRequest');
  deepEqual([probe?.message.prev.index, probe?.message.entries.length], [2, 0]);
  accept(core, N2, 2);
  deepEqual([peerOf(core, N2).matchIndex, peerOf(core, N2).state], [2, 'replicating']);
});

test('an unreachable peer gets one message at a time', () => {
  const core = aSettledLeader();
  propose(core, 1);
  core.step({ kind: 'peerUnreachable', peer: N2 });
  equal(peerOf(core, N2).state, 'probing');
  const to2 = (effects: readonly Effect[]): number =>
    sent(effects, 'appendRequest').filter(({ to }) => to === N2).length;
  deepEqual([to2(propose(core, 2)), to2(propose(core, 3))], [1, 0]);
});

test('a peer that forgot what it acknowledged raises an alarm and is repaired', () => {
  const core = aSettledLeader({ log: [1, 1, 1] });
  let alarms: readonly Effect[] = [];
  let appends = 0;
  for (let i = 0; i < 20; i++) {
    ticks(core, 3);
    report(core, N2, 4);
    const effects = report(core, N3, 1);
    alarms = [...alarms, ...effectsOf(effects, 'alarm')];
    appends += sent(effects, 'appendRequest').length;
    if (alarms.length > 0) break;
  }
  const details = { peer: N3, matchIndex: 4, lastIndex: 1, durableIndex: 1 };
  deepEqual(alarms, [{ kind: 'alarm', id: 'followerLostLog', details }]);
  equal(appends, 1);
  equal(peerOf(core, N3).matchIndex, 0, 'what it has left may be of another log');
});

/** What N2 sends as leader of term 3: an entry of its own in place of ours at `index`. */
function aReplacement(core: RaftCore, index: number, commitIndex: number): Message {
  const ours = core.entryAt(LogIndex(index))!; // the tests have proposed it
  return {
    kind: 'appendRequest',
    term: Term(3),
    prev: anId(2, index - 1),
    entries: [{ ...ours, term: Term(3) }],
    memberships: [],
    commitIndex: LogIndex(commitIndex),
  };
}

test('a proposal is overwritten when a committed entry of another term has its place', () => {
  const core = aSettledLeader();
  propose(core, 41);
  propose(core, 42);
  const early = receive(core, N2, aReplacement(core, 3, 2));
  deepEqual(effectsOf(early, 'proposeResult'), [], 'entry 2 is ours, entry 3 not committed');
  deepEqual(termsOf(core), [2, 2, 3]);
  const commit = { ...anAppend({ term: 3, log: [], prevIndex: 0 }), prev: anId(3, 3) };
  const late = receive(core, N2, { ...commit, commitIndex: LogIndex(3) });
  deepEqual(effectsOf(late, 'proposeResult'), [
    { kind: 'proposeResult', tag: 42, result: 'overwritten' },
  ]);
});

test('an uncommitted replacement says nothing about a proposal', () => {
  const core = aSettledLeader();
  propose(core, 41);
  const effects = receive(core, N2, aReplacement(core, 2, 1));
  deepEqual(effectsOf(effects, 'proposeResult'), []);
});

test('a group repairs itself when every other message is lost', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  for (let round = 0; round < 60; round++) {
    if (round < 20) bench.propose(N1, 200);
    bench.tick(N1);
    for (let at = bench.wire.length - 1; at >= 0; at -= 2) bench.wire.splice(at, 1);
    for (const id of bench.ids) while (bench.persistOne(id) || bench.applyOne(id));
    while (bench.wire.length > 0) bench.deliver();
  }
  bench.run(10);
  for (const id of bench.ids) equal(bench.status(id).appliedIndex, 21);
});

test('a peer that was away for long catches up in full windows, not one message a heartbeat', () => {
  const bench = new Bench({ nodeCount: 3 });
  bench.elect(N1);
  bench.isolate(N3);
  for (let i = 0; i < 400; i++) {
    bench.propose(N1, 100);
    bench.settle();
  }
  bench.heal();
  bench.run(10);
  equal(bench.status(N3).appliedIndex, bench.status(N1).lastIndex);
  ok(bench.status(N1).lastIndex > 400);
});
