/**
 * Following: taking over the log of the leader of our term (Raft 5.3).
 *
 * - A cut needs a proven conflict in the message at hand; a message that is shorter than our log, or
 *   old, or repeated, proves nothing (H13).
 * - Commit advances to what this message has verified, never merely to what we hold (H12).
 * - An acknowledgement names what is durable, or waits until it is (N5).
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { AppendRequest, Heartbeat, InstallSnapshot } from './messages.ts';
import { followLeader } from './role-change.ts';

export function onAppendRequest(state: CoreState, from: NodeId, request: AppendRequest): void {
  followLeader(state, from);
  const { prev, entries } = request;
  if (!state.rules.matchesPrev(state.log.termAt(prev.index), prev.term)) {
    assert(prev.index > state.commitIndex, 'a leader holds all that is committed', () => prev);
    const hint = state.log.hintFor(prev);
    state.outbox.send(from, { kind: 'appendRejected', term: state.term, rejected: prev, hint });
    return;
  }

  const cutFrom = state.rules.cutFrom(state.log, entries);
  if (cutFrom !== null) state.cutFrom(cutFrom);
  for (const entry of entries) {
    if (entry.index <= state.log.lastIndex) continue;
    const said = request.memberships.find(({ index }) => index === entry.index);
    state.append(entry, said ?? null);
  }
  const matchIndex = advance(prev.index, entries.length);
  const { followerCommit } = state.rules;
  state.commitTo(followerCommit(request.commitIndex, matchIndex, state.log.lastIndex));
  acknowledge(state, from, matchIndex);
}

/** Everything in a snapshot is committed, so of two that cross only the newer one does anything. */
export function onInstallSnapshot(
  state: CoreState,
  from: NodeId,
  { snapshot }: InstallSnapshot,
): void {
  followLeader(state, from);
  const { last } = snapshot;
  if (state.rules.snapshotReplacesLog(last.index, state.commitIndex)) {
    // We have the entry and with it all before: the rest of our log is worth keeping (Raft 7).
    if (state.log.termAt(last.index) === last.term) state.commitTo(last.index);
    else state.install(snapshot);
  }
  acknowledge(state, from, last.index);
}

export function onHeartbeat(state: CoreState, from: NodeId, heartbeat: Heartbeat): void {
  followLeader(state, from);
  // The leader names only what we have acknowledged to it in this term. If we do not hold that, our
  // disk has forgotten: we advance nothing, and the reply shows it to the leader (H23).
  if (heartbeat.commitIndex <= state.durability.durableIndex) {
    state.commitTo(heartbeat.commitIndex);
  }
  reportLog(state, from, heartbeat.round);
}

/**
 * Also the answer to a leader of an older term: our term makes it step down.
 *
 * @param round of the heartbeat that is answered, 0 for anything else
 */
export function reportLog(state: CoreState, to: NodeId, round: number): void {
  state.outbox.send(to, {
    kind: 'heartbeatReply',
    term: state.term,
    round,
    lastIndex: state.log.lastIndex,
    durableIndex: state.durability.durableIndex,
    isDiskStalled: state.isDiskStalled,
  });
}

function acknowledge(state: CoreState, to: NodeId, matchIndex: LogIndex): void {
  state.outbox.promise({
    to,
    message: { kind: 'appendAccepted', term: state.term, matchIndex },
    durableThrough: LogIndex(matchIndex),
  });
}
