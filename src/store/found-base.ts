/**
 * Which log a store's directory holds, from its base file and what else is there. Changes nothing: start-up
 * acts on it (store-directory.ts), an inspection shows it.
 */
import { PhysicalOffset } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import { type BaseRecord, decodeBaseFile, originRecord } from './log-base.ts';
import { generationOf, type LogPaths } from './log-paths.ts';
import { parseSegmentFileName } from './segment.ts';

export type FoundBase =
  | {
      readonly kind: 'base';
      readonly record: BaseRecord;
      /** One copy, or a file that is not needed to know where the log begins, is not what it should be. */
      readonly isDamaged: boolean;
    }
  /** `problem` is the middle of a sentence for the operator. */
  | { readonly kind: 'refuse'; readonly problem: string };

export interface BaseEvidence {
  /** Empty when there is none. */
  readonly file: Uint8Array;
  /** Of the superblock; null: not known, whatever the file says. */
  readonly storeUuid: string | null;
  /** Which there are. */
  readonly generations: readonly number[];
  /** The segment is there with which the log of the origin begins. */
  readonly hasFirstSegment: boolean;
}

/** @param path for the sentence */
export function judgeBase(evidence: BaseEvidence, path: string): FoundBase {
  const { file, storeUuid, generations, hasFirstSegment } = evidence;
  const decoded = decodeBaseFile(file);
  if (decoded.kind === 'base') {
    const { record, damagedCopies } = decoded;
    if (storeUuid !== null && record.storeUuid !== storeUuid) {
      const problem = `${path} belongs to store ${record.storeUuid}, not to ${storeUuid}`;
      return { kind: 'refuse', problem };
    }
    return { kind: 'base', record, isDamaged: damagedCopies > 0 };
  }
  // Segments go front to back: with the first one all are there.
  if (hasFirstSegment && generations.every((generation) => generation === 0)) {
    return { kind: 'base', record: originRecord(storeUuid ?? ''), isDamaged: true };
  }
  const state = file.length === 0 ? 'missing' : 'damaged in both copies';
  return { kind: 'refuse', problem: `${path} is ${state}, so nobody knows where the log begins` };
}

/** What a base is judged by, beside its bytes. */
export async function baseEvidence(
  disk: Pick<Disk, 'list' | 'sizeOf'>,
  paths: LogPaths,
): Promise<Pick<BaseEvidence, 'generations' | 'hasFirstSegment'>> {
  const names = await disk.list(paths.directory);
  const generations = names.map(generationOf).filter((generation) => generation !== null);
  const first = paths.at(0).segment(PhysicalOffset(0));
  return { generations, hasFirstSegment: (await disk.sizeOf(first)) !== null };
}

/** Start offsets, ascending. */
export async function segmentsIn(
  disk: Pick<Disk, 'list'>,
  paths: LogPaths,
): Promise<readonly PhysicalOffset[]> {
  const names = await disk.list(paths.data);
  return names.map(parseSegmentFileName).filter((start) => start !== null);
}
