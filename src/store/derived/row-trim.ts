/**
 * Removes the rows of dead messages, a bounded number with each applied entry: keys and consume queue
 * units when they are before the start of the log; ids and journal when they have left the de-duplication
 * window as well. The pace is counted in messages, which are the same on every replica.
 *
 * Nobody sees a dead row: whoever reads knows where the window and the log begin. So how far this has
 * come is no part of the state.
 */
import type { ConsumeQueues } from './consume-queues.ts';
import type { DedupWindow } from './dedup-window.ts';
import { TABLE } from './key-codec.ts';
import type { KeyIndex } from './key-index.ts';
import { TRIMMED_MESSAGES_PER_ENTRY, TRIMMED_MESSAGES_PER_MESSAGE } from './limits.ts';
import {
  JOURNAL_UNITS_PER_CHUNK,
  type JournalUnit,
  type MessageJournal,
} from './message-journal.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const ROW_SIZE_BYTES = 16;

export interface TrimmedTables {
  readonly journal: MessageJournal;
  readonly window: DedupWindow;
  readonly keys: KeyIndex;
  readonly queues: ConsumeQueues;
}

export class RowTrim {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #tables: TrimmedTables;
  /** Ids of messages below are gone, and whole chunks of the journal. */
  #idCursor = 0;
  /** Keys and units of messages below are gone. */
  #keyCursor = 0;
  #dirty = false;

  constructor(overlay: Overlay, rows: RowWriter, tables: TrimmedTables) {
    this.#overlay = overlay;
    this.#rows = rows;
    this.#tables = tables;
    const value = overlay.get(TABLE.trim);
    if (value === null) return;
    const row = new RowReader(value);
    this.#idCursor = row.u64();
    this.#keyCursor = row.u64();
    row.end();
  }

  /** @param messageCount of the entry that was applied */
  step(messageCount: number): void {
    const { journal, window, keys } = this.#tables;
    const countMax = TRIMMED_MESSAGES_PER_ENTRY + TRIMMED_MESSAGES_PER_MESSAGE * messageCount;
    const idEnd = Math.min(window.head, journal.first, this.#idCursor + countMax);
    const keyEnd = Math.min(journal.first, this.#keyCursor + countMax);
    if (idEnd === this.#idCursor && keyEnd === this.#keyCursor) return;
    const chunkBefore = this.#deadChunks;
    while (this.#idCursor < idEnd) keys.removeId(journal.unit(this.#idCursor++));
    while (this.#keyCursor < keyEnd) this.#removeKeys(journal.unit(this.#keyCursor++));
    for (let number = chunkBefore; number < this.#deadChunks; number++) journal.deleteChunk(number);
    this.#dirty = true;
  }

  /** Nothing dead is there: the tables were just made. */
  startClean(): void {
    const { journal, window } = this.#tables;
    this.#idCursor = Math.min(window.head, journal.first);
    this.#keyCursor = journal.first;
    this.#dirty = this.#keyCursor > 0;
  }

  /** Puts what is only in memory into the overlay; before every flush. */
  writeDirty(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const row = this.#rows.begin(ROW_SIZE_BYTES).u64(this.#idCursor).u64(this.#keyCursor).finish();
    this.#overlay.put(TABLE.trim, row);
  }

  /** How many chunks of the journal nobody needs any more. */
  get #deadChunks(): number {
    return Math.floor(Math.min(this.#idCursor, this.#keyCursor) / JOURNAL_UNITS_PER_CHUNK);
  }

  #removeKeys(unit: JournalUnit): void {
    this.#tables.keys.removeKeys(unit);
    this.#tables.queues.removeChunkEndingWith(unit);
  }
}
