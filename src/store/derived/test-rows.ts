/** For tests: rows as text, all of them or those that are state. */
import { advance } from '../../base/units.ts';
import type { CommittedEntry } from './derived-state.ts';
import type { InstallSource } from './install-snapshot.ts';
import { END_KEY, FIRST_KEY, readInvertedU64Key, readU32Key, TABLE } from './key-codec.ts';
import { outcomeOffset } from './key-index.ts';
import type { KvRow, KvView } from './kv-store.ts';
import { liveRows } from './live-rows.ts';
import { decodeJournalMeta, JOURNAL_UNITS_PER_CHUNK } from './message-journal.ts';
import { decodeMeta } from './meta-row.ts';
import { UNITS_PER_CHUNK } from './queue-unit.ts';
import { RowReader } from './row-codec.ts';
import type { StateSnapshot } from './state-snapshot.ts';

type Rows = Pick<KvView, 'get' | 'range'>;

export function dumpOf(store: Rows): readonly string[] {
  return [...store.range(FIRST_KEY, END_KEY)].map(textOf);
}

function textOf({ key, value }: KvRow): string {
  const keyText = Buffer.from(key, 'latin1').toString('hex');
  return `${key.charAt(0)} ${keyText} ${Buffer.from(value).toString('hex')}`;
}

/**
 * The rows without dead ones, said independently of how they are exported: for each table, which of its
 * rows somebody can see.
 */
export function liveDumpOf(store: Rows): readonly string[] {
  const metaRow = store.get(TABLE.meta);
  if (metaRow === null) return dumpOf(store);
  const meta = decodeMeta(metaRow);
  if ('foreignVersion' in meta) throw new Error('not ours');
  const liveTopics = new Set<number>();
  for (const { value } of store.range(TABLE.topic, `${TABLE.topic}\xff\xff`)) {
    liveTopics.add(new RowReader(value).u32());
  }
  const exported = new Set(
    [...liveRows({ ...bound(store), close: () => {} })].map(({ key }) => key),
  );
  const journal = store.get(TABLE.journalMeta);
  const first = journal === null ? 0 : decodeJournalMeta(journal).first;
  const windowMeta = store.get(TABLE.windowMeta);
  const head = windowMeta === null ? 0 : new RowReader(windowMeta).u64();
  const minOf = new Map<string, number>();
  for (const { key, value } of store.range(TABLE.queueRange, TABLE.subscription)) {
    minOf.set(key.slice(1), new RowReader(value).u64());
  }
  return [...store.range(FIRST_KEY, END_KEY)]
    .filter(({ key, value }) => {
      const table = key.charAt(0);
      if (table === TABLE.purge || table === TABLE.trim) return false;
      if (table === TABLE.key) {
        const isLate = readInvertedU64Key(key, key.length - 8) >= meta.logStart.offset;
        return isLate && liveTopics.has(readU32Key(key, 1));
      }
      if (table === TABLE.uniqueKey) {
        const isLate = outcomeOffset(value) >= meta.logStart.offset || exported.has(key);
        return isLate && liveTopics.has(readU32Key(key, 1));
      }
      if (table === TABLE.queueChunk) {
        const min = minOf.get(key.slice(1, 9)) ?? Infinity;
        const isLate = readU32Key(key, 13) >= Math.floor(min / UNITS_PER_CHUNK);
        return isLate && liveTopics.has(readU32Key(key, 1));
      }
      if (table === TABLE.journalChunk) {
        return readU32Key(key, 5) >= Math.floor(Math.min(first, head) / JOURNAL_UNITS_PER_CHUNK);
      }
      return exported.has(key);
    })
    .map(textOf);
}

function bound(store: Rows): Rows {
  return {
    get: (key) => store.get(key),
    range: (from, to) => store.range(from, to),
  };
}

export async function bytesOf(
  snapshot: StateSnapshot,
  attachment: Uint8Array = Uint8Array.of(7, 7),
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));
  for await (const chunk of snapshot.chunks({ attachment, breathe })) chunks.push(chunk);
  snapshot.close();
  return chunks;
}

/** @param entries from index 1; those that are not there any more are undefined */
export function sourceOf(
  chunks: readonly Uint8Array[],
  entries: readonly (CommittedEntry | undefined)[],
): InstallSource {
  return {
    chunks: async function* () {
      yield* chunks;
    },
    entries: async function* (from, to) {
      for (let index = from; index <= to; index = advance(index, 1)) {
        const entry = entries[index - 1];
        if (entry !== undefined) yield entry;
      }
    },
  };
}
