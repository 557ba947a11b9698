import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { MEMBER_COUNT_MAX } from '../raft/membership.ts';
import { BOOT_IDS_KEPT_MAX } from './limits.ts';
import {
  EntryChain,
  openTestLog,
  peerOf,
  persisted,
  Steps,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';
import { NO_PROMISE } from './remembered-peer.ts';
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
  bootIds: ['0000000000000003', 'fffffffffffffff2', '0123456789abcdef'],
  peers: new Map([
    [
      NodeId('n2'),
      {
        storeUuid: '0f8fad5b-d9cb-469f-a165-70867728950e',
        bootCount: 17,
        bootId: '00000000000000aa',
        refusedBootId: '00000000000000bb',
        promise: {
          term: Term(9),
          last: { term: Term(8), index: LogIndex(70) },
          committed: { term: Term(7), index: LogIndex(60) },
        },
      },
    ],
    [NodeId('n3'), peerOf('a store whose name is no UUID')],
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

const write = { base: null, truncateFrom: null, onDurable: () => {} };
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
      base: null,
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

test('what is remembered of a peer is durable when the promise resolves; what is noted rides along', async () => {
  let disk = new MemoryDisk();
  const log = await openTestLog(disk);
  await log.rememberPeer(NodeId('n2'), peerOf('store-of-n2'));
  log.notePeer(NodeId('n4'), peerOf('noted in time'));
  await log.rememberPeer(NodeId('n3'), peerOf('store-of-n3'));
  log.notePeer(NodeId('n5'), peerOf('noted too late'));
  disk = disk.powerCutKeeping({ sector: () => false, name: () => false });
  const reopened = await openTestLog(disk);
  assert.deepEqual([...reopened.peers.keys()], ['n2', 'n4', 'n3']);
  assert.deepEqual(reopened.peers.get(NodeId('n3')), peerOf('store-of-n3'));
  reopened.notePeer(NodeId('n5'), peerOf('noted before the close'));
  await reopened.close();
  const again = await openTestLog(disk);
  assert.equal(again.peers.get(NodeId('n5'))?.storeUuid, 'noted before the close');
  await again.close();
});

test('each start has an id of its own, and keeps those of so many before it', async () => {
  const disk = new MemoryDisk();
  const seen: (string | undefined)[] = [];
  for (let start = 1; start <= BOOT_IDS_KEPT_MAX + 3; start++) {
    const log = await openTestLog(disk);
    seen.unshift(log.recovered.bootIds[0]);
    assert.equal(log.recovered.bootCount, start);
    assert.deepEqual(log.recovered.bootIds, seen.slice(0, BOOT_IDS_KEPT_MAX));
    await log.close();
  }
  assert.equal(new Set(seen).size, seen.length);
});

test('the largest group with the longest names fits; then only what was promised is left out', () => {
  const bootIds = Array(BOOT_IDS_KEPT_MAX).fill('0123456789abcdef');
  const uuid = (i: number) => `0f8fad5b-d9cb-469f-a165-${String(i).padStart(12, '0')}`;
  const id = (length: number, i: number) => NodeId(String(i).padStart(length, 'n'));
  for (const [idLength, number, keepsPromises] of [
    [64, 1_000_000, true],
    [64, 2 ** 50, false],
  ] as const) {
    const peers = new Map(
      Array.from({ length: MEMBER_COUNT_MAX - 1 }, (_, i) => {
        const promise = {
          term: Term(number),
          last: { term: Term(number), index: LogIndex(number + i) },
          committed: { term: Term(number), index: LogIndex(number) },
        };
        const bootId = 'ffffffffffffffff';
        const life = { storeUuid: uuid(i), bootCount: 300, bootId, refusedBootId: null };
        return [id(idLength, i), { ...life, promise }];
      }),
    );
    const identity = { ...superblock.identity, nodeId: id(idLength, 99), storeUuid: uuid(99) };
    const decoded = decodeSuperblock(encodeSuperblock({ ...superblock, identity, bootIds, peers }));
    assert.ok(decoded !== null);
    const expected = [...peers].map(([nodeId, peer]) => [
      nodeId,
      keepsPromises ? peer : { ...peer, promise: NO_PROMISE },
    ]);
    assert.deepEqual([...decoded.peers], expected);
  }
});

test('what may be told to others is what no crash takes, at every moment', async () => {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk));
  await steps.drain();
  const chain = new EntryChain(TEST_IDENTITY.segmentSizeBytes);
  chain.append({ payload: new Uint8Array(8), term: Term(4) });
  chain.append({ payload: new Uint8Array(9), term: Term(4) });
  log.persist({ ...write, hardState: term(4), entries: chain.entries });
  const claims: string[] = [];
  const look = () => {
    const { term: claimed, last } = log.durable;
    const claim = `${claimed}: ${last.term}/${last.index}`;
    if (claims.at(-1) !== claim) claims.push(claim);
  };
  look();
  while (await steps.next()) look();
  // Another leader cuts: until the new term is durable, the cut is not told either.
  chain.truncateFrom(LogIndex(2));
  chain.append({ payload: new Uint8Array(8), term: Term(3) });
  const entries = chain.entries.slice(1);
  log.persist({ ...write, hardState: term(5), truncateFrom: LogIndex(2), entries });
  look();
  while (await steps.next()) look();
  assert.deepEqual(claims, ['0: 0/0', '4: 0/0', '4: 4/2', '5: 4/2', '5: 3/2']);
  await steps.until(log.close());
});
