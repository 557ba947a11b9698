/** What a scan of a log works on. */
import type { PhysicalOffset } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import type { StoreIdentity } from './commit-log.ts';
import type { LogPaths } from './log-paths.ts';

export interface ScanOptions {
  readonly disk: Disk;
  readonly paths: LogPaths;
  readonly identity: StoreIdentity;
  /** Start offsets, contiguous from 0. */
  readonly segments: readonly PhysicalOffset[];
  /** Where an orderly close left the log: its zeros need not be read again. */
  readonly cleanEnd: PhysicalOffset | null;
}
