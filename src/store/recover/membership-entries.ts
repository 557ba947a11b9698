/**
 * The entries with which a log goes on when nobody leads, a config entry in the first place: offline, in a term that no
 * survivor has seen. Those who are lost may have used it; they are of another cluster from here on. A filler comes first
 * where the segment has no room.
 */
import { crc32 } from '../../base/crc32.ts';
import { advance, LogIndex, type Term } from '../../base/units.ts';
import { encodeEntry, headerCrcOf } from '../../protocol/entry-codec.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { type EntryDesc, placeEntry, skipSegmentHeader } from '../../raft/entry.ts';
import type { Membership } from '../../raft/membership.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { Tip } from '../repair/region.ts';

export interface MembershipAppend {
  /** The last entry there is; everything up to it counts as committed. */
  readonly tip: Tip;
  readonly term: Term;
  readonly membership: Membership;
  readonly segmentSizeBytes: number;
}

export function membershipEntries(append: MembershipAppend): readonly StoredEntry[] {
  const payload = encodeMembership(append.membership);
  return entriesBehind(append, [{ type: 'config', payload }]);
}

export interface AppendedPayload {
  readonly type: 'config' | 'data';
  readonly payload: Uint8Array;
}

export function entriesBehind(
  { tip, term, segmentSizeBytes }: Omit<MembershipAppend, 'membership'>,
  payloads: readonly AppendedPayload[],
): readonly StoredEntry[] {
  const entries: StoredEntry[] = [];
  let { end, headerCrc: prevHeaderCrc } = tip;
  const push = (
    desc: Pick<EntryDesc, 'type' | 'physicalOffset' | 'sizeBytes'>,
    bytes: Uint8Array,
  ): void => {
    const whole: EntryDesc = {
      ...desc,
      index: LogIndex(tip.index + entries.length + 1),
      term,
      payloadSizeBytes: bytes.length,
      payloadCrc: crc32(bytes),
    };
    const encoded = encodeEntry({ ...whole, leaderCommit: tip.index, prevHeaderCrc }, bytes);
    entries.push({ desc: whole, bytes: encoded });
    prevHeaderCrc = headerCrcOf(encoded);
    end = advance(desc.physicalOffset, desc.sizeBytes);
  };
  for (const { type, payload } of payloads) {
    const place = placeEntry(end, payload.length, segmentSizeBytes);
    if (place.fillerSizeBytes > 0) {
      const physicalOffset = skipSegmentHeader(end, segmentSizeBytes);
      push({ type: 'filler', physicalOffset, sizeBytes: place.fillerSizeBytes }, new Uint8Array(0));
    }
    const { physicalOffset, sizeBytes } = place;
    push({ type, physicalOffset, sizeBytes }, payload);
  }
  return entries;
}

/** @param last of the log behind the base; null: there is none */
export function tipAfter(base: Tip, last: EntryDesc | null, headerCrc: number): Tip {
  if (last === null) return base;
  const { index, term, physicalOffset, sizeBytes } = last;
  return { index, term, end: advance(physicalOffset, sizeBytes), headerCrc };
}
