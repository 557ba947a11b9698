/** The snapshots of a replica, for whoever looks after its soundness or takes one on request. */
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import type { TakeOutcome } from './snapshot-taker.ts';

export interface SnapshotKeeper {
  readonly files: Pick<SnapshotFiles, 'all' | 'hold' | 'chunks'>;
  /** Of what is applied now; resolves when it is durable. */
  take(): Promise<TakeOutcome>;
}
