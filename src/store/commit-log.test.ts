import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptionError, FatalError } from '../base/errors.ts';
import { advance, LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
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
const pathOf = (segment: number): string =>
  `${TEST_DIRECTORY}/data/${String(segment * SEGMENT).padStart(20, '0')}.seg`;

/** A log of entries of 10,000 bytes, six to a segment. */
async function filled(disk: MemoryDisk, count: number, options = {}) {
  const log = await openTestLog(disk, options);
  const chain = new EntryChain(SEGMENT);
  await persisted(log, { hardState: term(1) });
  for (let i = 0; i < count; i++) {
    const payload = payloadOf(10_000, i);
    await persisted(log, { entries: chain.append({ payload, term: Term(1) }) });
  }
  return { log, chain };
}

test('a new log is empty, has an identity of its own, and keeps it', async () => {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk);
  assert.deepEqual(log.identity, { ...TEST_IDENTITY, storeUuid: 'uuid-1' });
  const { entries, memberships } = log.recovered;
  assert.deepEqual(
    { ...log.recovered, entries, memberships },
    {
      hardState: { term: 0, votedFor: null },
      base: { desc: null, headerCrc: 0 },
      entries: [],
      memberships: [],
      provenCommitIndex: 0,
      bootCount: 1,
      bootIds: log.recovered.bootIds,
      tornBytes: 0,
      hasTornTail: false,
    },
  );
  assert.equal(log.lastHeaderCrc, 0);
  assert.equal(log.headerCrcAt(LogIndex(0)), 0);
  assert.equal(log.headerCrcAt(LogIndex(1)), null);
  await log.close();
  await log.close();
  const reopened = await openTestLog(disk);
  assert.equal(reopened.identity.storeUuid, 'uuid-1');
  assert.equal(reopened.recovered.bootCount, 2);
  await reopened.close();
});

const strangers = [
  { fact: 'clusterId', identity: { ...TEST_IDENTITY, clusterId: 'other' } },
  { fact: 'groupId', identity: { ...TEST_IDENTITY, groupId: 'g2' } },
  { fact: 'nodeId', identity: { ...TEST_IDENTITY, nodeId: NodeId('n9') } },
  { fact: 'segmentSizeBytes', identity: { ...TEST_IDENTITY, segmentSizeBytes: 2 * SEGMENT } },
] as const;

for (const { fact, identity } of strangers) {
  test(`a directory with another ${fact} is refused, naming both values`, async () => {
    const disk = new MemoryDisk();
    await (await openTestLog(disk)).close();
    await assert.rejects(openTestLog(disk, { identity }), (error) => {
      assert.ok(error instanceof FatalError);
      assert.equal(error.reason, 'identityRefused');
      assert.match(error.message, new RegExp(`${fact} is ${TEST_IDENTITY[fact]}`));
      assert.match(error.message, new RegExp(`says ${identity[fact]}`));
      return true;
    });
    // A refusal keeps no lock.
    await (await openTestLog(disk)).close();
  });
}

test('a directory in use is refused', async () => {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk);
  await assert.rejects(openTestLog(disk), { reason: 'directoryLocked' });
  await log.close();
});

test('a segment size that cannot work is a configuration error', async () => {
  for (const segmentSizeBytes of [0, 4096, 65_537, 2 ** 32]) {
    const identity = { ...TEST_IDENTITY, segmentSizeBytes };
    await assert.rejects(openTestLog(new MemoryDisk(), { identity }), {
      reason: 'badConfiguration',
    });
  }
});

test('entries come back after an orderly close, across segments, with fillers', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 20);
  const descs = chain.entries.map(({ desc }) => desc);
  assert.equal(descs.filter(({ type }) => type === 'filler').length, 3);
  await log.close();
  const reopened = await openTestLog(disk);
  assert.deepEqual(reopened.recovered.entries, descs);
  assert.equal(reopened.lastHeaderCrc, log.lastHeaderCrc);
  for (const { desc } of chain.entries) {
    assert.equal(reopened.headerCrcAt(desc.index), log.headerCrcAt(desc.index));
  }
  // The file is what the chain says, at the places it says.
  for (const { desc, bytes } of chain.entries) {
    const file = disk.contentOf(pathOf(Math.floor(desc.physicalOffset / SEGMENT)));
    const at = desc.physicalOffset % SEGMENT;
    assert.deepEqual(file.subarray(at, at + bytes.length), bytes);
  }
  await reopened.close();
});

test('two replicas with the same entries have the same segment files', async () => {
  const disks = [new MemoryDisk(), new MemoryDisk()];
  for (const [i, disk] of disks.entries()) {
    const identity = { ...TEST_IDENTITY, nodeId: NodeId(`n${i + 1}`) };
    const { log } = await filled(disk, 13, { identity });
    await log.close();
  }
  for (const segment of [0, 1, 2]) {
    assert.deepEqual(disks[0]!.contentOf(pathOf(segment)), disks[1]!.contentOf(pathOf(segment)));
  }
});

