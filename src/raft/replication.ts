/**
 * What a leader sends to one peer, and when. Entries leave in the step that appends them: our own
 * disk write runs in parallel and counts when it is done (Raft thesis 10.2.1).
 */
import { advance, LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import { carriedSizeBytes } from './log-view.ts';
import type { Progress } from './progress.ts';
import type { LeaderState } from './role-state.ts';

export function sendToAll(state: CoreState, leader: LeaderState): void {
  for (const [peer, progress] of leader.peers) sendAppends(state, peer, progress);
}

export function sendHeartbeats(state: CoreState, leader: LeaderState): void {
  leader.heartbeatElapsedTicks = 0;
  const { term } = state;
  const { round } = leader.reads;
  for (const [peer, progress] of leader.peers) {
    const commitIndex = LogIndex(Math.min(state.commitIndex, progress.matchIndex));
    state.outbox.send(peer, { kind: 'heartbeat', term, round, commitIndex });
  }
}

/** Sends all that the peer's window takes. */
export function sendAppends(state: CoreState, to: NodeId, progress: Progress): void {
  for (;;) {
    // Ends: each message fills the window, and nothing is sent once the peer has everything.
    if (!sendOneAppend(state, to, progress)) return;
  }
}

function sendOneAppend(state: CoreState, to: NodeId, progress: Progress): boolean {
  const { log } = state;
  const roomSizeBytes = progress.roomSizeBytes();
  if (roomSizeBytes === null || progress.matchIndex === log.lastIndex) return false;
  const isProbe = progress.state === 'probing';
  if (!isProbe && progress.nextIndex > log.lastIndex) return false;
  if (progress.nextIndex <= log.baseIndex) {
    progress.becomeSnapshot();
    state.outbox.notify({ kind: 'sendSnapshot', to });
    return false;
  }

  // While we guess where the logs meet, one entry is enough to learn it.
  const isGuess = isProbe && progress.nextIndex !== progress.matchIndex + 1;
  const sizeBytesMax = Math.min(isGuess ? 0 : state.config.appendSizeBytesMax, roomSizeBytes);
  const entries = log.entriesFrom(progress.nextIndex, sizeBytesMax);
  const sizeBytes = entries.reduce((sum, entry) => sum + carriedSizeBytes(entry), 0);
  if (sizeBytes > roomSizeBytes && progress.inflightCount > 0) return false;

  const prev = log.idAt(LogIndex(progress.nextIndex - 1));
  const lastIndex = advance(prev.index, entries.length);
  const memberships = state.memberships.between(progress.nextIndex, lastIndex);
  const { term, commitIndex } = state;
  state.outbox.send(to, { kind: 'appendRequest', term, prev, entries, memberships, commitIndex });
  progress.onSent(lastIndex, sizeBytes, state.nowTicks);
  return true;
}
