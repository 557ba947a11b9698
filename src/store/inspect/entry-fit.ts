/** Whether a good header belongs where it lies, and follows from the entry before. */
import type { PhysicalOffset } from '../../base/units.ts';
import { chainCrcOf, type EntryHeader } from '../../protocol/entry-codec.ts';
import { hex32 } from './damage.ts';
import type { Predecessor } from './segment-header-check.ts';

/** What a header says that can be good in itself and yet not be the header of an entry here. */
export function misplacedText(
  { desc }: EntryHeader,
  place: PhysicalOffset,
  room: number,
): string | null {
  if (desc.physicalOffset !== place) return `an entry that belongs at ${desc.physicalOffset}`;
  if (desc.sizeBytes > room) return 'an entry that leaves its segment';
  if (desc.type === 'filler' && desc.sizeBytes !== room) return 'a filler of another size';
  return null;
}

export interface Misfit {
  readonly kind: 'order' | 'chain';
  readonly expected: string;
  readonly found: string;
}

/** What a header in its place says that does not follow from the entry before it. */
export function misfitOf(
  { desc, chainCrc }: EntryHeader,
  headerBytes: Uint8Array,
  before: Predecessor,
): Misfit | null {
  if (
    desc.index <= before.index ||
    (before.headerCrc !== null && desc.index !== before.index + 1)
  ) {
    return { kind: 'order', expected: `entry ${before.index + 1}`, found: `entry ${desc.index}` };
  }
  if (desc.term < before.term) {
    const expected = `term ${before.term} or a later one`;
    return { kind: 'order', expected, found: `an entry of the earlier term ${desc.term}` };
  }
  if (before.headerCrc === null) return null;
  const wanted = chainCrcOf(headerBytes, before.headerCrc);
  if (chainCrc === wanted) return null;
  const expected = `chain CRC ${hex32(wanted)}, as follows from entry ${before.index}`;
  return { kind: 'chain', expected, found: `chain CRC ${hex32(chainCrc)}` };
}
