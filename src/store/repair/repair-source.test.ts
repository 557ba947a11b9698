import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { baseAt, chainOfSegments, openTestLog, persisted, term } from '../log-fixture.ts';
import { identity, SMALL } from './repair-fixture.ts';
import { type RepairAnswer, sourceOf } from './repair-source.ts';

const chain = chainOfSegments(SMALL, 4);
const base = baseAt(chain, 2 * SMALL).desc!;
const first = base.last.index + 1;
const last = chain.entries.length;

function indexesOf({ entries }: RepairAnswer): readonly number[] {
  return entries.map(({ desc }) => desc.index);
}

async function compacted() {
  const log = await openTestLog(new MemoryDisk(), { identity, tailCacheSizeBytes: 1024 });
  await persisted(log, { hardState: term(1), entries: chain.entries });
  log.noteCommitIndex(LogIndex(last));
  await log.compact(base);
  return log;
}

test('a compacted log gives what it keeps, and says where that begins', async () => {
  const log = await compacted();
  const source = sourceOf(log, () => LogIndex(last));
  const all = { from: LogIndex(1), to: LogIndex(last), sizeBytesMax: 1e6 };
  const back = await source.read({ ...all, anchor: 'last' });
  assert.equal(back.firstIndex, first);
  assert.deepEqual(back.committed.index, last);
  assert.equal(indexesOf(back)[0], first);
  assert.equal(indexesOf(back).at(-1), last);
  assert.deepEqual(indexesOf(await source.read({ ...all, anchor: 'first' })), []);
  const gone = { ...all, to: LogIndex(first - 1), anchor: 'last' } as const;
  const nothing = await source.read(gone);
  assert.deepEqual(nothing.entries, []);
  assert.equal(nothing.firstIndex, first);
  const forth = { ...all, from: LogIndex(first), anchor: 'first' } as const;
  assert.equal(indexesOf(await source.read(forth))[0], first);
  await log.close();
});

test('the base is committed, also when nothing follows it', async () => {
  const log = await compacted();
  const source = sourceOf(log, () => base.last.index);
  const range = { from: LogIndex(1), to: LogIndex(3), anchor: 'last', sizeBytesMax: 100 } as const;
  const { committed } = await source.read(range);
  assert.deepEqual(committed, { index: base.last.index, term: Term(1) });
  await log.close();
});

test('a log that is compacted beside an answer has answered, or says that it is gone', async () => {
  for (const anchor of ['first', 'last'] as const) {
    for (let turns = 0; turns < 12; turns++) {
      const log = await openTestLog(new MemoryDisk(), { identity, tailCacheSizeBytes: 1024 });
      await persisted(log, { hardState: term(1), entries: chain.entries });
      log.noteCommitIndex(LogIndex(last));
      const source = sourceOf(log, () => LogIndex(3));
      const range = { from: LogIndex(1), to: LogIndex(4), anchor, sizeBytesMax: 1e6 };
      const compacting = log.compact(base);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const answer = await source.read(range);
      assert.ok(
        answer.entries.length === 0 || indexesOf(answer).includes(anchor === 'first' ? 1 : 4),
      );
      assert.ok(answer.committed.index >= 3);
      await compacting;
      await log.close();
    }
  }
});
