/** A disk without room under the log (H10): a disk in memory that counts, and is freed later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FatalError } from '../base/errors.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, Term } from '../base/units.ts';
import { ManualClock, settled } from '../io/memory/manual-clock.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { KEEP_FREE_SIZE_BYTES } from './disk-space.ts';
import { PREPARE_RETRY_MS } from './limits.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const SEGMENT = TEST_IDENTITY.segmentSizeBytes;

async function sizeOfStore(disk: MemoryDisk): Promise<number> {
  const { totalBytes, freeBytes } = await disk.room();
  return totalBytes - freeBytes;
}

/** Room for so many more segments, the rest being what a segment leaves to others. */
async function limitToSegments(disk: MemoryDisk, count: number): Promise<void> {
  disk.limitTo((await sizeOfStore(disk)) + count * SEGMENT + KEEP_FREE_SIZE_BYTES);
}

async function aLog(
  onFatal: (error: FatalError) => void = () => assert.fail('no failure'),
  disk = new MemoryDisk(),
) {
  const clock = new ManualClock();
  const log = await openTestLog(disk, { clock, onFatal });
  const chain = new EntryChain(SEGMENT);
  await persisted(log, { hardState: term(1) });
  await settled();
  let durableCount = 0;
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const seed = chain.entries.length;
      const entries = chain.append({ payload: payloadOf(10_000, seed), term: Term(1) });
      log.persist({
        ...{ hardState: null, base: null, truncateFrom: null, entries },
        onDurable: () => durableCount++,
      });
    }
  };
  return { disk, clock, log, chain, append, durable: () => durableCount };
}

test('a full disk holds back what needs a new segment, whole and in order, until room returns', async () => {
  const { disk, clock, log, chain, append, durable } = await aLog();
  // Two segments are there: the one in use and the next.
  await limitToSegments(disk, 0.99);
  append(20);
  await settled();
  assert.equal(durable(), 12, 'what fits in two segments is durable');
  assert.equal(log.diskStats.waitsForRoom(), true);
  const fullDisk = disk.paths;
  await clock.advanceSettling(30 * PREPARE_RETRY_MS);
  assert.equal(durable(), 12);
  assert.deepEqual(disk.paths, fullDisk, 'no attempt leaves anything behind');
  assert.equal(log.diskStats.oldestPendingMs(), 30 * PREPARE_RETRY_MS);

  await limitToSegments(disk, 3);
  await clock.advanceSettling(PREPARE_RETRY_MS);
  assert.equal(durable(), 20);
  assert.equal(log.diskStats.waitsForRoom(), false);
  await log.close();
  const reopened = await openTestLog(disk);
  assert.equal(reopened.recovered.entries.length, chain.entries.length);
  await reopened.close();
});

test('a write that has waited for room does not count as hung when room returns: the disk gets its time', async () => {
  let beforeStep = (): void => {};
  const later = (step: () => void): void => {
    queueMicrotask(() => {
      beforeStep();
      step();
    });
  };
  const { disk, clock, log, append, durable } = await aLog(undefined, new MemoryDisk({ later }));
  await limitToSegments(disk, 0.99);
  append(20);
  await clock.advanceSettling(30 * PREPARE_RETRY_MS);
  assert.equal(log.diskStats.waitsForRoom(), true);
  const agesMs: number[] = [];
  beforeStep = () => {
    if (!log.diskStats.waitsForRoom()) agesMs.push(log.diskStats.oldestPendingMs());
  };
  await limitToSegments(disk, 3);
  await clock.advanceSettling(PREPARE_RETRY_MS);
  assert.equal(durable(), 20);
  assert.ok(agesMs.length > 0, 'there is a time between the room and the end of the write');
  assert.deepEqual([...new Set(agesMs)], [0]);
  beforeStep = () => {};
  await log.close();
});

test('without room for the next segment, but with room in this one, nothing waits', async () => {
  const { disk, clock, log, append, durable } = await aLog();
  await limitToSegments(disk, 0);
  append(8);
  await clock.advanceSettling(10 * PREPARE_RETRY_MS);
  assert.equal(durable(), 8);
  assert.equal(log.diskStats.waitsForRoom(), false);
  await log.close();
});

test('a segment is not prepared from what derived state needs', async () => {
  const { disk, clock, log, append } = await aLog();
  disk.limitTo((await sizeOfStore(disk)) + SEGMENT + KEEP_FREE_SIZE_BYTES - 1);
  append(8);
  await clock.advanceSettling(PREPARE_RETRY_MS);
  const { freeBytes } = await disk.room();
  assert.equal(freeBytes, SEGMENT + KEEP_FREE_SIZE_BYTES - 1);
  await log.close();
});

test('not a byte of room is needed for entries in a prepared segment, votes, notes and cuts', async () => {
  const { disk, log, chain, append, durable } = await aLog();
  disk.limitTo(await sizeOfStore(disk));
  append(10);
  await persisted(log, { hardState: term(2) });
  assert.equal(durable(), 10);
  chain.truncateFrom(LogIndex(6));
  const entries = chain.append({ payload: payloadOf(9 * KIB, 99), term: Term(2) });
  await persisted(log, { hardState: term(3), truncateFrom: LogIndex(6), entries });
  await log.close();
  const reopened = await openTestLog(disk);
  assert.equal(reopened.recovered.entries.length, 6);
  assert.equal(reopened.recovered.hardState.term, 3);
  await reopened.close();
});

test('a power cut while writes wait for room loses nothing that was durable', async () => {
  const { disk, append, durable, log } = await aLog();
  await limitToSegments(disk, 0);
  append(20);
  await settled();
  const entryCount = durable();
  assert.equal(log.diskStats.waitsForRoom(), true);
  const survivor = disk.powerCutKeeping({ sector: () => false, name: () => false });
  const reopened = await openTestLog(survivor);
  assert.ok(reopened.recovered.entries.length >= entryCount);
  await reopened.close();
});

test('a log without room can be closed, and does not call its end clean', async () => {
  const { disk, append, log } = await aLog();
  await limitToSegments(disk, 0);
  append(20);
  await settled();
  await log.close();
  const reopened = await openTestLog(disk);
  assert.ok(reopened.recovered.entries.length >= 12);
  await reopened.close();
});

test('no room in the log itself is a failed write: nothing is durable after it (H2)', async () => {
  const failures: FatalError[] = [];
  const { disk, append, durable, log } = await aLog((error) => failures.push(error));
  disk.failNext({
    operation: 'write',
    code: 'ENOSPC',
    after: 0,
    pathPart: `${TEST_DIRECTORY}/data`,
  });
  append(3);
  await settled();
  assert.equal(durable(), 0);
  assert.deepEqual(
    failures.map(({ reason }) => reason),
    ['diskFailed'],
  );
  await log.close();
});
