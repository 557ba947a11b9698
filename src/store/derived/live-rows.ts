/**
 * The rows that are state, and cannot be made again from the entries that the log still has: what a
 * snapshot carries. A function of the log alone: which rows of dead topics and messages have been
 * removed so far is of no account.
 */
import { assert } from '../../base/assert.ts';
import { prefixEnd, readU32Key, readU64Key, TABLE } from './key-codec.ts';
import { idKey, outcomeOffset } from './key-index.ts';
import type { KvRow, KvView } from './kv-store.ts';
import { SNAPSHOT_ROWS_PER_TURN } from './limits.ts';
import {
  decodeJournalMeta,
  JOURNAL_UNITS_PER_CHUNK,
  type JournalUnit,
  journalChunkKey,
  journalUnitsOf,
  unitPlaces,
} from './message-journal.ts';
import { RowReader } from './row-codec.ts';
import { decodeTopic } from './topic-table.ts';

/** In these tables the topic number follows the table letter. */
const TABLES_BY_TOPIC = [TABLE.inFlight, TABLE.progress, TABLE.queueRange] as const;
const TABLES_WITHOUT_DEAD_ROWS = [
  TABLE.admin,
  TABLE.checkpoint,
  TABLE.deletedTopic,
  TABLE.repeat,
  TABLE.group,
  TABLE.journalMeta,
  TABLE.meta,
  TABLE.topic,
  TABLE.windowMeta,
] as const;
const TOPIC_NUMBER_SIZE_BYTES = 4;

/** Table by table; ids in the order of their messages. */
export function* liveRows(view: KvView): Generator<KvRow> {
  const liveTopics = new Set<number>();
  for (const { value } of tableRows(view, TABLE.topic)) liveTopics.add(decodeTopic(value).number);

  for (const table of TABLES_WITHOUT_DEAD_ROWS) yield* tableRows(view, table);
  for (const table of TABLES_BY_TOPIC) {
    for (const row of tableRows(view, table)) {
      if (liveTopics.has(readU32Key(row.key, table.length))) yield row;
    }
  }
  for (const row of tableRows(view, TABLE.subscription)) {
    const number = readU32Key(row.key, row.key.length - TOPIC_NUMBER_SIZE_BYTES);
    if (liveTopics.has(number)) yield row;
  }
  const bounds = journalBounds(view);
  yield* journalBeforeLogStart(view, bounds);
  for (const unit of windowUnitsBeforeLogStart(view, bounds)) {
    if (unit.id === null || !liveTopics.has(unit.topicNumber)) continue;
    const key = idKey(unit.topicNumber, unit.id);
    const value = view.get(key);
    if (value !== null && outcomeOffset(value) === unit.physicalOffset) yield { key, value };
  }
}

interface JournalBounds {
  readonly first: number;
  readonly windowHead: number;
}

function journalBounds(view: KvView): JournalBounds {
  const meta = view.get(TABLE.journalMeta);
  const windowMeta = view.get(TABLE.windowMeta);
  if (meta === null || windowMeta === null) return { first: 0, windowHead: 0 };
  const { first } = decodeJournalMeta(meta);
  return { first, windowHead: new RowReader(windowMeta).u64() };
}

/** The journal of messages that the log has no more: as far as the window reaches, in whole chunks. */
function* journalBeforeLogStart(
  view: KvView,
  { first, windowHead }: JournalBounds,
): Generator<KvRow> {
  const from = Math.floor(Math.min(first, windowHead) / JOURNAL_UNITS_PER_CHUNK);
  for (let number = from; number * JOURNAL_UNITS_PER_CHUNK < first; number++) {
    const key = journalChunkKey(number);
    const chunk = journalChunk(view, number);
    const unitCount = first - number * JOURNAL_UNITS_PER_CHUNK;
    const end = unitPlaces(chunk)[Math.min(unitCount, JOURNAL_UNITS_PER_CHUNK)];
    yield { key, value: chunk.subarray(0, end) };
  }
}

function* windowUnitsBeforeLogStart(
  view: KvView,
  { first, windowHead }: JournalBounds,
): Generator<JournalUnit> {
  for (const { key, value } of journalBeforeLogStart(view, { first, windowHead })) {
    const number = readU64Key(key, TABLE.journalChunk.length) * JOURNAL_UNITS_PER_CHUNK;
    yield* journalUnitsOf(value).slice(Math.max(0, windowHead - number));
  }
}

function journalChunk(view: KvView, number: number): Uint8Array {
  const chunk = view.get(journalChunkKey(number));
  assert(chunk !== null, 'the journal reaches back as far as the window', () => ({ number }));
  return chunk;
}

/** In pages: no iteration stays open while the caller does something else. */
export function* tableRows(view: KvView, table: string): Generator<KvRow> {
  const end = prefixEnd(table);
  for (let from = table; ; ) {
    const page: KvRow[] = [];
    for (const row of view.range(from, end)) {
      page.push(row);
      if (page.length === SNAPSHOT_ROWS_PER_TURN) break;
    }
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < SNAPSHOT_ROWS_PER_TURN) return;
    from = `${last.key}\x00`;
  }
}
