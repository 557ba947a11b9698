/** Files that a disk has brought back from before, and the two last writes in every state (H3, H5, H6). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { LogIndex, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { CommitLog } from './commit-log.ts';
import { tipOfBase } from './log-base.ts';
import {
  baseAt,
  chainOfSegments,
  type EntryChain,
  LOG_FORMS,
  openTestLog,
  payloadOf,
  persisted,
  Steps,
  standOn,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const SMALL = 8192;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };
const everything = { sector: () => true, name: () => true };

type Image = ReadonlyMap<string, Uint8Array>;

function imageOf(disk: MemoryDisk): Image {
  return new Map(disk.paths.map((path) => [path, disk.contentOf(path)]));
}

async function diskOf(image: Image): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  for (const [path, bytes] of image) await disk.writeFile(path, bytes);
  return disk;
}

/** A life with appends, a cut, compactions and an installation; an image after each of them. */
async function life(): Promise<{ readonly images: readonly Image[]; readonly last: number }> {
  const disk = new MemoryDisk();
  const images: Image[] = [];
  const look = async (): Promise<void> => {
    // The note of the last write is written behind it.
    await new Promise((resolve) => setImmediate(resolve));
    images.push(imageOf(disk));
  };
  const log = await openTestLog(disk, { identity });
  await persisted(log, { hardState: term(1) });
  await look();
  const first = chainOfSegments(SMALL, 4);
  await persisted(log, { entries: first.entries.slice(0, 6) });
  await look();
  await persisted(log, { entries: first.entries.slice(6) });
  await look();
  first.truncateFrom(LogIndex(first.lastIndex - 1));
  const cut = { hardState: term(2), truncateFrom: LogIndex(first.lastIndex + 1) };
  await persisted(log, {
    ...cut,
    entries: first.append({ payload: payloadOf(700, 5), term: Term(2) }),
  });
  await look();
  log.noteCommitIndex(LogIndex(first.lastIndex));
  await compact(log, first, SMALL);
  await look();
  await compact(log, first, 2 * SMALL);
  await look();
  const second = chainOfSegments(SMALL, 8, 3);
  const base = baseAt(second, 6 * SMALL);
  const { index } = tipOfBase(base);
  await persisted(log, { hardState: term(3), base, entries: second.entries.slice(index) });
  await look();
  log.noteCommitIndex(second.lastIndex);
  await compact(log, second, 7 * SMALL);
  await look();
  await log.close();
  await look();
  return { images, last: second.lastIndex };
}

function compact(log: CommitLog, chain: EntryChain, start: number): Promise<void> {
  return log.compact(baseAt(chain, start).desc!);
}

/** @returns the last entry, or why it does not open */
async function openedOrRefused(disk: MemoryDisk): Promise<number | string> {
  const before = imageOf(disk);
  try {
    const log = await openTestLog(disk, { identity });
    const { base, entries } = log.recovered;
    await log.close();
    return entries.at(-1)?.index ?? tipOfBase(base).index;
  } catch (error) {
    assert.ok(error instanceof FatalError, String(error));
    assert.deepEqual(imageOf(disk), before, 'a refusal changes nothing');
    return error.reason;
  }
}

test('a file of any earlier moment never shortens the log: whole, or refused as it is', async () => {
  const { images, last } = await life();
  const now = images.at(-1)!; // looked at
  const outcomes = new Map<string, Set<number | string>>();
  for (const [moment, image] of images.entries()) {
    for (const path of new Set([...image.keys(), ...now.keys()])) {
      const stale = new Map(now);
      const old = image.get(path);
      if (old === undefined) stale.delete(path);
      else stale.set(path, old);
      const outcome = await openedOrRefused(await diskOf(stale));
      const label = `${path} of moment ${moment}`;
      if (typeof outcome === 'number') assert.equal(outcome, last, label);
      const name = path.slice('/store/'.length);
      outcomes.set(name, (outcomes.get(name) ?? new Set()).add(outcome));
    }
  }
  // An older base names a log that is not there; an older ring and older segments in the way do no harm.
  assert.deepEqual([...(outcomes.get('base') ?? [])].sort(), [last, 'logDamaged']);
  assert.deepEqual([...(outcomes.get('data/00000000000000000000.seg') ?? [])], [last]);
  assert.ok(outcomes.get('superblock')?.has('logDamaged'));
});

for (const form of LOG_FORMS) {
  test(`${form}: every subset of the sectors of two writes and of the note before them`, async () => {
    const steps = new Steps();
    const disk = new MemoryDisk({ later: steps.later });
    const log = await steps.until(openTestLog(disk, { identity }));
    await steps.until(persisted(log, { hardState: term(1) }));
    const chain = await steps.until(standOn(log, form));
    chain.append({ payload: payloadOf(600, 1), term: Term(1) });
    await steps.until(persisted(log, { entries: chain.entries.slice() }));
    const durable = chain.entries.length;
    for (const size of [500, 900]) {
      const from = chain.entries.length;
      chain.append({ payload: payloadOf(size, size), term: Term(1) });
      void persisted(log, { entries: chain.entries.slice(from) });
    }
    const isWritten = (): boolean => [...disk.dirtySectors.values()].flat().length >= 4;
    while (!isWritten()) assert.ok(await steps.next(), 'both get written');
    const dirty = [...disk.dirtySectors].flatMap(([path, sectors]) =>
      sectors.map((sector) => `${path} ${sector}`),
    );
    assert.ok(dirty.some((each) => each.includes('durable.ring')));
    assert.ok(dirty.length <= 12, `${dirty.length} sectors`);
    const found = new Set<number>();
    for (let subset = 0; subset < 2 ** dirty.length; subset++) {
      const after = disk.powerCutKeeping({
        ...everything,
        sector: (path, sector) => ((subset >> dirty.indexOf(`${path} ${sector}`)) & 1) === 1,
      });
      const again = await steps.until(openTestLog(after, { identity }));
      const { entries } = again.recovered;
      assert.ok(entries.length >= durable, `subset ${subset}`);
      assert.deepEqual(
        entries,
        chain.entries.slice(0, entries.length).map(({ desc }) => desc),
      );
      found.add(entries.length);
    }
    assert.deepEqual([...found].sort(), [durable, durable + 1, durable + 2]);
  });
}
