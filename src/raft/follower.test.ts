import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  aCore,
  anAppend,
  anId,
  effectsOf,
  heartbeat,
  heartbeatReply,
  N2,
  N3,
  receive,
  sent,
  termsOf,
  thePersist,
  waiting,
} from '../../test/raft-bench/builders.ts';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { standardRules } from './rules.ts';

// Raft 5.3: what a follower with this log says to entries that follow `prev`.
const LOG = [1, 1, 1, 4, 4, 5, 5];
const prevChecks: readonly (readonly [string, number, number, string, number?, number?])[] = [
  // what                                         prev: term, index   answer    hint: term, index
  ['accepts after an entry that it has', 5, 7, 'accepted'],
  ['accepts after an entry inside its log', 4, 4, 'accepted'],
  ['accepts at the start of the log', 0, 0, 'accepted'],
  ['rejects after an entry beyond its log', 6, 9, 'rejected', 5, 7],
  ['rejects after an entry of another term', 6, 6, 'rejected', 5, 6],
  ['skips all its later terms in one hint', 3, 7, 'rejected', 1, 3],
  ['skips them also for an entry beyond its log', 4, 12, 'rejected', 4, 5],
];

for (const [what, prevTerm, prevIndex, answer, hintTerm, hintIndex] of prevChecks) {
  test(`a follower ${what}`, () => {
    const core = aCore({ log: LOG, term: 7 });
    const prev = anId(prevTerm, prevIndex);
    const commitIndex = LogIndex(0);
    const request = {
      kind: 'appendRequest',
      term: Term(7),
      prev,
      entries: [],
      memberships: [],
      commitIndex,
    } as const;
    const effects = receive(core, N2, request);
    const accepted = sent(effects, 'appendAccepted').map(({ message }) => message.matchIndex);
    const hints = sent(effects, 'appendRejected').map(({ message }) => message.hint);
    deepEqual(accepted, answer === 'accepted' ? [prevIndex] : []);
    deepEqual(hints, answer === 'rejected' ? [{ term: hintTerm, index: hintIndex }] : []);
    deepEqual(termsOf(core), LOG, 'an answer cuts nothing');
  });
}

// H13. The leader's log below is in term 6; the follower holds LOG.
const cuts: readonly (readonly [string, readonly number[], number, number, readonly number[]])[] = [
  // what                                            leader's log      prev  until  the log after
  ['appends what follows', [...LOG, 6, 6], 7, 9, [...LOG, 6, 6]],
  ['cuts at the first entry of another term', [1, 1, 1, 4, 4, 6], 4, 6, [1, 1, 1, 4, 4, 6]],
  ['keeps its tail when the message is shorter', [...LOG, 6], 2, 4, LOG],
  ['keeps its tail when the message only repeats', [...LOG, 6], 0, 7, LOG],
  ['keeps its tail when the message is empty', [...LOG, 6], 3, 3, LOG],
  ['appends only the new part of an overlap', [...LOG, 6], 4, 8, [...LOG, 6]],
];

for (const [what, leaderLog, prevIndex, until, want] of cuts) {
  test(`a follower ${what}`, () => {
    const core = aCore({ log: LOG });
    receive(core, N2, anAppend({ term: 6, log: leaderLog.slice(0, until), prevIndex }));
    deepEqual(termsOf(core), want);
  });
}

test('a cut, its replacement and the reply are one write', () => {
  const core = aCore({ log: LOG });
  const effects = receive(core, N2, anAppend({ term: 6, log: [1, 1, 1, 6, 6], prevIndex: 2 }));
  const persist = thePersist(effects);
  deepEqual(persist.hardState, { term: 6, votedFor: null });
  equal(persist.truncateFrom, 4);
  deepEqual(
    persist.entries.map(({ index }) => index),
    [4, 5],
  );
  equal(waiting(effects, 'appendAccepted')[0]?.message.matchIndex, 5);
  equal(core.status().durableIndex, 3);
});

test('a cut of a committed entry ends the process', () => {
  const core = aCore({ log: LOG, appliedIndex: 5 });
  const conflict = anAppend({ term: 6, log: [1, 1, 1, 4, 6], prevIndex: 3 });
  throws(() => receive(core, N2, conflict), InvariantError);
});

