/**
 * Two databases row by row. In pages, with a turn of the event loop between them, because there are millions
 * of rows and a broker serves meanwhile.
 */

import { END_KEY, FIRST_KEY } from './key-codec.ts';
import type { KvKey, KvRow, KvView } from './kv-store.ts';
import { COMPARED_ROWS_PER_TURN, DIFFERENCES_TOLD_MAX } from './limits.ts';
import type { IsLive } from './live-filter.ts';

export interface RowComparison {
  /** Of both together, equal ones once. */
  readonly rowCount: number;
  readonly differenceCount: number;
  /** The first ones, in words. */
  readonly differences: readonly string[];
}

export interface CompareOptions {
  /** What is, and what should be. */
  readonly found: Pick<KvView, 'range'>;
  readonly expected: Pick<KvView, 'range'>;
  /** Rows that nobody sees are compared with nothing, on either side. */
  readonly isLive?: IsLive;
  readonly onProgress: (rowCount: number) => void;
  /** Lets the event loop turn. @throws when the comparison is to end */
  readonly breathe: () => Promise<void>;
}

export async function compareRows(options: CompareOptions): Promise<RowComparison> {
  const { found, expected, onProgress, breathe } = options;
  const { isLive = isAlways } = options;
  const differences: string[] = [];
  let [rowCount, differenceCount] = [0, 0];
  const tell = (what: string, key: KvKey): void => {
    differenceCount += 1;
    if (differences.length >= DIFFERENCES_TOLD_MAX) return;
    differences.push(`table ${key.charAt(0)}, key ${hexOf(key)}: ${what}`);
  };
  for (let from: KvKey | null = FIRST_KEY; from !== null; ) {
    const [ours, theirs] = [pageOf(found, from), pageOf(expected, from)];
    // Beyond the end of the shorter page one side is not known.
    const end = endOf(ours, theirs);
    const here = ({ key }: KvRow): boolean => isBefore(key, end);
    const wanted = new Map(theirs.filter(here).filter(isLive).map(pairOf));
    for (const { key, value } of ours.filter(here).filter(isLive)) {
      rowCount += 1;
      const other = wanted.get(key);
      wanted.delete(key);
      if (other === undefined) tell('there is a row, and should be none', key);
      else if (!Buffer.from(value.buffer, value.byteOffset, value.length).equals(other)) {
        tell('the row has another value', key);
      }
    }
    for (const key of wanted.keys()) {
      rowCount += 1;
      tell('a row is missing', key);
    }
    from = end;
    onProgress(rowCount);
    await breathe();
  }
  return { rowCount, differenceCount, differences };
}

const isAlways: IsLive = () => true;

function pageOf(rows: Pick<KvView, 'range'>, from: KvKey): readonly KvRow[] {
  const page: KvRow[] = [];
  for (const row of rows.range(from, END_KEY)) {
    page.push(row);
    if (page.length === COMPARED_ROWS_PER_TURN) break;
  }
  return page;
}

/** First key that is left for the next page; null: there is nothing left. */
function endOf(a: readonly KvRow[], b: readonly KvRow[]): KvKey | null {
  const ends = [a, b].flatMap((page) => {
    const last = page.at(-1);
    return page.length < COMPARED_ROWS_PER_TURN || last === undefined ? [] : [`${last.key}\x00`];
  });
  return ends.sort()[0] ?? null;
}

function isBefore(key: KvKey, end: KvKey | null): boolean {
  return end === null || key < end;
}

function pairOf({ key, value }: KvRow): readonly [KvKey, Uint8Array] {
  return [key, value];
}

const SHOWN_KEY_BYTES_MAX = 48;

function hexOf(key: KvKey): string {
  const hex = Buffer.from(key.slice(0, SHOWN_KEY_BYTES_MAX), 'latin1').toString('hex');
  return key.length > SHOWN_KEY_BYTES_MAX ? `${hex}...` : hex;
}
