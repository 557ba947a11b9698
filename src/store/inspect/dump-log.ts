/** The entries of a log one by one from an index on, in constant memory; what is damaged on the way is told. */

import { LogIndex } from '../../base/units.ts';
import type { Damage } from './damage.ts';
import { LogWalk } from './log-walk.ts';
import type { ReadDisk } from './read-disk.ts';
import type { Predecessor } from './segment-header-check.ts';
import { AcceptedLog } from './startup.ts';
import {
  type LogNames,
  noteIn,
  type StoreView,
  segmentHeaderIn,
  viewRing,
  viewStore,
  viewSuperblock,
} from './store-view.ts';
import { beforeFirst, type Step, type WalkedEntry } from './walk-options.ts';
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
  const view = await viewStore(disk, directory);
  const { paths, names, segments, superblock, base } = view;
  if (names === null) return null;
  const start = await startFor(disk, { ...view, names }, from);
  let lastIndex: LogIndex | null = null;
  const walk = new LogWalk({
    disk,
    segments: segments.slice(start.place),
    names,
    before: start.before,
    watermark: watermarkFrom(superblock.newest, view.note),
    currentWatermark: async () => {
      const block = await viewSuperblock(disk, paths);
      return watermarkFrom(block.newest, noteIn(await viewRing(disk, paths), base));
    },
    tail: isLive ? 'moving' : 'unread',
    cleanEnd: null,
    accepted: new AcceptedLog(null, view.begin),
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
  view: StoreView & { readonly names: LogNames },
  from: LogIndex,
): Promise<{ readonly place: number; readonly before: Predecessor }> {
  const { segments, names } = view;
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
  return { place: 0, before: beforeFirst(view) };
}
