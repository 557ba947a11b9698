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
import type { EntryId } from './entry.ts';
import type { AppendRequest, Heartbeat } from './messages.ts';
import { followLeader } from './role-change.ts';

export function onAppendRequest(state: CoreState, from: NodeId, request: AppendRequest): void {
  followLeader(state, from);
  const { prev, entries } = request;
  if (!matches(state, prev)) {
    assert(prev.index > state.commitIndex, 'a leader holds all that is committed', () => prev);
    const hint = state.log.hintFor(prev);
    state.outbox.send(from, { kind: 'appendRejected', term: state.term, rejected: prev, hint });
    return;
  }

  const cutFrom = state.rules.cutFrom(state.log, entries);
  if (cutFrom !== null) state.cutFrom(cutFrom);
  for (const entry of entries) {
    if (entry.index > state.log.lastIndex) state.append(entry);
  }
  const matchIndex = advance(prev.index, entries.length);
  state.commitTo(LogIndex(Math.min(request.commitIndex, matchIndex)));
  state.outbox.promise({
    to: from,
    message: { kind: 'appendAccepted', term: state.term, matchIndex },
    durableThrough: matchIndex,
  });
}

export function onHeartbeat(state: CoreState, from: NodeId, heartbeat: Heartbeat): void {
  followLeader(state, from);
  // The leader names only what we have acknowledged to it in this term. If we do not hold that, our
  // disk has forgotten: we advance nothing, and the reply shows it to the leader (H23).
  if (heartbeat.commitIndex <= state.durability.durableIndex) {
    state.commitTo(heartbeat.commitIndex);
  }
  reportLog(state, from);
}

/** Also the answer to a leader of an older term: our term makes it step down. */
export function reportLog(state: CoreState, to: NodeId): void {
  state.outbox.send(to, {
    kind: 'heartbeatReply',
    term: state.term,
    lastIndex: state.log.lastIndex,
    durableIndex: state.durability.durableIndex,
  });
}

/** A compacted entry was committed, and so is equal everywhere (H16). */
function matches(state: CoreState, prev: EntryId): boolean {
  const ours = state.log.termAt(prev.index);
  return ours === 'compacted' || ours === prev.term;
}
