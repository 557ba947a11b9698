/**
 * Which messages are recent enough to be recognised when they are sent again: the last
 * DEDUP_WINDOW_COUNT_MAX of the log that are not older than DEDUP_WINDOW_MS, and in any case the last
 * DEDUP_WINDOW_COUNT_MIN. Time is store time from the log, made monotonic by the journal, so every
 * replica has the same window at the same index, and the messages of a leader whose clock is behind
 * are not old when they come.
 *
 * The window is the end of the journal; an id is known when the message that its row names lies at or
 * after {@link DedupWindow.startOffset}. So leaving the window costs nothing but moving its start. It
 * may reach back beyond the start of the log: what was sent is not sent again only because it is gone.
 */
import { TABLE } from './key-codec.ts';
import { DEDUP_WINDOW_COUNT_MAX, DEDUP_WINDOW_COUNT_MIN, DEDUP_WINDOW_MS } from './limits.ts';
import type { MessageJournal } from './message-journal.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const META_SIZE_BYTES = 8;

/** Tests use small windows; production uses the defaults, which are part of the format. */
export interface DedupWindowBounds {
  readonly countMin: number;
  readonly countMax: number;
  readonly ageMsMax: number;
}

export const DEDUP_WINDOW_BOUNDS: DedupWindowBounds = {
  countMin: DEDUP_WINDOW_COUNT_MIN,
  countMax: DEDUP_WINDOW_COUNT_MAX,
  ageMsMax: DEDUP_WINDOW_MS,
};

export class DedupWindow {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #journal: MessageJournal;
  readonly #bounds: DedupWindowBounds;
  /** Number of the first message in the window, which ends with the journal. */
  #head = 0;
  #startOffset = Number.POSITIVE_INFINITY;
  #dirty = false;

  constructor(
    overlay: Overlay,
    rows: RowWriter,
    journal: MessageJournal,
    bounds: DedupWindowBounds,
  ) {
    this.#overlay = overlay;
    this.#rows = rows;
    this.#journal = journal;
    this.#bounds = bounds;
    const meta = overlay.get(TABLE.windowMeta);
    if (meta === null) return;
    const row = new RowReader(meta);
    this.#head = row.u64();
    row.end();
    if (this.#head < journal.next) this.#startOffset = journal.physicalOffset(this.#head);
  }

  get head(): number {
    return this.#head;
  }

  /** Messages from here on are in the window; infinite when it is empty. */
  get startOffset(): number {
    return this.#startOffset;
  }

  /** After a message was appended to the journal. */
  follow(): void {
    const { countMin, countMax, ageMsMax } = this.#bounds;
    const { next, newestStoreTimestampMs } = this.#journal;
    const oldestMs = newestStoreTimestampMs - ageMsMax;
    const headBefore = this.#head;
    for (;;) {
      // Ends: the newest message is never too old, nor one too many.
      const count = next - this.#head;
      const isOld = count > countMin && this.#journal.storeTimestampMs(this.#head) < oldestMs;
      if (count <= countMax && !isOld) break;
      this.#head++;
    }
    this.#dirty = true;
    if (this.#head !== headBefore || next === 1) {
      this.#startOffset = this.#journal.physicalOffset(this.#head);
    }
  }

  /** Puts what is only in memory into the overlay; before every flush. */
  writeDirty(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const meta = this.#rows.begin(META_SIZE_BYTES).u64(this.#head).finish();
    this.#overlay.put(TABLE.windowMeta, meta);
  }
}
