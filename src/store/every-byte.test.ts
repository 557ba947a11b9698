/**
 * Every byte of a small store is damaged in turn, and every file of it is lost or replaced by an older
 * one, in every combination (H3 to H7). What start-up and repair then do is compared with what was
 * durable: it comes back whole, or the directory is refused and not touched.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from '../base/assert.ts';
import { FatalError, type FatalReason } from '../base/errors.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { HardState } from '../raft/effects.ts';
import { EntryChain, openTestLog, payloadOf, persisted } from './log-fixture.ts';
import {
  answerOf,
  everything,
  flip,
  heal,
  identity,
  RING,
  SMALL,
  SUPERBLOCK,
  segmentPath,
} from './repair/repair-fixture.ts';

const VOTE = { term: Term(3), votedFor: NodeId('n2') };
const OLD_VOTE = { term: Term(2), votedFor: NodeId('n1') };
/** Of a flip behind the last byte that is something, all places up to here are tried. */
const NEAR_BYTES = 64;
const ZEROS_STEP_BYTES = 128;
const FILES = [SUPERBLOCK, RING, segmentPath(0), segmentPath(1)] as const;

/** Two small entries of an older time, then more, into the second segment. */
function aShortChain(): EntryChain {
  const chain = new EntryChain(SMALL);
  for (const [i, size] of [40, 90, 3700, 120, 16].entries()) {
    const leaderCommit = LogIndex(Math.max(0, chain.entries.length - 1));
    chain.append({ payload: payloadOf(size, i), term: Term(i < 2 ? 2 : 3), leaderCommit });
  }
  return chain;
}

const chain = aShortChain();
const OLD_COUNT = 2;

interface Stores {
  /** After an orderly close, with the first two entries. */
  readonly old: MemoryDisk;
  /** The same store later, with all of them. */
  readonly now: MemoryDisk;
}

async function storesOf(end: 'killed' | 'closed'): Promise<Stores> {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk, { identity });
  await persisted(log, { hardState: OLD_VOTE, entries: chain.entries.slice(0, OLD_COUNT) });
  await log.close();
  const old = new MemoryDisk();
  for (const path of disk.paths) await old.writeFile(path, disk.contentOf(path).slice());
  const again = await openTestLog(disk, { identity });
  await persisted(again, { hardState: VOTE });
  for (const entry of chain.entries.slice(OLD_COUNT)) await persisted(again, { entries: [entry] });
  if (end === 'closed') await again.close();
  // The note of the last write is written behind it.
  await new Promise((resolve) => setImmediate(resolve));
  return { old, now: disk.killed() };
}

const ask = (range: Parameters<typeof answerOf>[1]) => answerOf(chain.entries, range);

interface Healed {
  readonly vote: HardState;
  /** It needed the bytes of others. */
  readonly isRepaired: boolean;
}

/** Opened, with the help of peers where needed, it has all entries, and the bytes it had. */
async function healedWhole(disk: MemoryDisk, now: MemoryDisk, label: string): Promise<Healed> {
  const { log, outcomes } = await heal(disk, ask);
  const descs = chain.entries.map(({ desc }) => desc);
  assert.deepEqual(log.recovered.entries, descs, label);
  await log.close();
  for (const place of [0, 1]) {
    const usedSizeBytes = Math.min(SMALL, chain.end - place * SMALL);
    const healed = disk.contentOf(segmentPath(place)).subarray(0, usedSizeBytes);
    const wanted = now.contentOf(segmentPath(place)).subarray(0, usedSizeBytes);
    assert.ok(Buffer.compare(healed, wanted) === 0, `${label}: bytes of segment ${place}`);
  }
  return { vote: log.recovered.hardState, isRepaired: outcomes.length > 0 };
}

/** All bytes that are something or near to it; of the zeros far from anything some. */
function* placesIn(bytes: Uint8Array): Generator<number> {
  let lastSomething = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 0) lastSomething = at;
    if (at - lastSomething <= NEAR_BYTES || at % ZEROS_STEP_BYTES === 0) yield at;
  }
}

test('the store under test has entries in two segments, and a third one prepared', async () => {
  const { now } = await storesOf('closed');
  assert.ok(chain.end > SMALL && chain.end < 2 * SMALL);
  for (const path of [...FILES, segmentPath(2)]) assert.ok(now.paths.includes(path), path);
});

