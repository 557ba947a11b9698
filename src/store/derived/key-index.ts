/**
 * Where messages with a given id or key lie. The id (UNIQ_KEY) has one row with the outcome of the
 * message that stands for it; the words of KEYS, and other messages with the id, have one row each,
 * newest first. Which message stands for an id depends on the window of its time, so those that did not
 * get to are noted: whoever makes the index anew has forgotten that window.
 *
 * Ids and keys are as `indexedKey` (key-codec.ts) makes them.
 */
import { readU64, viewOf } from '../../base/bytes.ts';
import { PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { FirstOutcome } from './derived-state.ts';
import {
  invertedU64Key,
  prefixEnd,
  readInvertedU64Key,
  TABLE,
  u32Key,
  u64Key,
} from './key-codec.ts';
import type { JournalUnit } from './message-journal.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const QUEUE_ID_AT = 0; // u32
const QUEUE_OFFSET_AT = QUEUE_ID_AT + 4; // u64
const PHYSICAL_OFFSET_AT = QUEUE_OFFSET_AT + 8; // u64
const STORE_TIMESTAMP_AT = PHYSICAL_OFFSET_AT + 8; // u64
const OUTCOME_SIZE_BYTES = STORE_TIMESTAMP_AT + 8;

/** Presence is all a row of the key table says. */
const PRESENT = Uint8Array.of(1);

export interface IndexStarts {
  /** Messages from here on are in the de-duplication window. */
  readonly windowStart: number;
  readonly logStart: PhysicalOffset;
}

interface KnownId {
  /** Where the message lies that stood for the id so far; null: none. */
  readonly known: number | null;
  /** It goes on standing for it. */
  readonly repeats: boolean;
  readonly logStart: PhysicalOffset;
}

export class KeyIndex {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
  }

  /**
   * A message whose id is known inside the window is stored all the same: the leader looked before it
   * appended, and here the message has its offset already. The first outcome stays, because that is
   * what the producer of the id was told.
   */
  addId(topicNumber: number, id: string, outcome: FirstOutcome, starts: IndexStarts): void {
    const known = this.#offsetOf(topicNumber, id);
    const repeats = known !== null && known >= starts.windowStart;
    if (repeats) this.#overlay.put(repeatKey(outcome.physicalOffset), PRESENT);
    this.#addId(topicNumber, id, outcome, { known, repeats, logStart: starts.logStart });
  }

  /** The same, when the index is made anew. */
  addIdAgain(
    topicNumber: number,
    id: string,
    outcome: FirstOutcome,
    logStart: PhysicalOffset,
  ): void {
    const known = this.#offsetOf(topicNumber, id);
    const repeats = this.#overlay.get(repeatKey(outcome.physicalOffset)) !== null;
    this.#addId(topicNumber, id, outcome, { known, repeats, logStart });
  }

  addKeys(topicNumber: number, { keys, physicalOffset }: JournalUnit): void {
    for (const key of keys) this.#overlay.put(entryKey(topicNumber, key, physicalOffset), PRESENT);
  }

  /** The message that the id stands for, in the window or before it. */
  outcomeOf(topicNumber: number, id: string): FirstOutcome | null {
    const value = this.#overlay.get(idKey(topicNumber, id));
    if (value === null) return null;
    const row = new RowReader(value);
    const outcome = {
      queueId: row.u32(),
      queueOffset: QueueOffset(row.u64()),
      physicalOffset: PhysicalOffset(row.u64()),
      storeTimestampMs: row.u64(),
    };
    row.end();
    return outcome;
  }

  /** Newest first, none before the start of the log. */
  find(
    topicNumber: number,
    key: string,
    countMax: number,
    logStart: PhysicalOffset,
  ): readonly PhysicalOffset[] {
    const found = new Set<number>();
    const byId = this.#offsetOf(topicNumber, key);
    if (byId !== null && byId >= logStart) found.add(byId);
    const prefix = TABLE.key + u32Key(topicNumber) + key;
    for (const row of this.#overlay.range(prefix, prefixEnd(prefix))) {
      const offset = readInvertedU64Key(row.key, prefix.length);
      // One more than asked for: the id's own message may be older than all of them.
      if (found.size > countMax || offset < logStart) break;
      found.add(offset);
    }
    return [...found]
      .sort((a, b) => b - a)
      .slice(0, countMax)
      .map(PhysicalOffset);
  }

  /** Messages before the start need not be told apart any more. They are few. */
  forgetRepeats(logStart: PhysicalOffset): void {
    const rows = this.#overlay.range(TABLE.repeat, repeatKey(logStart));
    for (const { key } of [...rows]) this.#overlay.delete(key);
  }

  /** The message is before the start of the log, and before the window. */
  removeId({ topicNumber, id, physicalOffset }: JournalUnit): void {
    if (id === null || this.#offsetOf(topicNumber, id) !== physicalOffset) return;
    this.#overlay.delete(idKey(topicNumber, id));
  }

  /** The message is before the start of the log. */
  removeKeys({ topicNumber, id, keys, physicalOffset }: JournalUnit): void {
    if (id !== null) this.#overlay.delete(entryKey(topicNumber, id, physicalOffset));
    for (const key of keys) this.#overlay.delete(entryKey(topicNumber, key, physicalOffset));
  }

  #addId(
    topicNumber: number,
    id: string,
    outcome: FirstOutcome,
    { known, repeats, logStart }: KnownId,
  ): void {
    if (repeats) {
      this.#overlay.put(entryKey(topicNumber, id, outcome.physicalOffset), PRESENT);
      return;
    }
    if (known !== null && known >= logStart) {
      this.#overlay.put(entryKey(topicNumber, id, PhysicalOffset(known)), PRESENT);
    }
    const row = this.#rows
      .begin(OUTCOME_SIZE_BYTES)
      .u32(outcome.queueId)
      .u64(outcome.queueOffset)
      .u64(outcome.physicalOffset)
      .u64(outcome.storeTimestampMs)
      .finish();
    this.#overlay.put(idKey(topicNumber, id), row);
  }

  #offsetOf(topicNumber: number, id: string): number | null {
    const known = this.#overlay.get(idKey(topicNumber, id));
    return known === null ? null : outcomeOffset(known);
  }
}

export function idKey(topicNumber: number, id: string): string {
  return TABLE.uniqueKey + u32Key(topicNumber) + id;
}

/** Where the message lies that a row of ids names. */
export function outcomeOffset(row: Uint8Array): number {
  return readU64(viewOf(row), PHYSICAL_OFFSET_AT);
}

function repeatKey(physicalOffset: PhysicalOffset): string {
  return TABLE.repeat + u64Key(physicalOffset);
}

function entryKey(topicNumber: number, key: string, physicalOffset: PhysicalOffset): string {
  return TABLE.key + u32Key(topicNumber) + key + invertedU64Key(physicalOffset);
}
