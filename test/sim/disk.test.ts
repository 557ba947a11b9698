import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import type { PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../src/raft/entry.ts';
import { originOf } from './core-setup.ts';
import { SimDisk } from './disk.ts';
import { emptyContent } from './state-machine.ts';

const ORIGIN = originOf({ nodeCount: 3 });
const EMPTY: PersistEffect = {
  kind: 'persist',
  token: 1,
  hardState: null,
  snapshot: null,
  truncateFrom: null,
  entries: [],
  memberships: [],
  after: [],
};

function entry(index: number, term: number): EntryDesc {
  return {
    index: LogIndex(index),
    term: Term(term),
    type: 'data',
    physicalOffset: PhysicalOffset(4096 + index * 72),
    sizeBytes: 72,
    payloadSizeBytes: 8,
    payloadCrc: index,
  };
}

function queue(disk: SimDisk, persist: Partial<PersistEffect>): void {
  const snapshot = persist.snapshot ?? null;
  disk.submit({
    persist: { ...EMPTY, ...persist },
    commitIndex: LogIndex(0),
    content: snapshot === null ? null : emptyContent(snapshot),
    atMs: 0,
  });
}

function termsOf(disk: SimDisk): readonly string[] {
  const { base, entries } = disk.recover('nothing');
  return [`base ${base.last.index}`, ...entries.map(({ index, term }) => `${index}/${term}`)];
}

const SNAPSHOT: SnapshotDesc = {
  ...ORIGIN,
  last: { term: Term(2), index: LogIndex(5) },
  endOffset: PhysicalOffset(4096 + 6 * 72),
};

test('a crash in the middle of an install leaves the old log or the snapshot, never a mixture', () => {
  const found = new Set<string>();
  for (let keepParts = 0; keepParts < 5; keepParts++) {
    const disk = new SimDisk(ORIGIN);
    queue(disk, { entries: [entry(1, 1), entry(2, 1)] });
    disk.complete();
    queue(disk, { snapshot: SNAPSHOT, entries: [entry(6, 3)] });
    disk.crash({ keepPersists: 0, keepParts });
    found.add(termsOf(disk).join(' '));
  }
  assert.deepEqual([...found], ['base 0 1/1 2/1', 'base 5']);
});

test('a crash keeps a prefix of the queue, and of the first unfinished write a prefix of its parts', () => {
  const found: string[] = [];
  for (let keepParts = 0; keepParts < 4; keepParts++) {
    const disk = new SimDisk(ORIGIN);
    queue(disk, { entries: [entry(1, 1), entry(2, 1)] });
    queue(disk, {
      hardState: { term: Term(2), votedFor: NodeId('n1') },
      truncateFrom: LogIndex(2),
      entries: [entry(2, 2), entry(3, 2)],
    });
    queue(disk, { entries: [entry(4, 2)] });
    disk.crash({ keepPersists: 1, keepParts });
    found.push([disk.image.hardState.term, ...termsOf(disk)].join(' '));
  }
  assert.deepEqual(found, [
    '0 base 0 1/1 2/1',
    '2 base 0 1/1 2/1',
    '2 base 0 1/1',
    '2 base 0 1/1 2/2',
  ]);
});

test('a crash that tears a write of entries is told to the next start, and to that one only', () => {
  const disk = new SimDisk(ORIGIN);
  queue(disk, { entries: [entry(1, 1)] });
  disk.crash({ keepPersists: 0, keepParts: 0 });
  assert.equal(disk.recover('nothing').hasTornTail, true);
  disk.crash({ keepPersists: 0, keepParts: 0 });
  assert.equal(disk.recover('nothing').hasTornTail, false);
});

test('a compacted log keeps what follows the snapshot, and what was applied', () => {
  const disk = new SimDisk(ORIGIN);
  queue(disk, { entries: [1, 2, 3, 4, 5, 6].map((index) => entry(index, 2)) });
  disk.complete();
  disk.compact(emptyContent(SNAPSHOT));
  assert.deepEqual(termsOf(disk), ['base 5', '6/2']);
  assert.equal(disk.recover('applied').appliedIndex, 5);
});
