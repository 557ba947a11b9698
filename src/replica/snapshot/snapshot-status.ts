/** What is seen of snapshots from outside. */
import type { LogIndex } from '../../base/units.ts';
import type { InstallReport } from '../../protocol/verbs.ts';
import type { PullProgress } from './snapshot-receiver.ts';
import type { StateRebuilder } from './state-rebuilder.ts';

export type InstallStatus = InstallReport;

/** Cumulative counts and present sizes, for metrics. */
export interface SnapshotMetrics {
  readonly newestIndex: LogIndex;
  readonly taken: number;
  readonly takeFailures: number;
  /** How long the last one took. */
  readonly takenMs: number;
  readonly installed: number;
  /** Peers to which one is on its way. */
  readonly sending: number;
  readonly sentSizeBytes: number;
  readonly receivedSizeBytes: number;
}

export function installStatus(
  rebuilder: Pick<StateRebuilder, 'isNeeded' | 'isRebuilding' | 'subject'>,
  pull: PullProgress | null,
): InstallStatus | null {
  if (pull !== null) {
    const { info, chunksHere } = pull;
    const percent = Math.floor((100 * chunksHere) / info.chunkCount);
    return { phase: 'receiving', index: info.appliedIndex, percent };
  }
  if (!rebuilder.isNeeded) return null;
  const { subject } = rebuilder;
  if (subject === null) return { phase: 'missing', index: null, percent: 0 };
  const phase = rebuilder.isRebuilding ? 'building' : 'waiting';
  return { phase, index: subject.appliedIndex, percent: 100 };
}
