/**
 * Cuts the entries of one write into batches a log writer takes: bounded in bytes and in number, each for one
 * segment, a segment's header in front of its first entry.
 */
import type { LogIndex, PhysicalOffset } from '../base/units.ts';
import { BATCH_SIZE_BYTES_MAX, BATCH_WRITES_MAX } from '../io/disk.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { StoredEntry } from './commit-log.ts';
import { segmentStartOf } from './log-paths.ts';

export interface PlannedBatch {
  readonly segment: PhysicalOffset;
  readonly writes: readonly PlannedWrite[];
}

interface PlannedWrite {
  /** In the segment. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

export function planBatches(
  entries: readonly StoredEntry[],
  segmentSizeBytes: number,
  headerOf: (segment: PhysicalOffset, firstIndex: LogIndex) => Uint8Array,
): readonly PlannedBatch[] {
  const plan = new Plan();
  for (const { desc, bytes } of entries) {
    const segment = segmentStartOf(desc.physicalOffset, segmentSizeBytes);
    const position = desc.physicalOffset - segment;
    if (position === SEGMENT_HEADER_SIZE_BYTES) plan.add(segment, 0, headerOf(segment, desc.index));
    plan.add(segment, position, bytes);
  }
  return plan.batches;
}

class Plan {
  readonly batches: { segment: PhysicalOffset; writes: PlannedWrite[] }[] = [];
  /** Of the last batch. */
  #sizeBytes = 0;

  add(segment: PhysicalOffset, position: number, bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const batch = this.#batchFor(segment);
      const room = BATCH_SIZE_BYTES_MAX - this.#sizeBytes;
      const piece = bytes.subarray(at, at + room);
      batch.writes.push({ position: position + at, bytes: piece });
      this.#sizeBytes += piece.length;
      at += piece.length;
    }
  }

  #batchFor(segment: PhysicalOffset): { writes: PlannedWrite[] } {
    const last = this.batches.at(-1);
    const hasRoom =
      last !== undefined &&
      last.segment === segment &&
      last.writes.length < BATCH_WRITES_MAX &&
      this.#sizeBytes < BATCH_SIZE_BYTES_MAX;
    if (hasRoom) return last;
    const batch = { segment, writes: [] };
    this.batches.push(batch);
    this.#sizeBytes = 0;
    return batch;
  }
}
