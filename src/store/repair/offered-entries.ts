/** Checks entries that a peer offers, as far as that can be done without knowing the log they are for. */

import { type EntryHeader, verifyEntry } from '../../protocol/entry-codec.ts';
import type { StoredEntry } from '../commit-log.ts';
import { follows, type Tip, tipOf } from './region.ts';

export interface CheckedEntry extends StoredEntry {
  readonly header: EntryHeader;
  /** What it is to its successor. */
  readonly tip: Tip;
}

export interface CheckedEntries {
  /** Good in themselves, each following from the one before; none when not even the anchor is good. */
  readonly entries: readonly CheckedEntry[];
  /** Why there are not more of them, in words; null when all are good. */
  readonly problem: string | null;
}

/** From the anchor on as far as they are good: what is bad behind that does not spoil them. */
export function checkOffered(
  offered: readonly StoredEntry[],
  anchor: 'first' | 'last',
  segmentSizeBytes: number,
): CheckedEntries {
  if (offered.length === 0) return { entries: [], problem: 'no entry came' };
  const entries: CheckedEntry[] = [];
  const end = (problem: string | null): CheckedEntries => {
    return { entries: anchor === 'first' ? entries : entries.reverse(), problem };
  };
  for (const entry of anchor === 'first' ? offered : offered.toReversed()) {
    const checked = checkedAlone(entry, segmentSizeBytes);
    if (typeof checked === 'string') return end(checked);
    const neighbour = entries.at(-1);
    if (neighbour !== undefined) {
      const [left, right] = anchor === 'first' ? [neighbour, checked] : [checked, neighbour];
      if (!follows(left.tip, right.header, right.bytes, segmentSizeBytes)) {
        return end(`entry ${right.tip.index} does not follow entry ${left.tip.index}`);
      }
    }
    entries.push(checked);
  }
  return end(null);
}

/** @returns the problem in words when it is not good */
function checkedAlone({ bytes }: StoredEntry, segmentSizeBytes: number): CheckedEntry | string {
  const verified = verifyEntry(bytes);
  if (verified.kind !== 'entry') return `a bad entry came: ${verified.kind}`;
  const { header } = verified;
  const { desc, headerCrc } = header;
  const room = segmentSizeBytes - (desc.physicalOffset % segmentSizeBytes);
  if (desc.type === 'filler' ? desc.sizeBytes !== room : desc.sizeBytes > room) {
    return `entry ${desc.index} does not fit into segments of ${segmentSizeBytes} bytes`;
  }
  return { desc, bytes, header, tip: tipOf(desc, headerCrc) };
}
