/** One thing that is not as it should be in a store, with its place. */
import type { LogIndex, PhysicalOffset } from '../../base/units.ts';

export type DamageKind =
  /** Beside the log. */
  | 'superblock'
  | 'base'
  | 'durableRing'
  /** Segments as files, and their headers. `segmentHeaderCopy`: one of two, which costs nothing. */
  | 'segmentMissing'
  | 'segmentSize'
  | 'segmentHeader'
  | 'segmentHeaderCopy'
  /** Bytes of the log. `missingEntries`: zeros, and entries behind. `tailBytes`: behind the last entry. */
  | 'unreadable'
  | 'entryHeader'
  | 'missingEntries'
  | 'tailBytes'
  | 'order'
  | 'chain'
  | 'payload'
  | 'padding'
  /** What was written so: the checksums are right and the content is not. */
  | 'record'
  | 'membership'
  | 'queueOffset'
  | 'topic'
  /** The log and what the superblock and the ring say of it contradict each other. */
  | 'logEnd'
  | 'term';

export interface Damage {
  readonly kind: DamageKind;
  readonly path: string;
  /** First byte in the file of the stretch that is wrong; null: the file as a whole. */
  readonly position: number | null;
  /** Of the stretch; null: up to where is not known. */
  readonly sizeBytes: number | null;
  /** null beside the log. */
  readonly physicalOffset: PhysicalOffset | null;
  /** The entry, or the first of those concerned. */
  readonly index: LogIndex | null;
  readonly expected: string;
  readonly found: string;
  /** Was durable here once: rot. false: may be the torn end of a last write. null: beside the log. */
  readonly belowWatermark: boolean | null;
}

export function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
