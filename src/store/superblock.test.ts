import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { openTestLog, persisted, Steps, TEST_DIRECTORY } from './log-fixture.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  newestSuperblock,
  SLOT_SIZE_BYTES,
  type Superblock,
} from './superblock.ts';

const superblock: Superblock = {
  identity: {
    clusterId: 'c',
    groupId: 'g',
    nodeId: NodeId('n1'),
    storeUuid: 'uuid',
    segmentSizeBytes: 65_536,
  },
  hardState: { term: Term(7), votedFor: NodeId('n2') },
  bootCount: 3,
  commitHint: LogIndex(11),
  cleanEnd: { index: LogIndex(12), physicalOffset: PhysicalOffset(5000) },
  peerStores: new Map([
    [NodeId('n2'), 'uuid-2'],
    [NodeId('n3'), 'uuid-3'],
  ]),
  sequence: 42,
};

test('a superblock comes back as it was encoded', () => {
  assert.deepEqual(decodeSuperblock(encodeSuperblock(superblock)), superblock);
  const open = { ...superblock, cleanEnd: null, hardState: { term: Term(0), votedFor: null } };
  assert.deepEqual(decodeSuperblock(encodeSuperblock(open)), open);
});

test('a slot with any flipped bit is no superblock', () => {
  const slot = encodeSuperblock(superblock);
  for (let bit = 0; bit < slot.length * 8; bit += 5) {
    slot[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(decodeSuperblock(slot), null, `bit ${bit}`);
    slot[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.notEqual(decodeSuperblock(slot), null);
});

test('the valid slot with the highest sequence counts', () => {
  const older = encodeSuperblock(superblock);
  const newer = encodeSuperblock({ ...superblock, sequence: 43, bootCount: 4 });
  const bootCounts = [
    [older, newer],
    [newer, older],
    [newer, new Uint8Array(SLOT_SIZE_BYTES)],
    [new Uint8Array(SLOT_SIZE_BYTES), newer],
  ].map((slots) => newestSuperblock(Buffer.concat(slots))?.bootCount);
  assert.deepEqual(bootCounts, [4, 4, 4, 4]);
  assert.equal(newestSuperblock(new Uint8Array(2 * SLOT_SIZE_BYTES)), null);
  assert.equal(newestSuperblock(new Uint8Array(0)), null);
});

const path = `${TEST_DIRECTORY}/superblock`;
const vote = { term: Term(5), votedFor: NodeId('n3') };

async function diskWithVote(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk);
  await persisted(log, { hardState: vote });
  return disk.killed();
}

for (const rotten of [0, 1]) {
  test(`one rotten slot (${rotten}) forgets no vote, and the next start heals it`, async () => {
    const disk = await diskWithVote();
    disk.rot(path, rotten * SLOT_SIZE_BYTES + 100, new Uint8Array([255, 255, 255]));
    const log = await openTestLog(disk);
    assert.deepEqual(log.recovered.hardState, vote);
    assert.equal(log.recovered.bootCount, 2);
    await log.close();
    const content = disk.contentOf(path);
    assert.notEqual(decodeSuperblock(content.subarray(0, SLOT_SIZE_BYTES)), null);
    assert.notEqual(decodeSuperblock(content.subarray(SLOT_SIZE_BYTES)), null);
  });
}

test('two rotten slots are a replica without memory: the directory is refused', async () => {
  const disk = await diskWithVote();
  disk.rot(path, 100, new Uint8Array([255, 255, 255]));
  disk.rot(path, SLOT_SIZE_BYTES + 100, new Uint8Array([255, 255, 255]));
  await assert.rejects(openTestLog(disk), (error) => {
    assert.ok(error instanceof FatalError);
    assert.equal(error.reason, 'identityRefused');
    return true;
  });
});

test('a missing superblock beside segments is refused', async () => {
  const disk = await diskWithVote();
  disk.vanish(path);
  await assert.rejects(openTestLog(disk), { reason: 'identityRefused' });
});

test('a vote cut by a power failure at any step is the old one or the new one, and new once durable', async () => {
  const outcomes = new Set<string>();
  for (let stepCount = 0; ; stepCount++) {
    const steps = new Steps();
    let disk = new MemoryDisk({ later: steps.later });
    const log = await steps.until(openTestLog(disk));
    await steps.drain();
    let isDurable = false;
    log.persist({
      hardState: vote,
      truncateFrom: null,
      entries: [],
      onDurable: () => {
        isDurable = true;
      },
    });
    for (let i = 0; i < stepCount; i++) await steps.next();
    // Torn: of each slot's eight sectors the even ones arrive.
    disk = disk.powerCutKeeping({ sector: (_, sector) => sector % 2 === 0, name: () => true });
    const reopened = await steps.until(openTestLog(disk));
    const { hardState } = reopened.recovered;
    outcomes.add(`${isDurable} ${hardState.term}`);
    if (isDurable) break;
  }
  assert.deepEqual([...outcomes].sort(), ['false 0', 'false 5', 'true 5']);
});

test('pinned peer stores are durable when the promise resolves', async () => {
  let disk = new MemoryDisk();
  const log = await openTestLog(disk);
  await log.pinPeerStore(NodeId('n2'), 'store-of-n2');
  await log.pinPeerStore(NodeId('n3'), 'store-of-n3');
  disk = disk.powerCutKeeping({ sector: () => false, name: () => false });
  const reopened = await openTestLog(disk);
  assert.deepEqual(
    [...reopened.peerStores],
    [
      ['n2', 'store-of-n2'],
      ['n3', 'store-of-n3'],
    ],
  );
  await reopened.close();
});
