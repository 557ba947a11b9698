/** What is in one segment, counted while it is walked. */
import type { LogIndex, Term } from '../../base/units.ts';
import type { EntryDesc, EntryType } from '../../raft/entry.ts';
import type { SegmentFile } from './store-view.ts';

/**
 * `full`: entries up to its end. `current`: the log ends here. `ready`: zeros, made before it is needed.
 * `broken`: its header is not the one it should have. `unread`: the walk ended before it.
 */
export type SegmentState = 'full' | 'current' | 'ready' | 'broken' | 'unread';

export class SegmentSummary {
  readonly file: SegmentFile;
  state: SegmentState = 'ready';
  firstIndex: LogIndex | null = null;
  lastIndex: LogIndex | null = null;
  firstTerm: Term | null = null;
  lastTerm: Term | null = null;
  readonly entryCounts: Record<EntryType, number> = { data: 0, noop: 0, config: 0, filler: 0 };
  /** Position behind the last entry, without the zeros of a filler; 0 when unused. */
  usedBytes = 0;
  damageCount = 0;

  constructor(file: SegmentFile) {
    this.file = file;
  }

  get entryCount(): number {
    const { data, noop, config, filler } = this.entryCounts;
    return data + noop + config + filler;
  }

  /** @param usedEnd position behind the bytes that were written for it */
  add({ index, term, type }: EntryDesc, usedEnd: number): void {
    this.firstIndex ??= index;
    this.firstTerm ??= term;
    this.lastIndex = index;
    this.lastTerm = term;
    this.entryCounts[type] += 1;
    this.usedBytes = usedEnd;
  }
}
