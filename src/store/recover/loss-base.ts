/** The base of a log that begins behind a loss, and the one before it. */
import type { SnapshotDesc } from '../../raft/entry.ts';
import type { LogBase } from '../commit-log.ts';
import { decodeBaseFile, ORIGIN } from '../log-base.ts';

/** As it stands in a task: plain values. */
export interface NewBase {
  readonly desc: SnapshotDesc;
  readonly headerCrc: number;
  readonly generation: number;
  /** Notes of the ring before it speak of another log. */
  readonly firstNote: number;
}

/** @param file the origin when it says nothing: then the log is there from its beginning */
export function oldBaseOf(file: Uint8Array): LogBase {
  const decoded = decodeBaseFile(file);
  return decoded.kind === 'base' ? decoded.record.base : ORIGIN;
}
