/**
 * How far the log was durable here, as the store itself has noted: what is wrong below is rot, what is
 * wrong above may be the torn end of the last writes. The same evidence as in recovery.ts, as a place.
 */
import { LogIndex, PhysicalOffset } from '../../base/units.ts';
import type { DurableNote } from '../durable-ring.ts';
import type { Superblock } from '../superblock.ts';

export interface Watermark {
  readonly index: LogIndex;
  /** One past the last byte known durable. May say less than the index, never more. */
  readonly end: PhysicalOffset;
}

export function watermarkFrom(superblock: Superblock | null, note: DurableNote | null): Watermark {
  const cleanEnd = superblock?.cleanEnd ?? null;
  return {
    index: LogIndex(Math.max(superblock?.commitHint ?? 0, cleanEnd?.index ?? 0, note?.index ?? 0)),
    end: PhysicalOffset(Math.max(cleanEnd?.physicalOffset ?? 0, note?.end ?? 0)),
  };
}

export function lowerOf(a: Watermark, b: Watermark): Watermark {
  return {
    index: LogIndex(Math.min(a.index, b.index)),
    end: PhysicalOffset(Math.min(a.end, b.end)),
  };
}

/** @param index of the entry at the place, or the lowest that it can be */
export function isBelow(mark: Watermark, place: PhysicalOffset, index: LogIndex): boolean {
  return place < mark.end || index <= mark.index;
}
