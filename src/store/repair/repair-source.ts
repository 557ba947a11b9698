/**
 * Where a replica takes the entries from that it gives to one that repairs itself: an open log, or, while
 * it is under repair itself, what is good of it. So three replicas heal each other without any leader, as
 * long as every entry is good on one of them.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import { LogIndex, Term } from '../../base/units.ts';
import type { EntryId } from '../../raft/entry.ts';
import type { CommitLog, StoredEntry, StoreIdentity } from '../commit-log.ts';
import { REPAIR_READ_ENTRIES_MAX } from '../limits.ts';

export interface RepairRange {
  readonly from: LogIndex;
  readonly to: LogIndex;
  /** Which end the answer must contain. */
  readonly anchor: 'first' | 'last';
  readonly sizeBytesMax: number;
}

export interface RepairAnswer {
  /** Contiguous, with the anchor, within the range; empty: the anchor is not here. */
  readonly entries: readonly StoredEntry[];
  /**
   * The last entry that is known as committed; index 0 when none is. Of `entries` those up to it are
   * committed exactly as they are.
   */
  readonly committed: EntryId;
}

export interface RepairSource {
  readonly identity: StoreIdentity;
  read(range: RepairRange): Promise<RepairAnswer>;
}

export const NOTHING_COMMITTED: EntryId = { index: LogIndex(0), term: Term(0) };

type Readable = Pick<CommitLog, 'identity' | 'readEntries' | 'headerCrcAt'>;

/** The log of a replica in service. */
export function sourceOf(log: Readable, commitIndex: () => LogIndex): RepairSource {
  return {
    identity: log.identity,
    read: async (range) => {
      // Before the read: what was committed then is not cut while it runs.
      const index = commitIndex();
      const [last] = index === 0 ? [] : await log.readEntries(index, index, 1);
      const entries =
        range.anchor === 'first' ? await readForth(log, range) : await readBack(log, range);
      return { entries, committed: last?.desc ?? NOTHING_COMMITTED };
    },
  };
}

async function readForth(log: Readable, range: RepairRange): Promise<readonly StoredEntry[]> {
  const { from, sizeBytesMax } = range;
  if (log.headerCrcAt(from) === null) return [];
  let to = Math.min(range.to, from + REPAIR_READ_ENTRIES_MAX - 1);
  while (log.headerCrcAt(LogIndex(to)) === null) to = from + Math.floor((to - from) / 2);
  return log.readEntries(from, LogIndex(to), sizeBytesMax);
}

/** A log is read forth: with fewer entries, until the last one is within the bound. */
async function readBack(log: Readable, range: RepairRange): Promise<readonly StoredEntry[]> {
  const { to, sizeBytesMax } = range;
  let count = Math.min(to - range.from + 1, REPAIR_READ_ENTRIES_MAX);
  assert(count >= 1, 'a range has an entry', () => ({ from: range.from, to }));
  while (log.headerCrcAt(to) !== null) {
    const from = LogIndex(to - count + 1);
    if (log.headerCrcAt(from) === null) {
      count = Math.ceil(count / 2);
      continue;
    }
    const entries = await log.readEntries(from, to, sizeBytesMax);
    if (entries.at(-1)?.desc.index === to || count === 1) return entries;
    count = Math.max(1, Math.min(Math.floor(count / 2), entries.length));
  }
  return [];
}

/** Not the caller's fault: the entry is not good here, and so it is not here. */
export async function unlessRotten(
  read: () => Promise<readonly StoredEntry[]>,
): Promise<readonly StoredEntry[]> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CorruptionError) return [];
    throw error;
  }
}
