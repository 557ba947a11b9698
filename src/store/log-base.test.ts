import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import { foundingMembership } from '../raft/membership.ts';
import { type CommitLog, EntriesGone } from './commit-log.ts';
import { decodeBaseFile, encodeBaseFile, originRecord } from './log-base.ts';
import {
  baseAt,
  chainOfSegments,
  type EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const SMALL = 8192;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };

function segmentNames(disk: MemoryDisk): readonly string[] {
  return disk.paths.filter((path) => path.endsWith('.seg')).map((path) => path.slice(7));
}

async function filled(
  disk: MemoryDisk,
  chain: EntryChain,
  tailCacheSizeBytes = 1024,
): Promise<CommitLog> {
  const log = await openTestLog(disk, { identity, tailCacheSizeBytes });
  await persisted(log, { hardState: term(1), entries: chain.entries });
  log.noteCommitIndex(LogIndex(chain.entries.length));
  return log;
}

test('a log says where its segments begin', async () => {
  const chain = chainOfSegments(SMALL, 4);
  const log = await filled(new MemoryDisk(), chain);
  const starts = log.segmentStarts();
  assert.deepEqual(
    starts.map(({ physicalOffset }) => physicalOffset),
    [0, SMALL, 2 * SMALL, 3 * SMALL],
  );
  for (const { firstIndex, physicalOffset } of starts) {
    assert.equal(chain.entries[firstIndex - 1]?.desc.physicalOffset, physicalOffset + 4096);
  }
});

test('a compacted log begins behind its base, now and after the next start', async () => {
  const disk = new MemoryDisk();
  const chain = chainOfSegments(SMALL, 4);
  const log = await filled(disk, chain);
  const base = baseAt(chain, 2 * SMALL);
  const { desc } = base;
  assert.ok(desc);
  await log.compact(desc);
  const { index } = desc.last;
  const kept = chain.entries.slice(index);
  assert.deepEqual(log.base, base);
  assert.equal(log.headerCrcAt(index), base.headerCrc);
  assert.equal(log.headerCrcAt(LogIndex(index - 1)), null);
  assert.equal(log.cachedEntries(index, LogIndex(index + 1)), null);
  await assert.rejects(log.readEntries(index, index, 1), EntriesGone);
  await assert.rejects(log.readRecord(PhysicalOffset(2 * SMALL - 100), 10), EntriesGone);
  const last = LogIndex(chain.entries.length);
  assert.deepEqual(await log.readEntries(LogIndex(index + 1), last, 1e6), kept.slice(0, 64));
  assert.equal(log.segmentStarts()[0]?.physicalOffset, 2 * SMALL);
  assert.ok(!segmentNames(disk).includes('data/00000000000000000000.seg'));
  await log.compact(desc);
  await log.close();

  const again = await openTestLog(disk, { identity });
  assert.deepEqual(again.recovered.base, base);
  assert.deepEqual(
    again.recovered.entries,
    kept.map((entry) => entry.desc),
  );
  const next = chain.append({ payload: payloadOf(100, 9), term: Term(1) });
  await persisted(again, { entries: next });
  await again.close();
});

test('all of a log can go when it ends with a segment', async () => {
  const disk = new MemoryDisk();
  const chain = chainOfSegments(SMALL, 2);
  const filler = chain.entries.findIndex(({ desc }) => desc.type === 'filler');
  chain.entries.length = filler + 1;
  const log = await filled(disk, chain);
  await log.compact(baseAt(chain, SMALL).desc!);
  assert.deepEqual(log.segmentStarts(), []);
  await log.close();
  const again = await openTestLog(disk, { identity });
  assert.deepEqual(again.recovered.entries, []);
  await persisted(again, { entries: chain.append({ payload: payloadOf(9, 9), term: Term(1) }) });
  assert.equal(again.segmentStarts().length, 1);
  await again.close();
});

