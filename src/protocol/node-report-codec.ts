/** What a node says of itself, from its wire form; the way there is the report itself. */
import { LogIndex, Term } from '../base/units.ts';
import type { Role } from '../raft/effects.ts';
import { checkedInteger, checkedNodeId, checkedWord, optionalOf, required } from './verb-wire.ts';
import {
  type CheckpointReport,
  INSTALL_PHASES,
  type InstallReport,
  type LogReport,
  type NodeReport,
  ROOM_LEVELS,
  type RoomReport,
  type ScrubReport,
} from './verbs.ts';

const ROLES = ['follower', 'preCandidate', 'candidate', 'leader'] as const satisfies Role[];

export interface WireNode {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly groupId: string;
  readonly storeUuid: string;
  readonly role: string;
  readonly term: number;
  readonly leader?: string;
  readonly serving: boolean;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly peers: readonly WirePeer[];
  readonly disk: {
    readonly syncCount: number;
    readonly writtenBytes: number;
    readonly oldestPendingMs: number;
    readonly syncMsP50?: number;
    readonly syncMsP99?: number;
    readonly room: WireRoom | null;
  } | null;
  readonly log: WireLog | null;
  readonly scrub: WireScrub | null;
  readonly checkpoints: WireCheckpoints | null;
}

interface WireLog {
  readonly firstIndex: number;
  readonly keptBytes: number;
  readonly install: WireInstall | null;
}

interface WireInstall {
  readonly phase: string;
  readonly index?: number;
  readonly percent: number;
}

interface WireScrub {
  readonly passCount: number;
  readonly findingCount: number;
  readonly readBytes: number;
  readonly passDoneBytes: number;
  readonly passTotalBytes: number;
  readonly bytesPerSecond: number;
  readonly lastFinishedAtMs?: number;
  readonly isLate: boolean;
  readonly damage?: string;
}

interface WireCheckpoints {
  readonly lastIndex?: number;
  readonly agreedIndex?: number;
  readonly divergence?: string;
}

interface WireRoom {
  readonly level: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly reserveBytes: number;
}

interface WirePeer {
  readonly nodeId: string;
  readonly connected: boolean;
  readonly raftAddress?: string;
  readonly grpcAddress?: string;
  readonly httpAddress?: string;
  readonly matchIndex?: number;
  readonly lagBytes?: number;
}

export function nodeReportOf(wire: WireNode): NodeReport {
  const leader = optionalOf(wire, 'leader');
  const disk = required(wire.disk, 'disk');
  return {
    nodeId: checkedNodeId(wire.nodeId, 'node_id'),
    clusterId: wire.clusterId,
    groupId: wire.groupId,
    storeUuid: wire.storeUuid,
    role: checkedWord(wire.role, ROLES, 'role'),
    term: Term(checkedInteger(wire.term, 'term')),
    leader: leader === null ? null : checkedNodeId(leader, 'leader'),
    serving: wire.serving,
    lastIndex: LogIndex(checkedInteger(wire.lastIndex, 'last_index')),
    durableIndex: LogIndex(checkedInteger(wire.durableIndex, 'durable_index')),
    commitIndex: LogIndex(checkedInteger(wire.commitIndex, 'commit_index')),
    appliedIndex: LogIndex(checkedInteger(wire.appliedIndex, 'applied_index')),
    peers: wire.peers.map(peerOf),
    disk: {
      syncCount: checkedInteger(disk.syncCount, 'sync_count'),
      writtenBytes: checkedInteger(disk.writtenBytes, 'written_bytes'),
      oldestPendingMs: disk.oldestPendingMs,
      syncMsP50: optionalOf(disk, 'syncMsP50'),
      syncMsP99: optionalOf(disk, 'syncMsP99'),
      room: disk.room === null ? null : roomOf(disk.room),
    },
    // While a group is upgraded, members answer who know less.
    log: wire.log === null ? null : logOf(wire.log),
    scrub: wire.scrub === null ? null : scrubOf(wire.scrub),
    checkpoints: checkpointsOf(wire.checkpoints ?? {}),
  };
}

function logOf({ firstIndex, keptBytes, install }: WireLog): LogReport {
  return {
    firstIndex: LogIndex(checkedInteger(firstIndex, 'first_index')),
    keptBytes: checkedInteger(keptBytes, 'kept_bytes'),
    install: install === null ? null : installOf(install),
  };
}

function installOf(wire: WireInstall): InstallReport {
  const index = optionalOf(wire, 'index');
  return {
    phase: checkedWord(wire.phase, INSTALL_PHASES, 'phase'),
    index: index === null ? null : LogIndex(checkedInteger(index, 'index')),
    percent: checkedInteger(wire.percent, 'percent'),
  };
}

function scrubOf(wire: WireScrub): ScrubReport {
  const finishedAtMs = optionalOf(wire, 'lastFinishedAtMs');
  return {
    passCount: checkedInteger(wire.passCount, 'pass_count'),
    findingCount: checkedInteger(wire.findingCount, 'finding_count'),
    readBytes: checkedInteger(wire.readBytes, 'read_bytes'),
    passDoneBytes: checkedInteger(wire.passDoneBytes, 'pass_done_bytes'),
    passTotalBytes: checkedInteger(wire.passTotalBytes, 'pass_total_bytes'),
    bytesPerSecond: wire.bytesPerSecond,
    lastFinishedAtMs:
      finishedAtMs === null ? null : checkedInteger(finishedAtMs, 'last_finished_at_ms'),
    isLate: wire.isLate,
    damage: optionalOf(wire, 'damage'),
  };
}

function checkpointsOf(wire: WireCheckpoints): CheckpointReport {
  const indexOf = (field: 'lastIndex' | 'agreedIndex'): LogIndex | null => {
    const index = optionalOf(wire, field);
    return index === null ? null : LogIndex(checkedInteger(index, field));
  };
  return {
    lastIndex: indexOf('lastIndex'),
    agreedIndex: indexOf('agreedIndex'),
    divergence: optionalOf(wire, 'divergence'),
  };
}

function roomOf(wire: WireRoom): RoomReport {
  return {
    level: checkedWord(wire.level, ROOM_LEVELS, 'level'),
    totalBytes: checkedInteger(wire.totalBytes, 'total_bytes'),
    freeBytes: checkedInteger(wire.freeBytes, 'free_bytes'),
    reserveBytes: checkedInteger(wire.reserveBytes, 'reserve_bytes'),
  };
}

function peerOf(wire: WirePeer): NodeReport['peers'][number] {
  const matchIndex = optionalOf(wire, 'matchIndex');
  return {
    nodeId: checkedNodeId(wire.nodeId, 'node_id'),
    connected: wire.connected,
    raftAddress: optionalOf(wire, 'raftAddress'),
    grpcAddress: optionalOf(wire, 'grpcAddress'),
    httpAddress: optionalOf(wire, 'httpAddress'),
    matchIndex: matchIndex === null ? null : LogIndex(checkedInteger(matchIndex, 'match_index')),
    lagBytes: optionalOf(wire, 'lagBytes'),
  };
}