test('entries are read from the cache, from disk, and from both alike', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 20, { tailCacheSizeBytes: 50_000 });
  const last = LogIndex(chain.entries.length);
  assert.equal(log.cachedEntries(LogIndex(1), last), null);
  assert.deepEqual(log.cachedEntries(advance(last, -1), last), chain.entries.slice(-2));
  assert.equal(log.cachedEntries(last, advance(last, 1)), null);
  assert.deepEqual(await log.readEntries(LogIndex(1), last, 1e9), chain.entries);
  for (const { desc } of chain.entries) {
    const [entry, ...rest] = await log.readEntries(desc.index, last, 1);
    assert.deepEqual(entry, chain.entries[desc.index - 1]);
    assert.deepEqual(rest, []);
  }
  const some = await log.readEntries(LogIndex(2), last, 35_000);
  assert.deepEqual(some, chain.entries.slice(1, 4));
  await log.close();
});

test('a record is read from the cache and from disk alike', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 12, { tailCacheSizeBytes: 30_000 });
  for (const { desc, bytes } of chain.entries) {
    if (desc.type === 'filler') continue;
    const at = ENTRY_HEADER_SIZE_BYTES + 100;
    const record = await log.readRecord(advance(desc.physicalOffset, at), 500);
    assert.deepEqual([...record], [...bytes.subarray(at, at + 500)]);
  }
  await log.close();
});

test('a damaged entry is not served', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 12, { tailCacheSizeBytes: 0 });
  const { physicalOffset } = chain.entries[1]!.desc;
  disk.rot(pathOf(0), physicalOffset + 500, new Uint8Array([0xff, 0xff]));
  await assert.rejects(log.readEntries(LogIndex(1), LogIndex(3), 1e9), (error) => {
    assert.ok(error instanceof CorruptionError);
    assert.match(error.message, /entry 2 .*badPayloadCrc/);
    return true;
  });
  assert.deepEqual(await log.readEntries(LogIndex(3), LogIndex(3), 1), [chain.entries[2]]);
  await log.close();
});

test('an old entry of the same place and size is not served for the new one', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 3, { tailCacheSizeBytes: 0 });
  const stale = chain.entries[2]!.bytes;
  chain.truncateFrom(LogIndex(3));
  const replacement = chain.append({ payload: payloadOf(10_000, 99), term: Term(2) });
  await persisted(log, { hardState: term(2), truncateFrom: LogIndex(3), entries: replacement });
  assert.deepEqual(await log.readEntries(LogIndex(3), LogIndex(3), 1), replacement);
  disk.rot(pathOf(0), replacement[0]!.desc.physicalOffset, stale);
  await assert.rejects(log.readEntries(LogIndex(3), LogIndex(3), 1), CorruptionError);
  await log.close();
});

test('a cut makes the rest of the log zeros, and the log goes on from there', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 20);
  chain.truncateFrom(LogIndex(4));
  const end = chain.end;
  const replacement = chain.append({ payload: payloadOf(50, 1), term: Term(2) });
  await persisted(log, { hardState: term(2), truncateFrom: LogIndex(4), entries: replacement });
  const first = disk.contentOf(pathOf(0));
  const at = end + replacement[0]!.desc.sizeBytes;
  assert.ok(first.subarray(at).every((byte) => byte === 0));
  for (const segment of [1, 2, 3]) {
    assert.ok(disk.contentOf(pathOf(segment)).every((byte) => byte === 0));
  }
  assert.equal(log.headerCrcAt(LogIndex(5)), null);
  for (let i = 0; i < 9; i++) {
    const entries = chain.append({ payload: payloadOf(10_000, i + 50), term: Term(2) });
    await persisted(log, { entries });
  }
  await log.close();
  const reopened = await openTestLog(disk);
  assert.deepEqual(
    reopened.recovered.entries,
    chain.entries.map(({ desc }) => desc),
  );
  await reopened.close();
});

test('a cut at or below a committed entry is a bug', async () => {
  const { log } = await filled(new MemoryDisk(), 5);
  log.noteCommitIndex(LogIndex(3));
  const cut = { hardState: null, base: null, entries: [], onDurable: () => {} };
  assert.throws(() => log.persist({ ...cut, truncateFrom: LogIndex(3) }), /committed/);
});

