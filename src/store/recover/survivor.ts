/**
 * What is left of a group: one directory, read without changing it. What counts is how far its log goes, what
 * it proves, and how busy the group was when it ended.
 */

import { CorruptionError } from '../../base/errors.ts';
import { LogIndex, type NodeId, type Term } from '../../base/units.ts';
import { recordsOf } from '../../protocol/records.ts';
import type { Membership } from '../../raft/membership.ts';
import { dumpLog } from '../inspect/dump-log.ts';
import { type Inspection, inspectStore } from '../inspect/inspect-store.ts';
import type { ReadDisk } from '../inspect/read-disk.ts';
import type { WalkedEntry } from '../inspect/walk-options.ts';

/** Enough of the end to see a rate, and little enough to be read at once. */
export const RATE_ENTRY_COUNT = 1_000;

export interface Traffic {
  /** Of the messages among the last entries; null: there are none. */
  readonly lastAtMs: number | null;
  /**
   * Of the last one that is proven committed, or of the first one when none is. What comes behind it may be the tail
   * of a leader that nobody followed any more, written while others went on without it.
   */
  readonly provenAtMs: number | null;
  readonly messagesPerSecond: number;
}

export interface Survivor {
  readonly directory: string;
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  /** Highest it has seen. */
  readonly term: Term;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly provenCommitIndex: LogIndex;
  /** Newest in the log; null: the founding, which is not in it. */
  readonly membership: Membership | null;
  /** Members it has met, itself left out. */
  readonly peersMet: readonly NodeId[];
  readonly traffic: Traffic;
  /** Why it cannot be started as it is; null: it can. */
  readonly problem: string | null;
}

export interface SurveyOptions {
  readonly disk: ReadDisk;
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** @returns a clause when the directory is nobody's. */
export async function surveySurvivor(options: SurveyOptions): Promise<Survivor | string> {
  const { directory } = options;
  const inspection = await inspectStore({
    ...options,
    depth: 'entries',
    isLive: false,
    onDamage: () => {},
    onProgress: () => {},
  });
  const { view, last, provenCommitIndex, memberships } = inspection;
  const superblock = view.superblock.newest;
  if (superblock === null) return `${directory} has no valid superblock: it has forgotten its vote`;
  const { clusterId, groupId, nodeId, storeUuid } = superblock.identity;
  const lastIndex = acceptedEnd(inspection);
  return {
    ...{ directory, clusterId, groupId, nodeId, storeUuid },
    term: superblock.hardState.term,
    lastIndex,
    lastTerm: last?.term ?? superblock.hardState.term,
    provenCommitIndex,
    membership: memberships.at(-1)?.membership ?? membershipOfBase(inspection),
    peersMet: [...superblock.peers.keys()],
    traffic: await trafficOf(options, lastIndex, provenCommitIndex),
    problem: problemOf(inspection),
  };
}

/** The entry that brought it may have been removed since. */
function membershipOfBase({ view }: Inspection): Membership | null {
  const { found } = view.base;
  return found.kind === 'base' ? (found.record.base.desc?.membership.membership ?? null) : null;
}

function acceptedEnd({ startup, last }: Inspection): LogIndex {
  if (startup?.kind === 'opens') return startup.lastIndex;
  return last?.index ?? LogIndex(0);
}

function problemOf({ startup, rotCount }: Inspection): string | null {
  if (startup?.kind === 'refuses') return startup.problem;
  return rotCount === 0 ? null : `${rotCount} places below its watermark are damaged`;
}

async function trafficOf(
  options: SurveyOptions,
  lastIndex: LogIndex,
  provenIndex: LogIndex,
): Promise<Traffic> {
  const times: number[] = [];
  let provenCount = 0;
  const from = LogIndex(Math.max(1, lastIndex - RATE_ENTRY_COUNT + 1));
  await dumpLog({
    ...options,
    from,
    isLive: false,
    onEntry: (entry) => {
      times.push(...storeTimesIn(entry));
      if (entry.header.desc.index <= provenIndex) provenCount = times.length;
      return 'goOn';
    },
    onDamage: () => {},
  });
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined) {
    return { lastAtMs: null, provenAtMs: null, messagesPerSecond: 0 };
  }
  // Of the spaces between messages; at least a second, or two messages would be a flood.
  const spanMs = Math.max(1_000, last - first);
  const spaces = Math.max(1, times.length - 1);
  const provenAtMs = times[Math.max(0, provenCount - 1)] ?? null;
  return { lastAtMs: last, provenAtMs, messagesPerSecond: (spaces * 1_000) / spanMs };
}

function storeTimesIn({ header, body }: WalkedEntry): readonly number[] {
  if (header.desc.type !== 'data' || body.kind === 'bad') return [];
  try {
    return [...recordsOf(body.payload)].flatMap((record) =>
      record.kind === 'message' ? [record.message.storeTimestampMs] : [],
    );
  } catch (error) {
    // A record of a later version: it has no time that we can read.
    if (!(error instanceof CorruptionError)) throw error;
    return [];
  }
}

/** Header CRC at each of the indices: with it the whole log up to there is compared. */
export async function chainAt(
  options: SurveyOptions,
  indices: readonly LogIndex[],
): Promise<ReadonlyMap<LogIndex, number>> {
  const found = new Map<LogIndex, number>();
  const wanted = [...indices].sort((a, b) => a - b);
  const [first, last] = [wanted[0], wanted.at(-1)];
  if (first === undefined || last === undefined) return found;
  await dumpLog({
    ...options,
    from: LogIndex(Math.max(1, first)),
    isLive: false,
    onEntry: ({ header }) => {
      const { index } = header.desc;
      if (wanted.includes(index)) found.set(index, header.headerCrc);
      return index >= last ? 'stop' : 'goOn';
    },
    onDamage: () => {},
  });
  return found;
}
