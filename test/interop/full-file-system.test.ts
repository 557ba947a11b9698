/** What log and database do on a real file system without a free block (H10), without a process around them. */
import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Term } from '../../src/base/units.ts';
import { isOutOfSpace } from '../../src/io/disk.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { NodeDisk } from '../../src/io/node/node-disk.ts';
import { LmdbKvStore } from '../../src/store/derived/lmdb-kv-store.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  TEST_IDENTITY,
  term,
} from '../../src/store/log-fixture.ts';
import { owning } from './owner.ts';
import { SmallDisk, smallDiskObstacle } from './small-disk.ts';
import { waitFor } from './test-cluster.ts';

const KIB = 1024;
const DISK_SIZE_BYTES = 64 * KIB * KIB;
const SEGMENT = TEST_IDENTITY.segmentSizeBytes;

const obstacle = smallDiskObstacle();
const skip = obstacle === null ? false : `full file system: ${obstacle}`;

function rowsOf(round: number): ReadonlyMap<string, Uint8Array> {
  const key = (i: number) => `T${round}-${String(i).padStart(6, '0')}`;
  return new Map(
    Array.from({ length: 2_000 }, (_, i) => [key(i), new Uint8Array(100).fill(round)]),
  );
}

suite('a file system without a free block', { timeout: 120_000, skip }, () => {
  // Room for none, for a part, and for most of what a commit writes: each fails in its own way.
  for (const [round, freeKib] of [0, 4, 12, 100].entries()) {
    test(`the database with ${freeKib} KiB left refuses a commit as a whole, and takes it later`, async () => {
      await owning(async (owner) => {
        const file = new SmallDisk('lmdb', DISK_SIZE_BYTES);
        owner.after(async () => file.destroy());
        const disk = new NodeDisk();
        const directory = `${file.mountPoint}/derived`;
        await disk.makeDirectory(directory);
        const store = new LmdbKvStore(directory, { durableCommits: false, disk });
        owner.after(() => store.close());
        await store.commit(rowsOf(7));
        file.fill(freeKib * KIB);
        const rows = rowsOf(round);
        for (let attempt = 1; attempt <= 2; attempt++) {
          await rejects(store.commit(rows), (error: unknown) => isOutOfSpace(error));
        }
        equal(store.get(rows.keys().next().value!), null);
        equal([...store.range('T', 'U')].length, 2_000, 'what was there is there');
        file.free();
        await store.commit(rows);
        equal([...store.range('T', 'U')].length, 4_000);
      });
    });
  }

  test('a log writes entries, votes and notes where there is no block left, and goes on later', async () => {
    await owning(async (owner) => {
      const file = new SmallDisk('log', DISK_SIZE_BYTES);
      owner.after(async () => file.destroy());
      const disk = new NodeDisk();
      owner.after(() => disk.close());
      const directory = `${file.mountPoint}/store`;
      const options = { directory, clock: new NodeClock() };
      const log = await openTestLog(disk, options);
      await persisted(log, { hardState: term(1) });
      // Two segments are prepared, the second in the background.
      const second = `${directory}/data/${String(SEGMENT).padStart(20, '0')}.seg`;
      await waitFor('the second segment', async () => disk.sizeOf(second));
      file.fill(0);
      const chain = new EntryChain(SEGMENT);
      let durableCount = 0;
      const append = (): void => {
        const entries = chain.append({ payload: payloadOf(10_000, 1), term: Term(1) });
        log.persist({
          ...{ hardState: null, base: null, truncateFrom: null, entries },
          onDurable: () => durableCount++,
        });
      };
      for (let i = 0; i < 4; i++) append();
      await persisted(log, { hardState: term(2) });
      equal(durableCount, 4);
      for (let i = 0; i < 12; i++) append();
      const durable = (count: number) =>
        waitFor(`${count} durable entries`, async () => (durableCount < count ? null : true));
      await durable(12);
      await delay(1_500);
      equal(durableCount, 12, 'the third segment has no room, also when it is tried again');
      ok(log.diskStats.waitsForRoom());
      equal(file.freeBytes, 0);
      deepEqual(
        (await disk.list(`${directory}/data`)).filter((name) => name.endsWith('.new')),
        [],
      );
      file.free();
      await durable(16);
      await log.close();
      const reopened = await openTestLog(disk, options);
      equal(reopened.recovered.entries.length, chain.entries.length);
      equal(reopened.recovered.hardState.term, 2);
      await reopened.close();
    });
  });
});
