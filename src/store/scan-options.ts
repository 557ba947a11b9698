/** What a scan of a log works on. */
import type { PhysicalOffset } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import type { EntryProblem } from '../protocol/entry-codec.ts';
import type { StoreIdentity } from './commit-log.ts';
import type { LogPaths } from './log-paths.ts';
import type { Tip } from './repair/region.ts';
import { SegmentReader, type UnreadablePlaces } from './segment-reader.ts';

export interface ScanOptions {
  readonly disk: Pick<Disk, 'read'>;
  readonly paths: LogPaths;
  readonly identity: StoreIdentity;
  /** What the first entry must go on from. */
  readonly base: Tip;
  /** Start offsets, contiguous from the end of the base. */
  readonly segments: readonly PhysicalOffset[];
  /** Of those among them that are missing or too short: how much there is. */
  readonly shortages?: ReadonlyMap<PhysicalOffset, number>;
  /** Counts what the disk cannot read, and gives up when it is too much; without it any is. */
  readonly unreadable?: UnreadablePlaces;
  /** Where an orderly close left the log: its zeros need not be read again. */
  readonly cleanEnd: PhysicalOffset | null;
  /** May an entry with this problem count as good (store-rules.ts)? Without it none may. */
  readonly forgives?: (problem: EntryProblem) => boolean;
}

export function readerOf(options: ScanOptions, start: PhysicalOffset): SegmentReader {
  const { disk, paths, identity, shortages, unreadable } = options;
  const { segmentSizeBytes: sizeBytes } = identity;
  const existingSizeBytes = shortages?.get(start) ?? sizeBytes;
  return new SegmentReader(disk, {
    path: paths.segment(start),
    sizeBytes,
    existingSizeBytes,
    unreadable,
  });
}