test('an entry that does not follow is a bug', async () => {
  const { log } = await filled(new MemoryDisk(), 2);
  const other = new EntryChain(SEGMENT);
  for (let i = 0; i < 3; i++) other.append({ payload: payloadOf(10_000, i + 7), term: Term(1) });
  const write = { hardState: null, base: null, truncateFrom: null, onDurable: () => {} };
  const stranger = { ...write, entries: [other.entries[2]!] };
  assert.throws(() => log.persist(stranger), /chains to the one before/);
  assert.throws(() => log.persist({ ...write, entries: [other.entries[1]!] }), /follows the log/);
});

test('writes complete in order, empty ones included', async () => {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk);
  const chain = new EntryChain(SEGMENT);
  const order: number[] = [];
  for (let i = 0; i < 40; i++) {
    const entries = i % 3 === 0 ? [] : chain.append({ payload: payloadOf(9000, i), term: Term(1) });
    log.persist({
      hardState: i % 10 === 0 ? term(1) : null,
      base: null,
      truncateFrom: null,
      entries,
      onDurable: () => order.push(i),
    });
  }
  assert.equal(log.pendingWrites, 40);
  await log.close();
  assert.deepEqual(order, [...order.keys()]);
  assert.equal(order.length, 40);
  assert.equal(log.pendingWrites, 0);
});

test('one write larger than any batch is one write', async () => {
  const disk = new MemoryDisk();
  const identity = { ...TEST_IDENTITY, segmentSizeBytes: 16 * 1024 * 1024 };
  const log = await openTestLog(disk, { identity });
  const chain = new EntryChain(identity.segmentSizeBytes);
  chain.append({ payload: payloadOf(5_000_000, 1), term: Term(1) });
  for (let i = 0; i < 3000; i++) chain.append({ payload: payloadOf(10, i), term: Term(1) });
  chain.append({ payload: payloadOf(12_000_000, 2), term: Term(1) });
  await persisted(log, { hardState: term(1), entries: chain.entries });
  await log.close();
  const reopened = await openTestLog(disk, { identity });
  assert.equal(reopened.recovered.entries.length, chain.entries.length);
  await reopened.close();
});

test('the commit index rides on the next superblock, never beyond what is written', async () => {
  const disk = new MemoryDisk();
  const { log, chain } = await filled(disk, 3);
  log.noteCommitIndex(LogIndex(2));
  await persisted(log, { hardState: term(2) });
  log.noteCommitIndex(LogIndex(77));
  const entries = chain.append({ payload: payloadOf(10, 1), term: Term(2) });
  await persisted(log, { hardState: term(3), entries });
  const survivor = disk.powerCutKeeping({ sector: () => false, name: () => false });
  const reopened = await openTestLog(survivor);
  assert.equal(reopened.recovered.provenCommitIndex, 3);
  await reopened.close();
});

test('without space for the next segment writes wait, and go on when there is space', async () => {
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  const log = await openTestLog(disk, { clock });
  const chain = new EntryChain(SEGMENT);
  await persisted(log, { hardState: term(1) });
  disk.failNext({ operation: 'prepare', code: 'ENOSPC', after: 0, pathPart: `${2 * SEGMENT}.seg` });
  disk.failNext({ operation: 'prepare', code: 'ENOSPC', after: 0, pathPart: `${2 * SEGMENT}.seg` });
  let durableCount = 0;
  for (let i = 0; i < 14; i++) {
    const entries = chain.append({ payload: payloadOf(10_000, i), term: Term(1) });
    const onDurable = (): void => {
      durableCount += 1;
    };
    log.persist({ hardState: null, base: null, truncateFrom: null, entries, onDurable });
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settle();
  assert.equal(durableCount, 12);
  clock.advance(1000);
  await settle();
  assert.equal(durableCount, 12);
  assert.equal(log.diskStats.oldestPendingMs(), 1000);
  clock.advance(1000);
  await settle();
  assert.equal(durableCount, 14);
  await log.close();
});

test('the statistics count syncs and bytes', async () => {
  const { log, chain } = await filled(new MemoryDisk(), 3);
  const stats = log.diskStats;
  assert.ok(stats.syncCount >= 5);
  assert.equal(
    stats.writtenBytes,
    chain.entries.reduce((sum, { bytes }) => sum + bytes.length, 0),
  );
  assert.equal(stats.oldestPendingMs(), 0);
  assert.equal(stats.syncMsAt(0.5), 0);
  assert.equal(stats.syncSecondsBuckets().at(-1)?.[1], stats.syncCount);
  await log.close();
});

test('a record before the first entry or across two entries is a bug', async () => {
  const { log, chain } = await filled(new MemoryDisk(), 2);
  await assert.rejects(log.readRecord(PhysicalOffset(0), 8), /lies in an entry/);
  const { physicalOffset, sizeBytes } = chain.entries[0]!.desc;
  await assert.rejects(log.readRecord(physicalOffset, sizeBytes + 8), /ends in its entry/);
  await log.close();
});