for (const { end, step } of [
  { end: 'killed', step: 1 },
  // The same bytes, but for a clean end in the superblock.
  { end: 'closed', step: 7 },
] as const) {
  test(`one flipped bit at every byte of every file: all entries and the vote come back (${end})`, async () => {
    const { now } = await storesOf(end);
    const repaired = new Set<number>();
    for (const path of now.paths) {
      for (const at of placesIn(now.contentOf(path))) {
        if (at % step !== 0) continue;
        const disk = now.powerCutKeeping(everything);
        flip(disk, path, at);
        const label = `${path} byte ${at}`;
        const { vote, isRepaired } = await healedWhole(disk, now, label);
        assert.deepEqual(vote, VOTE, label);
        if (isRepaired) repaired.add(at);
      }
    }
    const entryBytes = chain.entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.ok(repaired.size > entryBytes / step / 2, `${repaired.size} of ${entryBytes}`);
  });

  test(`one flipped bit at every byte of the log, alone: refused, and not a byte is changed (${end})`, async () => {
    const { now } = await storesOf(end);
    for (const { desc } of chain.entries) {
      const path = segmentPath(Math.floor(desc.physicalOffset / SMALL));
      for (let i = 0; i < desc.sizeBytes; i += step) {
        const disk = now.powerCutKeeping(everything);
        flip(disk, path, (desc.physicalOffset % SMALL) + i);
        const before = contentsOf(disk);
        await assert.rejects(openTestLog(disk, { identity }), refusedFor('logDamaged'));
        assert.deepEqual(contentsOf(disk), before);
      }
    }
  });
}

const FATES = ['kept', 'missing', 'stale'] as const;
type Fate = (typeof FATES)[number];

async function inflict(disk: MemoryDisk, path: string, fate: Fate, old: MemoryDisk): Promise<void> {
  if (fate === 'kept') return;
  disk.vanish(path);
  if (fate === 'stale' && old.paths.includes(path)) {
    await disk.writeFile(path, old.contentOf(path).slice());
  }
}

/**
 * What start-up comes to when files are lost or old.
 *
 * `refused`: without a superblock it has forgotten its vote; with an old one beside a newer log or ring
 * it may have. `whole`: something says how far the log was durable: the clean end in the superblock, the
 * ring, or the entries of the last segment. `older`: nothing that is left knows better, because it
 * is all as old as the rest, or because ring and last segment of a killed node are lost together.
 * The peers, who were promised more, find that (H23).
 */
type Expectation = 'whole' | 'refused' | 'older';

function expectationOf(fates: ReadonlyMap<string, Fate>, isClosed: boolean): Expectation {
  const isKept = (path: string): boolean => fates.get(path) === 'kept';
  switch (fates.get(SUPERBLOCK)) {
    case 'kept':
      return isClosed || isKept(RING) || isKept(segmentPath(1)) ? 'whole' : 'older';
    case 'stale':
      if (isKept(RING) || isKept(segmentPath(0))) return 'refused';
      // Behind the clean end of the older time nothing is looked at, unless the log has a hole before it.
      return fates.get(segmentPath(0)) === 'missing' && isKept(segmentPath(1))
        ? 'refused'
        : 'older';
    default:
      return 'refused';
  }
}

for (const end of ['killed', 'closed'] as const) {
  test(`every combination of kept, missing and stale files: never less than what is known (${end})`, async () => {
    const { now, old } = await storesOf(end);
    const seen = new Map<Expectation, number>();
    for (let combination = 0; combination < FATES.length ** FILES.length; combination++) {
      const fates = new Map(
        FILES.map((path, i) => [path, FATES[Math.floor(combination / 3 ** i) % 3]!]),
      );
      const disk = now.powerCutKeeping(everything);
      for (const [path, fate] of fates) await inflict(disk, path, fate, old);
      const label = JSON.stringify([...fates]);
      const expectation = expectationOf(fates, end === 'closed');
      seen.set(expectation, 1 + (seen.get(expectation) ?? 0));
      await assertExpected(expectation, disk, now, label);
    }
    assert.deepEqual([...seen.keys()].sort(), ['older', 'refused', 'whole']);
  });
}

async function assertExpected(
  expectation: Expectation,
  disk: MemoryDisk,
  now: MemoryDisk,
  label: string,
): Promise<void> {
  switch (expectation) {
    case 'whole':
      await healedWhole(disk, now, label);
      return;
    case 'refused': {
      const before = contentsOf(disk);
      await assert.rejects(openTestLog(disk, { identity }), FatalError, label);
      assert.deepEqual(contentsOf(disk), before, label);
      await assert.rejects(heal(disk, ask), FatalError, label);
      return;
    }
    case 'older': {
      const { log } = await heal(disk, ask);
      const { entries } = log.recovered;
      const descs = chain.entries.map(({ desc }) => desc);
      assert.deepEqual(entries, descs.slice(0, entries.length), label);
      await log.close();
      return;
    }
    default:
      unreachable(expectation);
  }
}

function contentsOf(disk: MemoryDisk): readonly (readonly [string, Uint8Array])[] {
  return disk.paths.map((path) => [path, disk.contentOf(path).slice()] as const);
}

function refusedFor(reason: FatalReason): (error: unknown) => boolean {
  return (error) => error instanceof FatalError && error.reason === reason;
}