test('another log takes the place of the whole one', async () => {
  const disk = new MemoryDisk();
  const old = chainOfSegments(SMALL, 3);
  const log = await openTestLog(disk, { identity });
  await persisted(log, { hardState: term(1), entries: old.entries });
  const chain = chainOfSegments(SMALL, 6, 2);
  const base = baseAt(chain, 4 * SMALL);
  const entries = chain.entries.slice(base.desc!.last.index);
  const write = { hardState: term(2), base, truncateFrom: LogIndex(1) };
  await persisted(log, { ...write, entries: entries.slice(0, 2) });
  await persisted(log, { entries: entries.slice(2) });
  assert.deepEqual(log.base, base);
  const first = entries[0]!.desc.index;
  assert.deepEqual(await log.readEntries(first, first, 1), entries.slice(0, 1));
  await log.close();
  assert.ok(segmentNames(disk).every((path) => path.startsWith('data-1/')));

  const again = await openTestLog(disk, { identity });
  assert.deepEqual(again.recovered.base, base);
  assert.deepEqual(
    again.recovered.entries,
    entries.map(({ desc }) => desc),
  );
  await again.close();
});

test('a base file is read as it was written, from either copy', () => {
  const chain = chainOfSegments(SMALL, 2);
  const origin = originRecord('uuid-1');
  for (const record of [origin, { ...origin, generation: 3, base: baseAt(chain, SMALL) }]) {
    const file = encodeBaseFile(record);
    assert.deepEqual(decodeBaseFile(file), { kind: 'base', record, damagedCopies: 0 });
    for (let at = 0; at < file.length; at++) {
      const flipped = file.slice();
      flipped[at]! ^= 1 << (at % 8);
      assert.deepEqual(decodeBaseFile(flipped), { kind: 'base', record, damagedCopies: 1 });
    }
    for (let sizeBytes = 0; sizeBytes < file.length; sizeBytes += 97) {
      const decoded = decodeBaseFile(file.subarray(0, sizeBytes));
      if (decoded.kind === 'base') assert.deepEqual(decoded.record, record);
    }
  }
});

test('what is not the end of a segment, or not there, is no place for a cut', async () => {
  const chain = chainOfSegments(SMALL, 3);
  const log = await filled(new MemoryDisk(), chain);
  const good = baseAt(chain, SMALL).desc!;
  const cuts: readonly (readonly [Partial<SnapshotDesc>, RegExp])[] = [
    [{ endOffset: PhysicalOffset(SMALL + 64) }, /where a segment ends/],
    [{ last: { ...good.last, term: Term(9) } }, /the one that is meant/],
    [{ endOffset: PhysicalOffset(2 * SMALL) }, /where the cut is/],
    [{ last: { ...good.last, index: LogIndex(999) } }, /committed/],
  ];
  for (const [change, words] of cuts) {
    assert.throws(() => log.compact({ ...good, ...change }), words);
  }
  await log.close();
});

test('a base of another store, or none, is refused and removes nothing', async () => {
  const disk = new MemoryDisk();
  const chain = chainOfSegments(SMALL, 3);
  const log = await filled(disk, chain);
  await log.compact(baseAt(chain, SMALL).desc!);
  await log.close();
  const before = segmentNames(disk);
  const path = `${TEST_DIRECTORY}/base`;
  const other = { ...originRecord('another'), base: baseAt(chain, SMALL) };
  await disk.writeFile(path, encodeBaseFile(other));
  await assert.rejects(openTestLog(disk, { identity }), /belongs to store another/);
  disk.vanish(path);
  await assert.rejects(openTestLog(disk, { identity }), /base is missing, so nobody knows/);
  await disk.writeFile(path, new Uint8Array(8192).fill(7));
  await assert.rejects(openTestLog(disk, { identity }), /damaged in both copies/);
  assert.deepEqual(segmentNames(disk), before);
});

test('a base names the members, as many as there can be', () => {
  const members = Array.from({ length: 32 }, (_, i) => ({
    nodeId: NodeId(`node-${i}`),
    raftAddress: `${'h'.repeat(240)}:${i}`,
  }));
  const desc: SnapshotDesc = {
    last: { index: LogIndex(5), term: Term(1) },
    endOffset: PhysicalOffset(SMALL),
    membership: { index: LogIndex(0), membership: foundingMembership(members) },
  };
  const record = { ...originRecord('uuid'), base: { desc, headerCrc: 7 } };
  const file = encodeBaseFile(record);
  assert.ok(file.length > 16_384);
  assert.deepEqual(decodeBaseFile(file), { kind: 'base', record, damagedCopies: 0 });
});
