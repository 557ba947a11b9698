import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import { LogIndex, PhysicalOffset, Term } from '../../base/units.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeEntry } from '../../protocol/entry-codec.ts';
import type { CommitLog } from '../commit-log.ts';
import { EntryChain, openTestLog, payloadOf } from '../log-fixture.ts';
import { LogNeedsRepair } from './log-needs-repair.ts';
import {
  aChain,
  answerOf,
  everything,
  heal,
  identity,
  nothing,
  RING,
  repairerOf,
  SMALL,
  segmentPath,
  spoil,
  storeOf,
} from './repair-fixture.ts';
import type { RepairRange } from './repair-source.ts';

const chain = aChain();
const SEGMENTS = [0, 1, 2].map(segmentPath);

async function assertWhole(log: CommitLog, original: MemoryDisk, disk: MemoryDisk): Promise<void> {
  assert.deepEqual(
    log.recovered.entries,
    chain.entries.map(({ desc }) => desc),
  );
  await log.close();
  const survivor = disk.powerCutKeeping(nothing);
  for (const path of SEGMENTS) {
    assert.deepEqual(survivor.contentOf(path), original.contentOf(path), path);
  }
}

test('what is wrong is not taken, and changes nothing', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 4);
  spoil(disk, chain, 5);
  const repairer = (await repairerOf(disk))!;
  const before = disk.contentOf(segmentPath(1));
  const wanted = repairer.wanted()!;
  assert.deepEqual([wanted.from, wanted.to, wanted.anchor], [4, 5, 'last']);
  const others = new EntryChain(SMALL);
  for (const size of [100, 3700, 60, 900, 2500, 500, 40]) {
    others.append({ payload: payloadOf(size, 9), term: Term(1) });
  }
  const open = { index: LogIndex(3), term: Term(1) };
  const bent = chain.entries.map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
  bent[4]!.bytes[80]! ^= 1;
  const good = answerOf(chain.entries, wanted, open);
  for (const [problem, answer] of [
    [/no entry came/, { ...good, entries: [] }],
    [/another entry 5/, answerOf(others.entries, wanted, open)],
    [/entry 5 was asked for/, { ...good, entries: good.entries.slice(0, 1) }],
    [/a bad entry came: badPayloadCrc/, answerOf(bent, wanted, open)],
    [
      /entry 6 does not follow entry 4/,
      { ...good, entries: [chain.entries[3]!, chain.entries[5]!] },
    ],
  ] as const) {
    const outcome = await repairer.offer(answer);
    assert.equal(outcome.kind, 'unusable');
    assert.match(outcome.kind === 'unusable' ? outcome.problem : '', problem);
  }
  assert.deepEqual(disk.contentOf(segmentPath(1)), before);
  assert.equal((await repairer.offer(good)).kind, 'accepted');
  assert.equal(repairer.wanted(), null);
  await (await repairer.reopen()).close();
});

test('what is overwritten is in quarantine first', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 4);
  const { physicalOffset, sizeBytes } = chain.entries[3]!.desc;
  const at = physicalOffset % SMALL;
  const damaged = disk.contentOf(segmentPath(1)).slice(at, at + sizeBytes);
  const { log } = await heal(disk, (range) => answerOf(chain.entries, range));
  await log.close();
  const copies = disk.paths.filter((path) => path.includes('/quarantine/'));
  assert.equal(copies.length, 1);
  assert.deepEqual(disk.contentOf(copies[0]!), damaged);
});

test('a stale entry that passes all checks is found by its successor, and replaced', async () => {
  // The last write of entry 2 was lost: what it replaced is still there, and follows entry 1.
  const stale = new EntryChain(SMALL);
  for (const [i, size] of [100, 3700].entries()) {
    stale.append({ payload: payloadOf(size, i + 40 * i), term: Term(1) });
  }
  stale.entries[0] = chain.entries[0]!;
  stale.truncateFrom(LogIndex(2));
  stale.append({ payload: payloadOf(3700, 77), term: Term(1) });
  const story = await storeOf(chain);
  const disk = story.powerCutKeeping(everything);
  const { desc, bytes } = stale.entries[1]!;
  disk.rot(segmentPath(0), desc.physicalOffset, bytes);
  const { log, outcomes } = await heal(disk, (range) => answerOf(chain.entries, range));
  assert.deepEqual(outcomes, ['accepted']);
  await assertWhole(log, story.powerCutKeeping(everything), disk);
});

