/**
 * Entries as they arrive from a peer, checked before anybody looks at them: header CRC, payload CRC,
 * contiguity, and the chain from each to the next. That the first continues the receiver's own log
 * is for the receiver to check, who knows the entry before.
 */
import type { EntryDesc, EntryId } from '../raft/entry.ts';
import { chainCrcOf, decodeEntryHeader, payloadProblem, storedSizeBytes } from './entry-codec.ts';

export interface ReceivedEntry {
  readonly desc: EntryDesc;
  /** Header, payload and padding; of a filler the header only. */
  readonly bytes: Uint8Array;
  readonly chainCrc: number;
}

/** @returns the problem in words when the bytes are not entries that follow `prev` */
export function readEntries(bytes: Uint8Array, prev: EntryId): ReceivedEntry[] | string {
  const entries: ReceivedEntry[] = [];
  let before = prev;
  let headerCrcBefore: number | null = null;
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeEntryHeader(bytes, at);
    if (decoded.kind !== 'header') return `the entry after ${before.index} is bad: ${decoded.kind}`;
    const { desc, chainCrc, headerCrc } = decoded.header;
    if (desc.index !== before.index + 1) return `entry ${desc.index} follows ${before.index}`;
    if (desc.term < before.term) return `the term goes back at entry ${desc.index}`;
    const end = at + storedSizeBytes(desc);
    if (end > bytes.length) return `entry ${desc.index} is cut off`;
    const entryBytes = bytes.subarray(at, end);
    const bad = payloadProblem(entryBytes, desc);
    if (bad !== null) return `entry ${desc.index} is bad: ${bad}`;
    if (headerCrcBefore !== null && chainCrcOf(entryBytes, headerCrcBefore) !== chainCrc) {
      return `the chain breaks at entry ${desc.index}`;
    }
    entries.push({ desc, bytes: entryBytes, chainCrc });
    before = desc;
    headerCrcBefore = headerCrc;
    at = end;
  }
  return entries;
}
