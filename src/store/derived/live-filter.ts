/**
 * Which rows of a database somebody can see. Rows of dead topics, and of messages that the log has lost, go
 * in the background, at each replica's own pace: two sound replicas differ in them.
 */
import { readInvertedU64Key, readU32Key, TABLE } from './key-codec.ts';
import { outcomeOffset } from './key-index.ts';
import type { KvKey, KvRow, KvView } from './kv-store.ts';
import { liveRows, tableRows } from './live-rows.ts';
import { decodeJournalMeta, JOURNAL_UNITS_PER_CHUNK } from './message-journal.ts';
import { decodeMeta } from './meta-row.ts';
import { UNITS_PER_CHUNK } from './queue-unit.ts';
import { RowReader } from './row-codec.ts';
import { decodeTopic } from './topic-table.ts';

export type IsLive = (row: KvRow) => boolean;

const PLACE_SIZE_BYTES = 8;
const TOPIC_NUMBER_AT = 1;
const TOPIC_NUMBER_SIZE_BYTES = 4;
/** Of a queue in the keys of its range and of its chunks: topic and queue. */
const QUEUE_NAME_SIZE_BYTES = 8;
const QUEUE_CHUNK_NUMBER_AT = TABLE.queueChunk.length + QUEUE_NAME_SIZE_BYTES + 4;
const JOURNAL_CHUNK_NUMBER_AT = TABLE.journalChunk.length + 4;

/**
 * What is dead is said by a view that is known to be right, for it and for another one of the same moment:
 * a row that rotted must not declare others dead. Rows of topics that never were are not dead, they are wrong.
 */
export function liveFilterOf(view: KvView): IsLive {
  const metaRow = view.get(TABLE.meta);
  const meta = metaRow === null ? null : decodeMeta(metaRow);
  if (meta === null || 'foreignVersion' in meta) return () => true;
  const { offset: logStartOffset } = meta.logStart;
  const topics = new Set<number>();
  for (const { value } of tableRows(view, TABLE.topic)) topics.add(decodeTopic(value).number);
  const remembered = new Set<KvKey>();
  for (const { key } of liveRows(view)) if (key.charAt(0) === TABLE.uniqueKey) remembered.add(key);
  const firstChunks = firstChunksOf(view);
  const firstJournalChunk = firstJournalChunkOf(view);
  return ({ key, value }) => {
    const isNumberLive = (at: number): boolean => {
      const number = readU32Key(key, at);
      return topics.has(number) || number >= meta.nextTopicNumber;
    };
    const isOfTopic = (): boolean => isNumberLive(TOPIC_NUMBER_AT);
    switch (key.charAt(0)) {
      case TABLE.purge:
      case TABLE.trim:
        return false;
      case TABLE.key: {
        const offset = readInvertedU64Key(key, key.length - PLACE_SIZE_BYTES);
        // A place that cannot be is nobody's garbage.
        return (offset < 0 || offset >= logStartOffset) && isOfTopic();
      }
      case TABLE.uniqueKey:
        return (outcomeOffset(value) >= logStartOffset || remembered.has(key)) && isOfTopic();
      case TABLE.queueChunk: {
        const first = firstChunks.get(key.slice(1, 1 + QUEUE_NAME_SIZE_BYTES)) ?? Infinity;
        return readU32Key(key, QUEUE_CHUNK_NUMBER_AT) >= first && isOfTopic();
      }
      case TABLE.journalChunk:
        return readU32Key(key, JOURNAL_CHUNK_NUMBER_AT) >= firstJournalChunk;
      case TABLE.inFlight:
      case TABLE.progress:
      case TABLE.queueRange:
        return isOfTopic();
      case TABLE.subscription:
        return isNumberLive(key.length - TOPIC_NUMBER_SIZE_BYTES);
      default:
        return true;
    }
  };
}

function firstChunksOf(view: KvView): ReadonlyMap<KvKey, number> {
  const firsts = new Map<KvKey, number>();
  for (const { key, value } of tableRows(view, TABLE.queueRange)) {
    firsts.set(key.slice(1), Math.floor(new RowReader(value).u64() / UNITS_PER_CHUNK));
  }
  return firsts;
}

function firstJournalChunkOf(view: KvView): number {
  const journal = view.get(TABLE.journalMeta);
  const window = view.get(TABLE.windowMeta);
  const first = journal === null ? 0 : decodeJournalMeta(journal).first;
  const head = window === null ? 0 : new RowReader(window).u64();
  return Math.floor(Math.min(first, head) / JOURNAL_UNITS_PER_CHUNK);
}
