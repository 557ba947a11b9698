/** How this node sees itself and its group; needs no leader. */
import type { Replica } from '../../replica/replica.ts';
import type { CheckpointReport, NodeReport, RoomReport, ScrubReport } from '../verbs.ts';

/** What this node knows of its own soundness. */
export interface SoundnessReport {
  /** null: scrubbing is switched off. */
  readonly scrub: ScrubReport | null;
  readonly checkpoints: CheckpointReport;
}

export function nodeReport(
  replica: Replica,
  room: RoomReport | null,
  { scrub, checkpoints }: SoundnessReport,
): NodeReport {
  const { peers, firstIndex, keptBytes, install, ...own } = replica.status();
  const { diskStats } = replica.log;
  return {
    ...own,
    serving: replica.leadership() !== null,
    peers: peers.map(({ nodeId, connected, addresses, matchIndex, lagBytes }) => ({
      nodeId,
      connected,
      raftAddress: addresses?.raft ?? null,
      grpcAddress: addresses?.grpc ?? null,
      httpAddress: addresses?.http ?? null,
      matchIndex,
      lagBytes,
    })),
    disk: {
      syncCount: diskStats.syncCount,
      writtenBytes: diskStats.writtenBytes,
      oldestPendingMs: diskStats.oldestPendingMs(),
      syncMsP50: diskStats.syncMsAt(0.5),
      syncMsP99: diskStats.syncMsAt(0.99),
      room,
    },
    log: { firstIndex, keptBytes, install },
    scrub,
    checkpoints,
  };
}
