/**
 * Cuts entries that are put back into what is written with one sync. In such a batch a power cut may leave
 * any part; batches become durable one after the other.
 */
import type { StoredEntry } from '../commit-log.ts';
import { segmentStartOf } from '../log-paths.ts';

export interface BatchBounds {
  readonly sizeBytesMax: number;
  readonly entriesMax: number;
}

/**
 * @param entries one behind the other in the log
 * @returns in their order, each within one segment and the bounds; a larger entry is one by itself
 */
export function writeBatches(
  entries: readonly StoredEntry[],
  segmentSizeBytes: number,
  { sizeBytesMax, entriesMax }: BatchBounds,
): readonly (readonly StoredEntry[])[] {
  const batches: StoredEntry[][] = [];
  let batch: StoredEntry[] = [];
  let sizeBytes = 0;
  let segment = -1;
  for (const entry of entries) {
    const start = segmentStartOf(entry.desc.physicalOffset, segmentSizeBytes);
    const isFull = sizeBytes + entry.bytes.length > sizeBytesMax || batch.length === entriesMax;
    if (batch.length === 0 || isFull || start !== segment) {
      batch = [];
      batches.push(batch);
      sizeBytes = 0;
    }
    batch.push(entry);
    sizeBytes += entry.bytes.length;
    segment = start;
  }
  return batches;
}
