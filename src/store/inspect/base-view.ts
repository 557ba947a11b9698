/** The base file of a store in any state, and which log it says is there. */

import { MEMBERSHIP_SIZE_BYTES_MAX } from '../../protocol/membership-codec.ts';
import { baseEvidence, type FoundBase, judgeBase } from '../found-base.ts';
import { type BaseRecord, baseCopies, tipOfBase } from '../log-base.ts';
import type { LogPaths } from '../log-paths.ts';
import type { Tip } from '../repair/region.ts';
import { fileHead } from './file-head.ts';
import type { ReadDisk } from './read-disk.ts';

/** More than two copies with the largest membership there can be. */
const BASE_SIZE_BYTES_MAX = 4 * MEMBERSHIP_SIZE_BYTES_MAX;

export interface BaseView {
  /** null: no such file. */
  readonly sizeBytes: number | null;
  /** null: damaged. */
  readonly copies: readonly (BaseRecord | null)[];
  readonly found: FoundBase;
  readonly generations: readonly number[];
}

export async function viewBase(
  disk: ReadDisk,
  paths: LogPaths,
  storeUuid: string | null,
): Promise<BaseView> {
  const { sizeBytes, bytes: file } = await fileHead(disk, paths.base, BASE_SIZE_BYTES_MAX);
  const evidence = await baseEvidence(disk, paths);
  const found = judgeBase({ file, storeUuid, ...evidence }, paths.base);
  return { sizeBytes, copies: baseCopies(file), found, generations: evidence.generations };
}

/** What the log stands on; null: nobody knows. */
export function beginOf({ found }: BaseView): Tip | null {
  return found.kind === 'base' ? tipOfBase(found.record.base) : null;
}

/** Where the log is looked for; without a base that can be read in the newest directory. */
export function generationIn({ found, generations }: BaseView): number {
  return found.kind === 'base' ? found.record.generation : Math.max(0, ...generations);
}