test('a leader that lacks a committed entry ends the process', () => {
  const core = aCore({ log: LOG, appliedIndex: 5 });
  throws(() => receive(core, N2, anAppend({ term: 6, log: [1, 1, 1, 2, 2], prevIndex: 5 })));
});

test('the planted bug of cutting after a short message is one line', () => {
  const rules = {
    ...standardRules,
    cutFrom: () => LogIndex(4), // whatever the message proves
  };
  const core = aCore({ log: LOG, rules });
  receive(core, N2, anAppend({ term: 6, log: [1, 1, 1], prevIndex: 2 }));
  deepEqual(termsOf(core), [1, 1, 1]);
});

// H12: the follower holds LOG and commits no more than the message has shown to be the leader's.
const commits: readonly (readonly [string, number, number, number, number])[] = [
  // what                                             prev  entries  leader's commit  commit
  ['what the message verified, if more is committed', 3, 1, 7, 4],
  ['what the leader committed, if more is verified', 3, 4, 5, 5],
  ['up to prev, for an empty message', 2, 0, 7, 2],
  ['nothing, for a message at the start', 0, 0, 7, 0],
];

for (const [what, prevIndex, count, commitIndex, want] of commits) {
  test(`a follower commits ${what}`, () => {
    const core = aCore({ log: LOG });
    const log = LOG.slice(0, prevIndex + count);
    receive(core, N2, anAppend({ term: 6, log, prevIndex, commitIndex }));
    equal(core.status().commitIndex, want);
  });
}

test('a heartbeat commits what the leader knows us to hold', () => {
  const core = aCore({ log: LOG });
  const beat = heartbeat(5, 6, 4);
  const effects = receive(core, N2, beat);
  equal(core.status().commitIndex, 6);
  deepEqual(effectsOf(effects, 'apply'), [{ kind: 'apply', from: 1, to: 6 }]);
  const reply = sent(effects, 'heartbeatReply')[0]?.message;
  deepEqual(reply, heartbeatReply(5, { last: 7 }, 4));
});

test('a heartbeat that names more than our disk holds moves nothing', () => {
  const core = aCore({ log: LOG });
  receive(core, N2, heartbeat(5, 8));
  equal(core.status().commitIndex, 0);
});

test('an acknowledgement waits for the write of its entries', () => {
  const core = aCore({ log: [1] });
  const effects = receive(core, N2, anAppend({ term: 1, log: [1, 1, 1], prevIndex: 1 }));
  equal(sent(effects, 'appendAccepted').length, 0);
  equal(waiting(effects, 'appendAccepted')[0]?.message.matchIndex, 3);
});

test('a repeated append is acknowledged behind the write that is still on its way', () => {
  const core = aCore({ log: [1] });
  const append = anAppend({ term: 1, log: [1, 1, 1], prevIndex: 1 });
  const first = thePersist(receive(core, N2, append));
  const again = receive(core, N2, append);
  const empty = thePersist(again);
  deepEqual([empty.hardState, empty.truncateFrom, empty.entries.length], [null, null, 0]);
  equal(empty.after.length, 1);

  core.step({ kind: 'persisted', token: first.token });
  core.step({ kind: 'persisted', token: empty.token });
  const third = receive(core, N2, append);
  equal(effectsOf(third, 'persist').length, 0);
  equal(sent(third, 'appendAccepted')[0]?.message.matchIndex, 3);
});

test('an acknowledgement after a cut does not count what was durable before it', () => {
  const core = aCore({ log: [1, 1, 1, 1] });
  const effects = receive(core, N2, anAppend({ term: 2, log: [1, 1, 2], prevIndex: 2 }));
  equal(sent(effects, 'appendAccepted').length, 0);
  equal(core.status().durableIndex, 2);
});

