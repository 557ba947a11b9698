import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/sizes.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { encodeCommandRecord } from '../protocol/command-record.ts';
import type { CommittedEntry } from '../store/derived/derived-state.ts';
import { QUEUED_COUNT_MAX } from './limits.ts';
import { Proposals } from './proposals.ts';
import type { ProposeOutcome } from './replica.ts';

const record = encodeCommandRecord({ kind: 'topicDelete', topic: 't' });
const proposal = { records: record, messageRecordAt: [] };

const entryAt = (index: number, term: number): CommittedEntry => ({
  index: LogIndex(index),
  term: Term(term),
  type: 'data',
  payloadOffset: PhysicalOffset(0),
  payload: record,
});

function openOne() {
  const proposals = new Proposals(MIB);
  const outcomes: ProposeOutcome[] = [];
  proposals.enqueue(proposal, (outcome) => outcomes.push(outcome));
  const batch = proposals.takeBatch();
  proposals.onAppended(batch, LogIndex(7), Term(2));
  return { proposals, outcomes, batch };
}

test('an entry of another term at the place is the end of the proposal', () => {
  const { proposals, outcomes } = openOne();
  proposals.onApplied(entryAt(7, 3), [{ kind: 'topicDeleted', existed: true }]);
  assert.deepEqual(outcomes, [{ kind: 'rejected', why: 'notLeader' }]);
  assert.equal(proposals.openCount, 0);
});

test('each proposal has one outcome, whatever is said later', () => {
  const { proposals, outcomes, batch } = openOne();
  proposals.onApplied(entryAt(7, 2), [{ kind: 'topicDeleted', existed: true }]);
  proposals.onOverwritten(batch.tag);
  proposals.giveUp([batch.tag]);
  proposals.onApplied(entryAt(7, 2), []);
  assert.equal(outcomes.length, 1);
  assert.equal(outcomes[0]?.kind, 'applied');
});

test('nothing of an older term is waited for behind an entry of a newer one', () => {
  const { proposals, outcomes } = openOne();
  proposals.onApplied(entryAt(5, 2), []);
  assert.deepEqual(outcomes, []);
  proposals.onApplied({ ...entryAt(6, 4), type: 'noop' }, []);
  assert.deepEqual(outcomes, [{ kind: 'rejected', why: 'notLeader' }]);
  assert.equal(proposals.openCount, 0);
});

test('a place that is given again in a later term belongs to the later proposal', () => {
  const { proposals, outcomes } = openOne();
  const later: ProposeOutcome[] = [];
  proposals.enqueue(proposal, (outcome) => later.push(outcome));
  proposals.onAppended(proposals.takeBatch(), LogIndex(7), Term(4));
  proposals.onApplied(entryAt(7, 4), [{ kind: 'topicDeleted', existed: true }]);
  assert.equal(later[0]?.kind, 'applied');
  assert.deepEqual(outcomes, [{ kind: 'rejected', why: 'notLeader' }]);
});

test('a number of results that is not the number of records is a bug', () => {
  const { proposals } = openOne();
  assert.throws(() => proposals.onApplied(entryAt(7, 2), []), /one result/);
});

test('the queue is bounded in number too, and what is put back comes first', () => {
  const proposals = new Proposals(MIB);
  const named = ['a', 'b', 'c'].map((topic) => ({
    records: encodeCommandRecord({ kind: 'topicDelete', topic }),
    messageRecordAt: [],
  }));
  for (const one of named)
    assert.equal(
      proposals.enqueue(one, () => {}),
      null,
    );
  const batch = proposals.takeBatch();
  assert.equal(
    proposals.enqueue(proposal, () => {}),
    null,
  );
  proposals.putBack(batch);
  assert.deepEqual(
    proposals.takeBatch().proposals.map((pending) => pending.proposal),
    [...named, proposal],
  );
  for (let i = 0; i < QUEUED_COUNT_MAX; i++) proposals.enqueue(proposal, () => {});
  assert.equal(
    proposals.enqueue(proposal, () => {}),
    'busy',
  );
});
