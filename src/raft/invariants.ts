/**
 * What must be true after every step, whatever the input was. A violation is a bug of ours or a
 * broken promise of the world below (a disk that forgot): the process ends before it can answer
 * anybody. Always on: some comparisons per step, and per message sent.
 *
 * The letters group them: N for any node, L for a leader.
 */
import { assert } from '../base/assert.ts';
import { advance, type LogIndex, type NodeId, type Term } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { Effect } from './effects.ts';
import type { Message } from './messages.ts';
import type { LeaderState } from './role-state.ts';

/** What a step may only move forward. */
export interface Before {
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly commitIndex: LogIndex;
  readonly leaderLastIndex: LogIndex | null;
}

export function rememberBefore(state: CoreState): Before {
  const { term, votedFor, commitIndex, role, log } = state;
  const leaderLastIndex = role.kind === 'leader' ? log.lastIndex : null;
  return { term, votedFor, commitIndex, leaderLastIndex };
}

export function assertAfterStep(
  state: CoreState,
  before: Before,
  effects: readonly Effect[],
): void {
  assertTermAndVote(state, before);
  assertIndices(state, before);
  if (state.role.kind === 'leader') assertLeader(state, state.role, before);
  else assert(state.leader !== state.config.self, 'only a leader names itself');
  for (const effect of effects) {
    if (effect.kind === 'send') assertMessage(state, effect.message, state.countableIndex);
    if (effect.kind !== 'persist') continue;
    for (const { message } of effect.after) assertMessage(state, message, state.log.lastIndex);
  }
}

/** N1. */
function assertTermAndVote(state: CoreState, before: Before): void {
  assert(state.term >= before.term, 'the term never decreases (N1)', () => before);
  if (state.term === before.term && before.votedFor !== null) {
    assert(state.votedFor === before.votedFor, 'a vote is given once per term (N1)', () => before);
  }
}

/** N2, N4. Entries are checked one by one where they are appended: log-view.ts. */
function assertIndices(state: CoreState, before: Before): void {
  const { commitIndex, applyingIndex, appliedIndex, log } = state;
  const { durableIndex } = state.durability;
  assert(commitIndex >= before.commitIndex, 'commit never decreases (N2)', () => before);
  assert(appliedIndex <= applyingIndex, 'applied is at most applying (N2)');
  assert(log.baseIndex <= commitIndex, 'only what is committed leaves the log (N2)');
  assert(applyingIndex <= commitIndex, 'applying is at most committed (N2)');
  assert(applyingIndex <= durableIndex, 'applying is at most durable (N2)');
  assert(commitIndex <= log.lastIndex, 'committed is at most last (N2)');
  assert(durableIndex <= log.lastIndex, 'durable is at most last (N2)');
  assert(log.lastTerm <= state.term, 'no entry is newer than our term (N4)');
}

/** L1, L5, L7, and a leader only appends (I2). */
function assertLeader(state: CoreState, leader: LeaderState, before: Before): void {
  const { log, config } = state;
  assert(state.leader === config.self, 'a leader follows nobody');
  assert(!state.isDiskStalled || !state.rules.stalledLeaderStepsDown(), 'a leader can write (H11)');
  assertOneChange(state);
  assert(leader.openSizeBytes >= 0, 'the window of open entries is not negative');
  if (before.leaderLastIndex !== null) {
    assert(log.lastIndex >= before.leaderLastIndex, 'a leader never cuts its log (I2)');
  }
  for (const progress of leader.peers.values()) {
    const { matchIndex, nextIndex, inflightCount, inflightSizeBytes } = progress;
    assert(matchIndex < nextIndex, 'match is below next (L1)', () => ({ matchIndex, nextIndex }));
    assert(nextIndex <= log.lastIndex + 1, 'next is inside the log (L1)', () => ({ nextIndex }));
    assert(inflightCount <= config.inflightCountMax, 'messages in flight are bounded (L5)');
    if (inflightCount > 1) {
      assert(inflightSizeBytes <= config.inflightSizeBytesMax, 'bytes in flight are bounded (L5)');
    }
  }
}

/**
 * L7, for changes of our own making. Inherited ones may be many: we may be far behind in what is
 * committed, and learn it only with the commit of our no-op.
 */
function assertOneChange({ memberships, commitIndex, log, term }: CoreState): void {
  const open = memberships
    .between(advance(commitIndex, 1), log.lastIndex)
    .filter(({ index }) => log.termAt(index) === term);
  assert(open.length <= 1, 'one change of membership at a time (L7)', () => ({ open }));
}

/** N5, N7. */
function assertMessage(state: CoreState, message: Message, acceptableIndex: LogIndex): void {
  const isPreVote = message.kind === 'preVoteRequest' || message.kind === 'preVoteReply';
  if (!isPreVote) assert(message.term === state.term, 'we speak in our term (N7)', () => message);
  if (message.kind === 'voteRequest') {
    assert(state.mayLead, 'only a voter campaigns (N9)', () => message);
  }
  if (message.kind === 'appendAccepted') {
    assert(message.matchIndex <= acceptableIndex, 'we acknowledge what is durable (N5)');
  }
}