test('bytes of a damaged message that look like an entry do not mislead for long', async () => {
  const story = await storeOf(chain);
  const disk = story.powerCutKeeping(everything);
  const { physicalOffset } = chain.entries[1]!.desc;
  const place = physicalOffset + 800;
  const forged = {
    ...{ index: LogIndex(3), term: Term(1), type: 'noop' as const, sizeBytes: 64 },
    ...{ payloadSizeBytes: 0, payloadCrc: 0, leaderCommit: LogIndex(1), prevHeaderCrc: 5 },
  };
  const belongsAt = PhysicalOffset(place);
  const bytes = encodeEntry({ ...forged, physicalOffset: belongsAt }, new Uint8Array(0));
  disk.rot(segmentPath(0), place, bytes);
  const { log, outcomes } = await heal(disk, (range) => answerOf(chain.entries, range));
  assert.deepEqual(outcomes, ['contradicted', 'accepted']);
  await assertWhole(log, story.powerCutKeeping(everything), disk);
});

test('without a note, what the superblock knows as committed is fetched by its index', async () => {
  const disk = (await storeOf(chain, 'closed')).powerCutKeeping(everything);
  const original = disk.powerCutKeeping(everything);
  const damaged = original.powerCutKeeping(everything);
  damaged.vanish(RING);
  const last = chain.entries.at(-1)!.desc;
  damaged.rot(segmentPath(2), last.physicalOffset % SMALL, new Uint8Array(last.sizeBytes));
  const repairer = (await repairerOf(damaged))!;
  const wanted = repairer.wanted()!;
  assert.deepEqual([wanted.from, wanted.to, wanted.anchor], [9, 9, 'first']);
  const open = { index: LogIndex(8), term: Term(1) };
  const early = await repairer.offer(answerOf(chain.entries, wanted, open));
  assert.equal(early.kind, 'unusable');
  await repairer.offer(answerOf(chain.entries, wanted));
  await assertWhole(await repairer.reopen(), original, damaged);
});

test('a replica under repair gives what is good of it, and nothing else', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 4);
  const repairer = (await repairerOf(disk))!;
  const read = (from: number, to: number, anchor: RepairRange['anchor'], sizeBytesMax = 1e6) =>
    repairer.read({ from: LogIndex(from), to: LogIndex(to), anchor, sizeBytesMax });
  const indexes = async (...range: Parameters<typeof read>) =>
    (await read(...range)).entries.map(({ desc }) => desc.index);
  assert.deepEqual(await indexes(1, 9, 'first'), [1, 2, 3]);
  assert.deepEqual(await indexes(1, 3, 'last'), [1, 2, 3]);
  assert.deepEqual(await indexes(1, 3, 'last', 1), [3]);
  assert.deepEqual(await indexes(4, 9, 'first'), []);
  assert.deepEqual(await indexes(1, 4, 'last'), []);
  assert.deepEqual(await indexes(5, 9, 'first'), [5, 6, 7, 8, 9]);
  assert.deepEqual(await indexes(2, 8, 'last'), [5, 6, 7, 8]);
  assert.deepEqual(await indexes(2, 8, 'last', 600), [8]);
  assert.deepEqual(await indexes(8, 20, 'first', 1), [8]);
  assert.deepEqual(await indexes(12, 20, 'first'), []);
  // Behind the hole nothing is known as committed: it may be stale.
  assert.equal((await read(5, 9, 'first')).committed.index, 0);
  assert.ok((await read(1, 3, 'first')).committed.index <= 3);
  spoil(disk, chain, 8);
  assert.deepEqual(await indexes(8, 8, 'first'), []);
  await repairer.close();
});

test('a place that the disk cannot read is rot; a third one ends the start', async () => {
  const failing = (disk: MemoryDisk, places: readonly number[]): MemoryDisk => {
    const real = disk.read.bind(disk);
    disk.read = async (path, position, sizeBytes) => {
      const hit = places.some((at) => at >= position && at < position + sizeBytes);
      if (path !== segmentPath(0) || !hit) return real(path, position, sizeBytes);
      disk.failNext({ operation: 'read', code: 'EIO', after: 0 });
      return real(path, position, sizeBytes);
    };
    return disk;
  };
  const story = await storeOf(chain);
  const repairer = await repairerOf(failing(story.powerCutKeeping(everything), [4200]));
  assert.match(repairer?.missing ?? '', /entr(y|ies) 1/);
  await repairer?.close();
  const wide = new EntryChain(SMALL);
  for (let i = 0; i < 3; i++) wide.append({ payload: payloadOf(3000, i), term: Term(1) });
  assert.ok(wide.end > SMALL);
});

test('one entry cannot be had anywhere: the log is not opened, and says which', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 6);
  await assert.rejects(openTestLog(disk, { identity }), (error) => {
    assert.ok(error instanceof FatalError && !(error instanceof LogNeedsRepair));
    assert.equal(error.reason, 'logDamaged');
    assert.match(error.message, /this concerns entry 6, although entry 9 was noted as durable/);
    return true;
  });
  const again = await repairerOf(disk);
  assert.equal(again?.missing, 'entry 6');
  await again.close();
});
