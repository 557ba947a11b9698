/** How this node is, in its own words; needs no leader. */
import type { Clock } from '../../io/clock.ts';
import type { NodeHealth } from '../../protocol/admin-report.ts';
import type { RoomReport } from '../../protocol/verbs.ts';
import type { Replica, ReplicaStatus } from '../../replica/replica.ts';
import type { NodeFacts } from './admin-ports.ts';
import { FEATURE_LEVEL_MAX } from './limits.ts';

export interface LocalHealthOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly facts: () => NodeFacts;
  readonly diskRoom: () => RoomReport | null;
}

export function localHealth({ replica, clock, facts, diskRoom }: LocalHealthOptions): NodeHealth {
  const status = replica.status();
  const { diskStats } = replica.log;
  const room = diskRoom();
  const { version, zone, uptimeMs, loopDelayMsP99, swapUsedBytes, scrubFinishedAtMs, ...told } =
    facts();
  return {
    nodeId: status.nodeId,
    storeUuid: status.storeUuid,
    version,
    zone,
    featureLevelMax: FEATURE_LEVEL_MAX,
    state: stateOf(status, replica.leadership() !== null),
    uptimeMs: Math.floor(uptimeMs),
    wallMs: Math.floor(clock.wallMs()),
    term: status.term,
    lastIndex: status.lastIndex,
    durableIndex: status.durableIndex,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    logSizeBytes: logSizeBytesOf(replica, status),
    diskFreeBytes: room?.freeBytes ?? null,
    diskTotalBytes: room?.totalBytes ?? null,
    syncMsP50: diskStats.syncMsAt(0.5),
    syncMsP99: diskStats.syncMsAt(0.99),
    isDiskStalled: status.isDiskStalled,
    loopDelayMsP99,
    swapUsedBytes: swapUsedBytes === null ? null : Math.floor(swapUsedBytes),
    repair: told.repair,
    scrubFinishedAtMs,
    refused: status.refusedBy
      .map(({ nodeId, code, sentence }) => `${nodeId} (${code}): ${sentence}`)
      .join('; '),
    bootCount: replica.log.recovered.bootCount,
    departure: told.departure,
  };
}

/** What is kept of the log. */
export function logSizeBytesOf(replica: Replica, status: ReplicaStatus): number {
  return Math.max(0, status.endOffset - replica.state.logStart.offset);
}

function stateOf(status: ReplicaStatus, isServing: boolean): NodeHealth['state'] {
  if (isServing) return 'leading';
  if (status.leader === null) return 'leaderless';
  return status.leader === status.nodeId ? 'starting' : 'following';
}
