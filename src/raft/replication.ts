/**
 * What a leader sends to one peer, and when. Entries leave in the step that appends them: our own
 * disk write runs in parallel and counts when it is done (Raft thesis 10.2.1).
 */
import { advance, LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import { carriedSizeBytes } from './log-view.ts';
import type { Progress } from './progress.ts';

/** Sends all that the peer's window takes. */
export function sendAppends(state: CoreState, to: NodeId, progress: Progress): void {
  for (;;) {
    // Ends: each message fills the window, and nothing is sent once the peer has everything.
    if (!sendOneAppend(state, to, progress)) return;
  }
}

export function sendHeartbeat(state: CoreState, to: NodeId, progress: Progress): void {
  const commitIndex = LogIndex(Math.min(state.commitIndex, progress.matchIndex));
  state.outbox.send(to, { kind: 'heartbeat', term: state.term, commitIndex });
}

function sendOneAppend(state: CoreState, to: NodeId, progress: Progress): boolean {
  const { log } = state;
  const roomSizeBytes = progress.roomSizeBytes();
  if (roomSizeBytes === null || progress.matchIndex === log.lastIndex) return false;
  const isProbe = progress.state === 'probing';
  if (!isProbe && progress.nextIndex > log.lastIndex) return false;

  // While we guess where the logs meet, one entry is enough to learn it.
  const isGuess = isProbe && progress.nextIndex !== progress.matchIndex + 1;
  const sizeBytesMax = Math.min(isGuess ? 0 : state.config.appendSizeBytesMax, roomSizeBytes);
  const entries = log.entriesFrom(progress.nextIndex, sizeBytesMax);
  const sizeBytes = entries.reduce((sum, entry) => sum + carriedSizeBytes(entry), 0);
  if (sizeBytes > roomSizeBytes && progress.inflightCount > 0) return false;

  const prev = log.idAt(LogIndex(progress.nextIndex - 1));
  const { term, commitIndex } = state;
  state.outbox.send(to, { kind: 'appendRequest', term, prev, entries, commitIndex });
  progress.onSent(advance(prev.index, entries.length), sizeBytes, state.nowTicks);
  return true;
}
