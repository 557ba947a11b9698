/** All tables over one overlay, as the rows are found. */
import { AdminTable } from './admin-table.ts';
import type { Tables } from './apply.ts';
import { CheckpointTable } from './checkpoint-table.ts';
import { ConsumeQueues } from './consume-queues.ts';
import { DedupWindow, type DedupWindowBounds } from './dedup-window.ts';
import { GroupTable } from './group-table.ts';
import { KeyIndex } from './key-index.ts';
import { MessageJournal } from './message-journal.ts';
import type { Meta } from './meta-row.ts';
import type { Overlay } from './overlay.ts';
import { ProgressTable } from './progress-table.ts';
import { Purge } from './purge.ts';
import type { RowWriter } from './row-codec.ts';
import { RowTrim } from './row-trim.ts';
import { TopicTable } from './topic-table.ts';

export function openTables(
  overlay: Overlay,
  rows: RowWriter,
  meta: Meta,
  windowBounds: DedupWindowBounds,
): Tables {
  const progress = new ProgressTable(overlay, rows);
  const journal = new MessageJournal(overlay, rows);
  const window = new DedupWindow(overlay, rows, journal, windowBounds);
  const keys = new KeyIndex(overlay, rows);
  const queues = new ConsumeQueues(overlay, rows);
  return {
    topics: new TopicTable(overlay, rows, meta.nextTopicNumber),
    groups: new GroupTable(overlay, rows),
    checkpoints: new CheckpointTable(overlay, rows),
    queues,
    keys,
    journal,
    window,
    trim: new RowTrim(overlay, rows, { journal, window, keys, queues }),
    progress,
    purge: new Purge(overlay, progress),
    admin: new AdminTable(overlay, rows),
    logStart: meta.logStart,
  };
}
