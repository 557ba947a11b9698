/** What a walk through a log works on, and whom it tells what it finds. */
import type { PhysicalOffset } from '../../base/units.ts';
import type { EntryHeader } from '../../protocol/entry-codec.ts';
import type { Damage } from './damage.ts';
import type { EntryBody } from './entry-body.ts';
import type { ReadDisk } from './read-disk.ts';
import type { Predecessor } from './segment-header-check.ts';
import type { AcceptedLog } from './startup.ts';
import type { LogNames, SegmentFile, StoreView } from './store-view.ts';
import type { Watermark } from './watermark.ts';

/** An entry whose header is good and in its place. */
export interface WalkedEntry {
  readonly path: string;
  readonly position: number;
  readonly header: EntryHeader;
  /** Valid until `onEntry` is done. */
  readonly body: EntryBody;
}

export type Step = 'goOn' | 'stop';

export interface WalkSink {
  /** `stop` ends the walk: what follows is not looked at. */
  readonly onEntry: (entry: WalkedEntry) => Step | Promise<Step>;
  readonly onDamage: (damage: Damage) => void | Promise<void>;
  /** Entries before the next one are lost or cannot be read. */
  readonly onLoss: () => void;
}

/**
 * How far to read where the log seems to end. `read`: everything. `known`: nothing behind an orderly
 * end, as start-up does. `unread`: nothing behind zeros at or above the watermark. `moving`: nothing
 * behind anything odd there, because the log is being written.
 */
export type TailReading = 'read' | 'known' | 'unread' | 'moving';

export interface WalkOptions {
  readonly disk: ReadDisk;
  readonly segments: readonly SegmentFile[];
  readonly names: LogNames;
  /** What precedes the first of the segments. */
  readonly before: Predecessor;
  readonly watermark: Watermark;
  /** A log that is being written may have been cut since the watermark was read. */
  readonly currentWatermark: () => Promise<Watermark>;
  readonly tail: TailReading;
  readonly cleanEnd: PhysicalOffset | null;
  readonly accepted: AcceptedLog;
  readonly sink: WalkSink;
  readonly signal: AbortSignal;
}

/** What precedes the first segment that is there: the base, or something that is lost. */
export function beforeFirst({ segments, begin, base }: StoreView): Predecessor {
  const { index, term, headerCrc } = begin;
  const first = segments[0]?.startOffset ?? begin.end;
  const isKnown = base.found.kind === 'base' && first === begin.end;
  return { index, term, headerCrc: isKnown ? headerCrc : null };
}
