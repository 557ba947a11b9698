/**
 * Which entries of a log are good, and which entry stands at each index: five bytes for each, because a log may
 * hold a hundred million.
 */
import { LogIndex } from '../../base/units.ts';

/** First and last entry, both of it. */
export interface EntryRange {
  readonly from: LogIndex;
  readonly to: LogIndex;
}

const ROOM_FIRST = 1024;
const GOOD = 2;
/** The header is good and in its place, and something else of the entry is not. */
const BAD = 1;

export class EntryMarks {
  /** The log begins behind it. */
  readonly base: LogIndex;
  #states = new Uint8Array(ROOM_FIRST);
  #headerCrcs = new Uint32Array(ROOM_FIRST);
  #lastGood: LogIndex;

  constructor(base: LogIndex) {
    this.base = base;
    this.#lastGood = base;
  }

  /** The base when there is none. */
  get lastGood(): LogIndex {
    return this.#lastGood;
  }

  set(index: LogIndex, headerCrc: number, isGood: boolean): void {
    const at = index - this.base - 1;
    // A header in its place with an index of the past: no walk yields one, and no entry is lost by it.
    if (at < 0) return;
    if (at >= this.#states.length) this.#grow(at);
    this.#states[at] = isGood ? GOOD : BAD;
    this.#headerCrcs[at] = headerCrc;
    if (isGood && index > this.#lastGood) this.#lastGood = index;
  }

  isGood(index: LogIndex): boolean {
    return this.#states[index - this.base - 1] === GOOD;
  }

  /** null: the header is not there, or not good. */
  headerCrcAt(index: LogIndex): number | null {
    const at = index - this.base - 1;
    const state = this.#states[at] ?? 0;
    return state === 0 ? null : (this.#headerCrcs[at] ?? null);
  }

  /** Of the range, in order, apart from each other. */
  missing({ from, to }: EntryRange): readonly EntryRange[] {
    return rangesWhere(from, to, (index) => !this.isGood(index));
  }

  #grow(at: number): void {
    const room = Math.max(2 * this.#states.length, at + 1);
    const states = new Uint8Array(room);
    states.set(this.#states);
    this.#states = states;
    const headerCrcs = new Uint32Array(room);
    headerCrcs.set(this.#headerCrcs);
    this.#headerCrcs = headerCrcs;
  }
}

/** In order, apart from each other. */
export function rangesWhere(
  from: LogIndex,
  to: LogIndex,
  holds: (index: LogIndex) => boolean,
): readonly EntryRange[] {
  const ranges: EntryRange[] = [];
  let begun: LogIndex | null = null;
  for (let at: number = from; at <= to; at++) {
    const index = LogIndex(at);
    if (holds(index)) begun ??= index;
    else if (begun !== null) {
      ranges.push({ from: begun, to: LogIndex(at - 1) });
      begun = null;
    }
  }
  if (begun !== null) ranges.push({ from: begun, to });
  return ranges;
}

/** Of ranges in order, how many entries. */
export function countIn(ranges: readonly EntryRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + (to - from + 1), 0);
}
