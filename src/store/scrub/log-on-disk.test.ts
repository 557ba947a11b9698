import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { crc32 } from '../../base/crc32.ts';
import { advance, LogIndex } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeEntry, headerCrcOf } from '../../protocol/entry-codec.ts';
import type { CommitLog } from '../commit-log.ts';
import { everyKindOfEntry, FILES, openSmallLog, storeWith } from '../inspect/inspect-fixture.ts';
import { persisted, term } from '../log-fixture.ts';
import type { LogDamage } from './log-on-disk.ts';

interface Checked {
  readonly damages: readonly LogDamage[];
  readonly readBytes: number;
  readonly entryCount: number;
  readonly isFlaky: boolean;
}

async function checkAll({ onDisk }: CommitLog, sizeBytesMax = 1024): Promise<Checked> {
  const damages: LogDamage[] = [];
  let [readBytes, entryCount, isFlaky] = [0, 0, false];
  for (const { firstIndex, lastIndex } of onDisk.segments()) {
    for (let next = firstIndex; next <= lastIndex; ) {
      const outcome = await onDisk.check(next, lastIndex, sizeBytesMax);
      assert.notEqual(outcome.kind, 'gone');
      if (outcome.kind === 'gone') break;
      readBytes += outcome.sizeBytes;
      entryCount += outcome.lastIndex - next + 1;
      if (outcome.kind === 'damaged') damages.push(...outcome.damages);
      else isFlaky ||= outcome.wasFlaky;
      next = advance(outcome.lastIndex, 1);
    }
  }
  return { damages, readBytes, entryCount, isFlaky };
}

suite('the log on the device', () => {
  let disk: MemoryDisk;
  let log: CommitLog;
  before(async () => {
    disk = await storeWith(everyKindOfEntry());
    log = await openSmallLog(disk);
  });

  test('a good log is good in reads of every size, and all of it is read', async () => {
    const extents = log.onDisk.segments();
    assert.deepEqual(
      extents.map(({ firstIndex, lastIndex }) => [firstIndex, lastIndex]),
      [
        [1, 8],
        [9, 10],
      ],
    );
    const sizeBytes = extents.reduce((sum, extent) => sum + extent.sizeBytes, 0);
    for (const sizeBytesMax of [1, 700, 5000, 1_000_000]) {
      const checked = await checkAll(log, sizeBytesMax);
      assert.deepEqual(checked.damages, []);
      assert.deepEqual([checked.readBytes, checked.entryCount], [sizeBytes, 10]);
    }
  });

  test('one flipped bit at any byte of any durable entry or header is found, at its entry', async () => {
    const extents = log.onDisk.segments();
    for (const [i, path] of [FILES.first, FILES.second].entries()) {
      const extent = extents[i];
      assert.ok(extent !== undefined);
      const bytes = disk.contentOf(path);
      for (let at = 0; at < extent.sizeBytes; at++) {
        const flipped = Uint8Array.of((bytes[at] ?? 0) ^ (1 << (at % 8)));
        disk.rot(path, at, flipped);
        const { damages } = await checkAll(log);
        disk.rot(path, at, bytes.subarray(at, at + 1));
        assert.equal(damages.length, 1, `byte ${at} of ${path}: ${JSON.stringify(damages)}`);
        const damage = damages[0];
        assert.ok(damage !== undefined && damage.path === path && damage.position <= at);
        assert.equal(damage.extent, 'everywhere');
        assert.ok(damage.index >= extent.firstIndex && damage.index <= extent.lastIndex);
      }
    }
  });

  test('what the page cache hides is found: it is right in memory and wrong on the device', async () => {
    const original = disk.contentOf(FILES.first);
    const at = 5000;
    disk.rotUnseen(FILES.first, at, Uint8Array.of((original[at] ?? 0) ^ 4));
    const { damages } = await checkAll(log);
    assert.deepEqual(
      damages.map(({ extent }) => extent),
      ['device'],
    );
    disk.rotUnseen(FILES.first, at, original.subarray(at, at + 1));
  });

  test('a disk that claims a sync it never did is found out', async () => {
    const chain = everyKindOfEntry();
    const nature = {
      failureOf: () => null,
      syncFate: (path: string) =>
        path === FILES.second ? ('skipped' as const) : ('durable' as const),
      syncsDirectories: true,
    };
    const lying = new MemoryDisk({ nature });
    const opened = await openSmallLog(lying);
    await persisted(opened, { hardState: term(3) });
    await persisted(opened, { entries: chain.entries.slice() });
    const { damages } = await checkAll(opened);
    assert.deepEqual(
      damages.map(({ path, extent, index }) => [path, extent, index]),
      [
        [FILES.second, 'device', 9],
        [FILES.second, 'device', 9],
        [FILES.second, 'device', 10],
      ],
    );
  });

  test('an old entry with good checksums is not the entry (H5)', async () => {
    const bytes = disk.contentOf(FILES.second);
    const [eighth, ninth] = await log.readEntries(LogIndex(8), LogIndex(9), 1e6);
    assert.ok(eighth !== undefined && ninth !== undefined);
    const payload = new Uint8Array(ninth.desc.payloadSizeBytes).fill(7);
    const leaderCommit = LogIndex(0);
    const prevHeaderCrc = headerCrcOf(eighth.bytes);
    const fields = { ...ninth.desc, payloadCrc: crc32(payload), leaderCommit, prevHeaderCrc };
    disk.rot(FILES.second, 4096, encodeEntry(fields, payload));
    const { damages } = await checkAll(log);
    disk.rot(FILES.second, 0, bytes);
    assert.deepEqual(
      damages.map(({ found, index }) => [found, index]),
      [['another entry, 9', 9]],
    );
    assert.deepEqual((await checkAll(log)).damages, []);
  });

  test('a read that fails once is flaky; one that fails always is damage', async () => {
    const once = { operation: 'read', code: 'EIO', pathPart: 'seg' } as const;
    disk.failNext({ ...once, after: 0 });
    const flaky = await checkAll(log, 1_000_000);
    assert.deepEqual([flaky.damages, flaky.isFlaky], [[], true]);
    disk.failNext({ ...once, after: 0 });
    disk.failNext({ ...once, after: 0 });
    disk.failNext({ ...once, after: 0 });
    const { damages } = await checkAll(log, 1_000_000);
    assert.deepEqual(
      damages.map(({ found }) => found),
      ['nothing: the disk cannot read it (EIO)'],
    );
  });
});

test('what was cut while it was read is no damage', async () => {
  const chain = everyKindOfEntry();
  const opened = await openSmallLog(new MemoryDisk());
  await persisted(opened, { hardState: term(3) });
  await persisted(opened, { entries: chain.entries.slice() });
  const [, second] = opened.onDisk.segments();
  assert.ok(second !== undefined);
  const checking = opened.onDisk.check(second.firstIndex, second.lastIndex, 1_000_000);
  opened.persist({
    hardState: null,
    truncateFrom: LogIndex(9),
    base: null,
    entries: [],
    onDurable: () => {},
  });
  assert.deepEqual(await checking, { kind: 'gone' });
  assert.deepEqual(await opened.onDisk.check(second.firstIndex, second.lastIndex, 1), {
    kind: 'gone',
  });
});
