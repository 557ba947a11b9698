/**
 * The log of the directory that goes on, with what others have of the entries that it cannot read. Another one's
 * entry is taken only below an entry that both have and that is the same: by the chain everything before it
 * is the same, too (ADR-6).
 */
import { advance, LogIndex, type NodeId } from '../../base/units.ts';
import { dumpLog } from '../inspect/dump-log.ts';
import type { WalkedEntry } from '../inspect/walk-options.ts';
import type { DirectoryLog } from './directory-log.ts';
import { type EntryMarks, type EntryRange, rangesWhere } from './entry-marks.ts';
import type { SurveyOptions } from './survivor.ts';

interface Helper {
  readonly log: DirectoryLog;
  /** Up to here its log is the same. */
  readonly agreedIndex: LogIndex;
}

export interface UnionSink {
  /** In order. */
  readonly onEntry: (entry: WalkedEntry, directory: string) => Promise<void>;
  /** Nobody can read these. */
  readonly onLost: (range: EntryRange) => Promise<void>;
}

export class LogUnion {
  readonly main: DirectoryLog;
  readonly #helpers: readonly Helper[];

  constructor(main: DirectoryLog, others: readonly DirectoryLog[]) {
    this.main = main;
    this.#helpers = others.map((log) => ({ log, agreedIndex: agreedIndex(main.marks, log.marks) }));
  }

  /** Every directory that was given. */
  get logs(): readonly DirectoryLog[] {
    return [this.main, ...this.#helpers.map(({ log }) => log)];
  }

  lostIn({ from, to }: EntryRange): readonly EntryRange[] {
    return rangesWhere(from, to, (index) => this.#holderOf(index) === null);
  }

  async read(
    options: Pick<SurveyOptions, 'disk' | 'signal'>,
    { from, to }: EntryRange,
    { onEntry, onLost }: UnionSink,
  ): Promise<void> {
    let next = from;
    const passOn = async (log: DirectoryLog, range: EntryRange): Promise<void> => {
      const { directory } = log.survivor;
      await dumpLog({
        ...options,
        ...{ directory, from: range.from, isLive: false },
        onEntry: async (entry) => {
          const { index } = entry.header.desc;
          if (index > range.to) return 'stop';
          // What it lacks has been filled in before, or is the next one's affair.
          if (!log.marks.isGood(index)) return 'goOn';
          if (index > next) await fill(LogIndex(index - 1));
          await onEntry(entry, directory);
          next = advance(index, 1);
          return 'goOn';
        },
        onDamage: () => {},
      });
    };
    const fill = async (end: LogIndex): Promise<void> => {
      while (next <= end) {
        const holder = this.#holderOf(next);
        let last = next;
        while (last < end && this.#holderOf(advance(last, 1)) === holder) last = advance(last, 1);
        const range = { from: next, to: last };
        if (holder === null) await onLost(range);
        else await passOn(holder, range);
        next = advance(last, 1);
      }
    };
    await passOn(this.main, { from, to });
    await fill(to);
  }

  #holderOf(index: LogIndex): DirectoryLog | null {
    if (this.main.marks.isGood(index)) return this.main;
    const helper = this.#helpers.find(
      ({ log, agreedIndex: end }) => index <= end && log.marks.isGood(index),
    );
    return helper?.log ?? null;
  }
}

/** The last entry that both have and that is the same; 0 when there is none. */
export function agreedIndex(a: EntryMarks, b: EntryMarks): LogIndex {
  for (let at = Math.min(a.lastGood, b.lastGood); at > Math.max(a.base, b.base); at--) {
    if (areSame(a, b, LogIndex(at))) return LogIndex(at);
  }
  return LogIndex(0);
}

/** The first entry up to `to` at which each has another one; null: there is none. */
export function conflictIn(a: EntryMarks, b: EntryMarks, to: LogIndex): LogIndex | null {
  for (let at = Math.max(a.base, b.base) + 1; at <= to; at++) {
    const index = LogIndex(at);
    if (a.isGood(index) && b.isGood(index) && !areSame(a, b, index)) return index;
  }
  return null;
}

function areSame(a: EntryMarks, b: EntryMarks, index: LogIndex): boolean {
  return a.isGood(index) && b.isGood(index) && a.headerCrcAt(index) === b.headerCrcAt(index);
}

export function nodeOf({ survivor }: DirectoryLog): NodeId {
  return survivor.nodeId;
}
