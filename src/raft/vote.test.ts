import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import {
  aCore,
  anId,
  heartbeat,
  N1,
  N2,
  N3,
  preVoteReply,
  receive,
  sent,
  thePersist,
  ticks,
  voteRequest,
  waiting,
} from '../../test/raft-bench/builders.ts';
import { type NodeId, Term } from '../base/units.ts';
import type { Message } from './messages.ts';
import { standardRules } from './rules.ts';

const LOG = [1, 1, 2, 3, 3, 3, 3]; // ends at 3/7

function aVoteRequest(term: number, last = anId(3, 7)): Message {
  return voteRequest(term, last);
}
function aPreVoteRequest(term: number, last = anId(3, 7)): Message {
  return { kind: 'preVoteRequest', term: Term(term), last };
}
function aHeartbeat(term: number): Message {
  return heartbeat(term, 0);
}

// Raft 5.2, 5.4.1: the voter is in term 3 and its log ends at 3/7.
const votes: readonly (readonly [string, NodeId | null, number, number, number, boolean])[] = [
  // what                                      voted  term  last: term, index   granted
  ['grants an equal log', null, 4, 3, 7, true],
  ['grants a longer log of the same term', null, 4, 3, 9, true],
  ['grants a shorter log of a later term', null, 5, 4, 1, true],
  ['refuses a shorter log of the same term', null, 4, 3, 6, false],
  ['refuses a longer log of an earlier term', null, 4, 2, 99, false],
  ['refuses a candidate of an older term', null, 2, 3, 9, false],
  ['grants the first to ask in its own term', null, 3, 3, 7, true],
  ['refuses a second candidate of the same term', N3, 3, 3, 7, false],
  ['grants the same candidate again', N2, 3, 3, 7, true],
  ['grants another candidate in a later term', N3, 4, 3, 7, true],
];

for (const [what, votedFor, term, lastTerm, lastIndex, want] of votes) {
  test(`a voter ${what}`, () => {
    const core = aCore({ log: LOG, votedFor });
    const effects = receive(core, N2, aVoteRequest(term, anId(lastTerm, lastIndex)));
    const replies = [...sent(effects, 'voteReply'), ...waiting(effects, 'voteReply')];
    const replyTerm = Math.max(3, term);
    deepEqual(replies, [
      { to: N2, message: { kind: 'voteReply', term: replyTerm, granted: want } },
    ]);
    equal(core.status().votedFor, want ? N2 : term > 3 ? null : votedFor);
  });
}

test('a vote leaves only behind the write of term and vote', () => {
  const core = aCore({ log: LOG });
  const effects = receive(core, N2, aVoteRequest(4));
  equal(sent(effects, 'voteReply').length, 0);
  const persist = thePersist(effects);
  deepEqual(persist.hardState, { term: 4, votedFor: N2 });
  equal(persist.after.length, 1);
});

test('a repeated request is answered behind the write that is still on its way', () => {
  const core = aCore({ log: LOG });
  const first = thePersist(receive(core, N2, aVoteRequest(4)));
  const again = receive(core, N2, aVoteRequest(4));
  equal(sent(again, 'voteReply').length, 0);
  const second = thePersist(again);
  deepEqual(second.hardState, null);
  equal(second.after.length, 1);

  core.step({ kind: 'persisted', token: first.token });
  core.step({ kind: 'persisted', token: second.token });
  equal(sent(receive(core, N2, aVoteRequest(4)), 'voteReply').length, 1);
});

test('the planted bug of a vote that does not wait for the disk is one line', () => {
  const rules = { ...standardRules, voteWaitsForDisk: () => false };
  const core = aCore({ log: LOG, rules });
  equal(sent(receive(core, N2, aVoteRequest(3)), 'voteReply')[0]?.message.granted, true);
});

test('whoever hears a leader ignores a vote request, term and all', () => {
  const core = aCore({ log: LOG });
  receive(core, N3, aHeartbeat(3));
  ticks(core, 19);
  deepEqual(receive(core, N2, aVoteRequest(9)), []);
  equal(core.status().term, 3);
});

test('the short timeout of a start ends with the first word of a leader', () => {
  const core = aCore({ log: LOG });
  receive(core, N3, aHeartbeat(3));
  deepEqual(sent(ticks(core, 19), 'preVoteRequest'), []);
});

test('a vote is free again when the leader has been silent for the shortest election timeout', () => {
  const core = aCore({ log: LOG, config: { electionTimeoutTicksMax: 10_000 } });
  receive(core, N3, aHeartbeat(3));
  ticks(core, 20);
  equal(core.status().leader, N3);
  equal(waiting(receive(core, N2, aVoteRequest(9)), 'voteReply')[0]?.message.granted, true);
});

test('the leader itself gets a vote at once: it has restarted', () => {
  const core = aCore({ log: LOG });
  receive(core, N3, aHeartbeat(3));
  equal(waiting(receive(core, N3, aVoteRequest(4)), 'voteReply')[0]?.message.granted, true);
});

test('a node that knows the leader of its term gives no vote of that term to another', () => {
  const core = aCore({ log: LOG, config: { electionTimeoutTicksMax: 10_000 } });
  receive(core, N3, aHeartbeat(3));
  ticks(core, 20);
  const effects = receive(core, N2, aVoteRequest(3));
  equal(sent(effects, 'voteReply')[0]?.message.granted, false);
});

// Raft thesis 9.6: the node is in term 3 and its log ends at 3/7.
const preVotes: readonly (readonly [string, NodeId | null, number, number, number, boolean])[] = [
  // what                                                leader  term  last: term, index  granted
  ['grants without a leader', null, 4, 3, 7, true],
  ['grants when the candidate is its leader', N2, 4, 3, 7, true],
  ['refuses while another leader is heard', N3, 4, 3, 7, false],
  ['refuses a log that is behind', null, 4, 3, 6, false],
  ['refuses a term that it has reached itself', null, 3, 3, 7, false],
  ['grants a much later term', null, 40, 3, 7, true],
];

for (const [what, leader, term, lastTerm, lastIndex, want] of preVotes) {
  test(`a pre-vote: ${what}`, () => {
    const core = aCore({ log: LOG, votedFor: N1 });
    if (leader !== null) receive(core, leader, aHeartbeat(3));
    const effects = receive(core, N2, aPreVoteRequest(term, anId(lastTerm, lastIndex)));
    const message = preVoteReply(want ? term : 3, want, anId(3, 7));
    deepEqual(effects, [{ kind: 'send', to: N2, message }], 'nothing is written');
    equal(core.status().term, 3);
    equal(core.status().votedFor, N1);
  });
}