test('a committed entry is applied when it is durable here, each once and in order', () => {
  const core = aCore({ log: [] });
  const log = [1, 1, 1];
  const first = receive(core, N2, anAppend({ term: 1, log: [1], prevIndex: 0, commitIndex: 3 }));
  equal(effectsOf(first, 'apply').length, 0);
  const second = receive(core, N2, anAppend({ term: 1, log, prevIndex: 1, commitIndex: 3 }));
  equal(core.status().commitIndex, 3);
  const done = core.step({ kind: 'persisted', token: thePersist(first).token });
  deepEqual(effectsOf(done, 'apply'), [{ kind: 'apply', from: 1, to: 1 }]);
  const rest = core.step({ kind: 'persisted', token: thePersist(second).token });
  deepEqual(effectsOf(rest, 'apply'), [{ kind: 'apply', from: 2, to: 3 }]);
  equal(core.status().appliedIndex, 0);
  core.step({ kind: 'applied', index: LogIndex(3) });
  equal(core.status().appliedIndex, 3);
});

test('replies keep the term they were made in, and their writes still count after a change', () => {
  const core = aCore({ log: [1] });
  const first = thePersist(receive(core, N2, anAppend({ term: 1, log: [1, 1, 1], prevIndex: 1 })));
  const second = thePersist(receive(core, N3, anAppend({ term: 2, log: [1, 1, 2], prevIndex: 2 })));
  equal(first.after[0]?.message.term, 1);
  equal(second.after[0]?.message.term, 2);
  core.step({ kind: 'persisted', token: first.token });
  equal(core.status().durableIndex, 2, 'index 3 of the first write is void');
  core.step({ kind: 'persisted', token: second.token });
  equal(core.status().durableIndex, 3);
});

test('what recovery proved committed is applied after the first input', () => {
  const core = aCore({ log: [1, 1, 1], commitIndex: 3, appliedIndex: 1 });
  deepEqual(effectsOf(core.step({ kind: 'tick' }), 'apply'), [{ kind: 'apply', from: 2, to: 3 }]);
});

test('a log that lacks what was applied is refused at the start', () => {
  throws(() => aCore({ log: [1], appliedIndex: 2 }), InvariantError);
});

test('a message of an older term changes nothing and is answered with ours', () => {
  const core = aCore({ log: LOG });
  const effects = receive(
    core,
    N2,
    anAppend({ term: 4, log: [1, 1, 2], prevIndex: 2, commitIndex: 3 }),
  );
  deepEqual(effects, [{ kind: 'send', to: N2, message: heartbeatReply(5, { last: 7 }) }]);
  deepEqual(termsOf(core), LOG);
  equal(core.status().leader, null);
});

test('a second leader in one term ends the process', () => {
  const core = aCore({ log: LOG });
  receive(core, N2, heartbeat(5, 0));
  const other = heartbeat(5, 0);
  throws(() => receive(core, N3, other), InvariantError);
});

test('a leader that we do not know is followed, with one alarm: it is ahead in the memberships', () => {
  const core = aCore({ log: LOG });
  const stranger = NodeId('n9');
  const alarms = effectsOf(receive(core, stranger, heartbeat(50, 7)), 'alarm');
  deepEqual(
    alarms.map(({ id }) => id),
    ['strangerMessage'],
  );
  equal(core.status().leader, stranger);
  equal(core.status().term, 50);
  deepEqual(effectsOf(receive(core, stranger, heartbeat(50, 7)), 'alarm'), []);
});

test('appends of one leader in any order, repeated or lost, leave a prefix of its log', () => {
  const leaderLog = [1, 1, 2, 2, 2, 3, 3, 6, 6, 6];
  const followerLog = fc.constantFrom([], [1, 1, 1, 1, 1], [1, 1, 2, 4, 4, 4, 4], [1, 1, 2, 2, 5]);
  const append = fc.record({ prevIndex: fc.nat(10), count: fc.nat(4) });
  fc.assert(
    fc.property(followerLog, fc.array(append, { maxLength: 20, size: 'max' }), (log, appends) => {
      const core = aCore({ log });
      let bestMatch = 0;
      for (const { prevIndex, count } of appends) {
        const until = leaderLog.slice(0, prevIndex + count);
        const effects = receive(core, N2, anAppend({ term: 6, log: until, prevIndex }));
        const replies = [...sent(effects, 'appendAccepted'), ...waiting(effects, 'appendAccepted')];
        for (const { message } of replies) bestMatch = Math.max(bestMatch, message.matchIndex);
        deepEqual(termsOf(core).slice(0, bestMatch), leaderLog.slice(0, bestMatch));
      }
    }),
    { numRuns: 200 },
  );
});
