/** How entries get into the log of a leader: at its end, in its term, at a place that it decides. */
import { assert } from '../base/assert.ts';
import { advance, type LogIndex } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc, entrySizeBytes } from './entry.ts';
import type { Membership } from './membership.ts';
import { trackMembers } from './peers.ts';
import { sendToAll } from './replication.ts';
import type { LeaderState } from './role-state.ts';

/** Places an entry at the end of the log, after a filler when the segment has no room for it. */
export function appendEntry(
  state: CoreState,
  leader: LeaderState,
  content: Pick<EntryDesc, 'type' | 'payloadSizeBytes' | 'payloadCrc'>,
  membership: Membership | null = null,
): LogIndex {
  const { log, term } = state;
  const { fillerSizeBytes, physicalOffset, sizeBytes } = log.place(content.payloadSizeBytes);
  if (fillerSizeBytes > 0) {
    assert(fillerSizeBytes >= ENTRY_HEADER_SIZE_BYTES, 'a filler has a header');
    const filler: EntryDesc = {
      index: advance(log.lastIndex, 1),
      term,
      type: 'filler',
      physicalOffset: log.nextOffset,
      sizeBytes: fillerSizeBytes,
      payloadSizeBytes: 0,
      payloadCrc: 0,
    };
    state.append(filler, null);
  }
  const index = advance(log.lastIndex, 1);
  const { type, payloadSizeBytes, payloadCrc } = content;
  const entry = { index, term, type, physicalOffset, sizeBytes, payloadSizeBytes, payloadCrc };
  state.append(entry, membership && { index, membership });
  leader.openSizeBytes += sizeBytes;
  return index;
}

/** Puts a membership in force, here and now (Raft 6), and starts to bring it to everybody. */
export function appendMembership(
  state: CoreState,
  leader: LeaderState,
  membership: Membership,
): LogIndex {
  const payload = state.config.describeMembership(membership);
  const index = appendEntry(state, leader, { type: 'config', ...payload }, membership);
  trackMembers(state, leader);
  sendToAll(state, leader);
  return index;
}

/** Before the append, never after: what is in the log can only be waited for. */
export function hasRoomFor(
  state: CoreState,
  leader: LeaderState,
  payloadSizeBytes: number,
): boolean {
  const sizeBytes = entrySizeBytes(payloadSizeBytes);
  return leader.openSizeBytes + sizeBytes <= state.config.uncommittedSizeBytesMax;
}
