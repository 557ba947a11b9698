import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../../src/base/crc32.ts';
import { KIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { encodeEntry } from '../../src/protocol/entry-codec.ts';
import { type EntryDesc, entrySizeBytes, placeEntry } from '../../src/raft/entry.ts';
import type { AppendRequest, Message } from '../../src/raft/messages.ts';
import { EntrySender } from '../../src/replica/entry-sender.ts';
import { READING_COUNT_MAX } from '../../src/replica/limits.ts';
import { newPeerCounts } from '../../src/replica/peer-counts.ts';
import { MemoryCommitLog, MemoryStore } from './memory-commit-log.ts';

const n2 = NodeId('n2');
const n3 = NodeId('n3');

/** A log with `count` entries of term 1, none of them cached. */
function openLog(count: number): MemoryCommitLog {
  const segmentSizeBytes = 64 * KIB;
  const log = new MemoryCommitLog(
    new MemoryStore({
      clusterId: 'c',
      groupId: 'g',
      nodeId: NodeId('n1'),
      storeUuid: 's',
      segmentSizeBytes,
    }),
  );
  let end = PhysicalOffset(0);
  for (let index = 1; index <= count; index++) {
    const payload = new Uint8Array([index]);
    const { physicalOffset, sizeBytes } = placeEntry(end, 1, segmentSizeBytes);
    end = PhysicalOffset(physicalOffset + sizeBytes);
    const desc = descOf(index, 1, physicalOffset);
    const prevHeaderCrc = log.lastHeaderCrc;
    const bytes = encodeEntry({ ...desc, leaderCommit: LogIndex(0), prevHeaderCrc }, payload);
    log.persist({
      hardState: null,
      base: null,
      truncateFrom: null,
      entries: [{ desc, bytes }],
      onDurable: () => {},
    });
  }
  log.cachedCount = 0;
  return log;
}

function descOf(index: number, term: number, physicalOffset = PhysicalOffset(4096)): EntryDesc {
  return {
    index: LogIndex(index),
    term: Term(term),
    type: 'data',
    physicalOffset,
    sizeBytes: entrySizeBytes(1),
    payloadSizeBytes: 1,
    payloadCrc: crc32(new Uint8Array([index])),
  };
}

function appendOf(from: number, to: number, options: { term?: number; entryTerm?: number } = {}) {
  const { term = 1, entryTerm = 1 } = options;
  const entries: EntryDesc[] = [];
  for (let index = from; index <= to; index++) entries.push(descOf(index, entryTerm));
  const message: AppendRequest = {
    kind: 'appendRequest',
    term: Term(term),
    prev: { index: LogIndex(from - 1), term: Term(from === 1 ? 0 : 1) },
    entries,
    memberships: [],
    commitIndex: LogIndex(0),
  };
  return message;
}

function openSender(log: MemoryCommitLog) {
  const sent: string[] = [];
  const unreachable: NodeId[] = [];
  const failures: unknown[] = [];
  let term = Term(1);
  const sender = new EntrySender({
    log,
    clock: new ManualClock(),
    transport: {
      start: () => {},
      send: (to: NodeId, message: Message, entryBytes: readonly Uint8Array[]) => {
        const payloads = entryBytes.map((bytes) => bytes[64]);
        sent.push(`${to} ${message.kind} ${payloads.join()}`);
      },
      setMembership: () => {},
      dismiss: () => {},
      linkOf: () => ({ connected: true, addresses: null, storeUuid: null, refusal: null }),
      counters: newPeerCounts(),
      close: () => Promise.resolve(),
    },
    currentTerm: () => term,
    onUnreachable: (peer) => unreachable.push(peer),
    onFatal: (error) => failures.push(error),
  });
  const setTerm = (next: number) => {
    term = Term(next);
  };
  return { sender, sent, unreachable, failures, setTerm };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('cached entries leave at once', () => {
  const log = openLog(4);
  log.cachedCount = 4;
  const { sender, sent } = openSender(log);
  sender.send(n2, appendOf(1, 4));
  assert.deepEqual(sent, ['n2 appendRequest 1,2,3,4']);
});

test('appends to a peer keep their order when the first must be read; nobody else waits', async () => {
  const log = openLog(6);
  log.cachedCount = 2;
  const { sender, sent } = openSender(log);
  sender.send(n2, appendOf(1, 4));
  sender.send(n2, appendOf(5, 6));
  sender.send(n3, appendOf(5, 6));
  sender.send(n2, { kind: 'heartbeat', term: Term(1), round: 1, commitIndex: LogIndex(0) });
  assert.deepEqual(sent, ['n3 appendRequest 5,6', 'n2 heartbeat ']);
  await settle();
  assert.deepEqual(sent.slice(2), ['n2 appendRequest 1,2,3,4', 'n2 appendRequest 5,6']);
  sender.send(n2, appendOf(6, 6));
  assert.equal(sent.at(-1), 'n2 appendRequest 6', 'and the queue is gone');
});

test('what was asked for in an earlier term is not sent after it', async () => {
  const { sender, sent, setTerm } = openSender(openLog(4));
  sender.send(n2, appendOf(1, 2));
  setTerm(2);
  await settle();
  assert.deepEqual(sent, []);
});

test('bytes of another term than asked for are not sent', async () => {
  const log = openLog(4);
  const { sender, sent, failures } = openSender(log);
  sender.send(n2, appendOf(1, 4, { entryTerm: 2 }));
  await settle();
  log.cachedCount = 4;
  sender.send(n2, appendOf(1, 4, { entryTerm: 2 }));
  assert.deepEqual(sent, []);
  assert.deepEqual(failures, []);
});

test('too many appends waiting for the disk make the peer unreachable, and drop', async () => {
  const { sender, sent, unreachable } = openSender(openLog(1));
  for (let i = 0; i <= READING_COUNT_MAX; i++) sender.send(n2, appendOf(1, 1));
  assert.deepEqual(unreachable, [n2]);
  await settle();
  assert.equal(sent.length, 1);
});

test('a failed read is reported, once', async () => {
  const log = openLog(2);
  const { sender, failures } = openSender(log);
  log.readEntries = () => Promise.reject(new Error('EIO'));
  sender.send(n2, appendOf(1, 2));
  await settle();
  assert.equal(failures.length, 1);
});

test('a closed sender sends nothing more', async () => {
  const { sender, sent } = openSender(openLog(4));
  sender.send(n2, appendOf(1, 4));
  await sender.close();
  await settle();
  assert.deepEqual(sent, []);
});
