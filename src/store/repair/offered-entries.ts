/** Checks entries that a peer offers, as far as that can be done without knowing the log they are for. */

import { assert } from '../../base/assert.ts';
import { decodeEntryHeader, type EntryHeader, verifyEntry } from '../../protocol/entry-codec.ts';
import type { StoredEntry } from '../commit-log.ts';
import { follows, type Tip, tipOf } from './region.ts';

/** @returns what each entry is to its successor, or the problem in words */
export function chainOf(
  entries: readonly StoredEntry[],
  segmentSizeBytes: number,
): readonly Tip[] | string {
  const chain: Tip[] = [];
  if (entries.length === 0) return 'no entry came';
  for (const { bytes } of entries) {
    const verified = verifyEntry(bytes);
    if (verified.kind !== 'entry') return `a bad entry came: ${verified.kind}`;
    const { header } = verified;
    const { physicalOffset, sizeBytes, type, index } = header.desc;
    const room = segmentSizeBytes - (physicalOffset % segmentSizeBytes);
    if (type === 'filler' ? sizeBytes !== room : sizeBytes > room) {
      return `entry ${index} does not fit into segments of ${segmentSizeBytes} bytes`;
    }
    const before = chain.at(-1);
    if (before !== undefined && !follows(before, header, bytes, segmentSizeBytes)) {
      return `entry ${index} does not follow entry ${before.index}`;
    }
    chain.push(tipOf(header.desc, header.headerCrc));
  }
  return chain;
}

/** Of an entry that was checked. */
export function headerOf(bytes: Uint8Array): EntryHeader {
  const decoded = decodeEntryHeader(bytes);
  assert(decoded.kind === 'header', 'a checked entry has a good header');
  return decoded.header;
}
