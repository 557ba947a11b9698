/** The entries of a log one by one from an index on, in constant memory; what is damaged on the way is told. */

import { LogIndex } from '../../base/units.ts';
import { ORIGIN_TIP } from '../log-base.ts';
import type { Damage } from './damage.ts';
import { LogWalk } from './log-walk.ts';
import type { ReadDisk } from './read-disk.ts';
import type { Predecessor } from './segment-header-check.ts';
import { AcceptedLog } from './startup.ts';
import {
  type LogNames,
  type SegmentFile,
  segmentHeaderIn,
  viewRing,
  viewStore,
  viewSuperblock,
} from './store-view.ts';
import { LOG_ORIGIN, type Step, type WalkedEntry } from './walk-options.ts';
import { watermarkFrom } from './watermark.ts';

export interface DumpOptions {
  readonly disk: ReadDisk;
  readonly directory: string;
  readonly from: LogIndex;
  readonly isLive: boolean;
  /** Entries before `from` are not shown, those behind come in order. */
  readonly onEntry: (entry: WalkedEntry) => Step | Promise<Step>;
  readonly onDamage: (damage: Damage) => void | Promise<void>;
  readonly signal: AbortSignal;
}

/** @returns the last entry seen; null when there was none. */
export async function dumpLog(options: DumpOptions): Promise<LogIndex | null> {
  const { disk, directory, from, isLive, onEntry, onDamage, signal } = options;
  const { paths, names, segments, superblock, ring } = await viewStore(disk, directory);
  if (names === null) return null;
  const start = await startFor(disk, segments, names, from);
  let lastIndex: LogIndex | null = null;
  const walk = new LogWalk({
    disk,
    segments: segments.slice(start.place),
    names,
    before: start.before,
    watermark: watermarkFrom(superblock.newest, ring.newest),
    currentWatermark: async () => {
      const block = await viewSuperblock(disk, paths);
      return watermarkFrom(block.newest, (await viewRing(disk, paths)).newest);
    },
    tail: isLive ? 'moving' : 'unread',
    cleanEnd: null,
    accepted: new AcceptedLog(null, ORIGIN_TIP),
    sink: {
      onEntry: (entry) => {
        lastIndex = entry.header.desc.index;
        return lastIndex < from ? 'goOn' : onEntry(entry);
      },
      onDamage,
      onLoss: () => {},
    },
    signal,
  });
  await walk.run();
  return lastIndex;
}

/** The last segment that starts at or before the entry; with damaged headers an earlier one. */
async function startFor(
  disk: ReadDisk,
  segments: readonly SegmentFile[],
  names: LogNames,
  from: LogIndex,
): Promise<{ readonly place: number; readonly before: Predecessor }> {
  for (let place = segments.length - 1; place > 0; place--) {
    const segment = segments[place]!; // in range
    const header = await segmentHeaderIn(disk, segment);
    if (header === null || header.startOffset !== segment.startOffset) continue;
    if (header.groupId !== names.groupId || header.clusterId !== names.clusterId) continue;
    if (header.startIndex > from || header.startIndex < 1) continue;
    const index = LogIndex(header.startIndex - 1);
    const before = { index, term: header.prevTerm, headerCrc: header.prevHeaderCrc };
    return { place, before };
  }
  return { place: 0, before: LOG_ORIGIN };
}
