/**
 * Where a replica takes the entries from that it gives to one that repairs itself: an open log, or, while
 * it is under repair itself, what is good of it. So three replicas heal each other without any leader, as
 * long as every entry is good on one of them.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import { LogIndex, Term } from '../../base/units.ts';
import type { EntryId } from '../../raft/entry.ts';
import {
  type CommitLog,
  EntriesGone,
  type StoredEntry,
  type StoreIdentity,
} from '../commit-log.ts';
import { REPAIR_READ_ENTRIES_MAX } from '../limits.ts';
import { tipOfBase } from '../log-base.ts';

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
  /** The first entry that is kept. What is before it was committed, and is gone. */
  readonly firstIndex: LogIndex;
}

export interface RepairSource {
  readonly identity: StoreIdentity;
  read(range: RepairRange): Promise<RepairAnswer>;
}

export const NOTHING_COMMITTED: EntryId = { index: LogIndex(0), term: Term(0) };

type Readable = Pick<CommitLog, 'identity' | 'base' | 'readEntries' | 'headerCrcAt'>;

/** The log of a replica in service. */
export function sourceOf(log: Readable, commitIndex: () => LogIndex): RepairSource {
  return {
    identity: log.identity,
    read: async (range) => {
      // Before the read: what was committed then is not cut while it runs.
      const committed = await committedIn(log, commitIndex());
      const entries = await entriesIn(log, range);
      return { entries, committed, firstIndex: firstIndexOf(log) };
    },
  };
}

function firstIndexOf({ base }: Readable): LogIndex {
  return LogIndex(tipOfBase(base).index + 1);
}

async function committedIn(log: Readable, index: LogIndex): Promise<EntryId> {
  if (index === 0) return NOTHING_COMMITTED;
  const base = tipOfBase(log.base);
  if (index <= base.index) return { index: base.index, term: base.term };
  const [last] = await unlessGone(() => log.readEntries(index, index, 1));
  // Gone meanwhile, so the base is committed and further than it.
  return last?.desc ?? tipOfBase(log.base);
}

function entriesIn(log: Readable, range: RepairRange): Promise<readonly StoredEntry[]> {
  const first = firstIndexOf(log);
  if (range.anchor === 'first') {
    return range.from < first ? NOTHING : unlessGone(() => readForth(log, range));
  }
  const from = LogIndex(Math.max(range.from, first));
  return range.to < from ? NOTHING : unlessGone(() => readBack(log, { ...range, from }));
}

const NOTHING: Promise<readonly StoredEntry[]> = Promise.resolve([]);

/** The log is compacted beside the read: then it is not here, as if it had been asked for later. */
async function unlessGone(
  read: () => Promise<readonly StoredEntry[]>,
): Promise<readonly StoredEntry[]> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof EntriesGone) return [];
    throw error;
  }
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
