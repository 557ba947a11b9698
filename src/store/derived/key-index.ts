/**
 * Where messages with a given id or key lie. The id (UNIQ_KEY) has one row with the outcome of the
 * first message that carries it; the words of KEYS, and messages that repeat an id, have one row each,
 * newest first.
 */
import { readU64, viewOf } from '../../base/bytes.ts';
import { PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { FirstOutcome } from './derived-state.ts';
import {
  indexedKey,
  invertedU64Key,
  prefixEnd,
  readInvertedU64Key,
  TABLE,
  u32Key,
} from './key-codec.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

const QUEUE_ID_AT = 0; // u32
const QUEUE_OFFSET_AT = QUEUE_ID_AT + 4; // u64
const PHYSICAL_OFFSET_AT = QUEUE_OFFSET_AT + 8; // u64
const STORE_TIMESTAMP_AT = PHYSICAL_OFFSET_AT + 8; // u64
const OUTCOME_SIZE_BYTES = STORE_TIMESTAMP_AT + 8;

/** Presence is all a row of the key table says. */
const PRESENT = Uint8Array.of(1);

/** Ids and keys are binary strings here (key-codec.ts). */
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
   *
   * @param windowStart messages from here on are in the de-duplication window
   */
  addId(topicNumber: number, id: string, outcome: FirstOutcome, windowStart: number): void {
    const key = idKey(topicNumber, id);
    const known = this.#overlay.get(key);
    if (known !== null) {
      const knownOffset = readU64(viewOf(known), PHYSICAL_OFFSET_AT);
      const repeats = knownOffset >= windowStart;
      this.addKey(topicNumber, id, repeats ? outcome.physicalOffset : knownOffset);
      if (repeats) return;
    }
    const row = this.#rows
      .begin(OUTCOME_SIZE_BYTES)
      .u32(outcome.queueId)
      .u64(outcome.queueOffset)
      .u64(outcome.physicalOffset)
      .u64(outcome.storeTimestampMs)
      .finish();
    this.#overlay.put(key, row);
  }

  addKey(topicNumber: number, key: string, physicalOffset: number): void {
    this.#overlay.put(keyPrefix(topicNumber, key) + invertedU64Key(physicalOffset), PRESENT);
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

  /** Newest first. */
  find(topicNumber: number, key: string, countMax: number): readonly PhysicalOffset[] {
    const found = new Set<PhysicalOffset>();
    const byId = this.outcomeOf(topicNumber, key);
    if (byId !== null) found.add(byId.physicalOffset);
    const prefix = keyPrefix(topicNumber, key);
    for (const row of this.#overlay.range(prefix, prefixEnd(prefix))) {
      // One more than asked for: the id's own message may be older than all of them.
      if (found.size > countMax) break;
      found.add(PhysicalOffset(readInvertedU64Key(row.key, prefix.length)));
    }
    return [...found].sort((a, b) => b - a).slice(0, countMax);
  }
}

function idKey(topicNumber: number, id: string): string {
  return TABLE.uniqueKey + u32Key(topicNumber) + indexedKey(id);
}

function keyPrefix(topicNumber: number, key: string): string {
  return TABLE.key + u32Key(topicNumber) + indexedKey(key);
}
