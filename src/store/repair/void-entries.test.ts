/** Entries that were here and do not count: never committed, or torn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { EntryChain, openTestLog, payloadOf, persisted, Steps, term } from '../log-fixture.ts';
import {
  aChain,
  answerOf,
  everything,
  heal,
  identity,
  nothing,
  repairerOf,
  SMALL,
  spoil,
  storeOf,
} from './repair-fixture.ts';

const chain = aChain();

/** The group has gone on without us: from entry `from` on it has others, of term 2. */
function otherHistory(from: number, sizes: readonly number[]): EntryChain {
  const other = new EntryChain(SMALL);
  other.entries.push(...chain.entries.slice(0, from - 1));
  for (const [i, size] of sizes.entries()) {
    other.append({ payload: payloadOf(size, 200 + i), term: Term(2) });
  }
  return other;
}

test('entries that were never committed give way to those of the group', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 8);
  const other = otherHistory(7, [90, 80, 300, 10]);
  const { log } = await heal(disk, (range) => answerOf(other.entries, range));
  const got = log.recovered.entries;
  assert.deepEqual(
    got,
    other.entries.slice(0, got.length).map(({ desc }) => desc),
  );
  assert.ok(got.length >= 9);
  assert.deepEqual(log.recovered.hardState, { term: 2, votedFor: null });
  assert.ok(log.recovered.hasTornTail);
  await log.close();
  assert.equal(await repairerOf(disk.powerCutKeeping(nothing)), null);
});

test('a committed entry of a later term voids all behind it, although the group is not so far', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 8);
  const other = otherHistory(7, [77]);
  const { log, outcomes } = await heal(disk, (range) => answerOf(other.entries, range));
  assert.deepEqual(outcomes, [], 'nothing more is wanted');
  // Entry 7 is no longer the group's: a leader will say so, as to every follower.
  assert.equal(log.recovered.entries.length, 7);
  await log.close();
  assert.equal(await repairerOf(disk.powerCutKeeping(nothing)), null);
});

test('what nobody has is waited for when it was surely durable', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  spoil(disk, chain, 6);
  const repairer = (await repairerOf(disk))!;
  const short = chain.entries.slice(0, 5);
  const wanted = repairer.wanted()!;
  assert.equal(await repairer.hear(short.at(-1)!.desc), false);
  assert.deepEqual(answerOf(short, wanted).entries, []);
  await assert.rejects(repairer.nobodyHasIt(LogIndex(5)), /never given up/);
  await repairer.close();
  await repairer.close();
});

/** Two entries that are written and not noted; the first one is bad. */
async function tornTail(): Promise<MemoryDisk> {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk, { identity }));
  await steps.until(persisted(log, { hardState: term(1) }));
  await steps.until(persisted(log, { entries: chain.entries.slice(0, 2) }));
  await steps.until(log.close());
  const again = await steps.until(openTestLog(disk, { identity }));
  await steps.drain();
  const tail = chain.entries.slice(2, 6);
  again.persist({
    hardState: null,
    base: null,
    truncateFrom: null,
    entries: tail,
    onDurable: () => {},
  });
  while (disk.dirtySectors.size < 2) assert.ok(await steps.next());
  const image = disk.powerCutKeeping(everything);
  const torn = new MemoryDisk();
  for (const path of image.paths) await torn.writeFile(path, image.contentOf(path));
  spoil(torn, chain, 4);
  return torn;
}

test('a torn end with entries behind it: without peers to ask it is cut', async () => {
  const log = await openTestLog(await tornTail(), { identity });
  assert.equal(log.recovered.entries.length, 3);
  assert.ok(log.recovered.hasTornTail);
  await log.close();
});

test('a torn end with entries behind it is made whole by whoever has it', async () => {
  const disk = await tornTail();
  const { log } = await heal(disk, (range) => answerOf(chain.entries.slice(0, 6), range));
  assert.equal(log.recovered.entries.length, 6);
  assert.equal(log.recovered.hasTornTail, false);
  await log.close();
});

test('a torn end is cut when the group has committed something else there', async () => {
  const disk = await tornTail();
  const other = otherHistory(4, [20, 30]);
  const { log } = await heal(disk, (range) => answerOf(other.entries, range));
  assert.deepEqual(
    log.recovered.entries,
    other.entries.slice(0, log.recovered.entries.length).map(({ desc }) => desc),
  );
  assert.ok(log.recovered.entries.length >= 4, 'what may have been promised is here again');
  assert.ok(log.recovered.hasTornTail);
  await log.close();
});

test('a torn end is cut when all others have said that they do not have it', async () => {
  for (const commitIndex of [2, 3]) {
    const disk = await tornTail();
    const repairer = (await repairerOf(disk))!;
    assert.ok(repairer.isAmbiguous);
    await repairer.nobodyHasIt(LogIndex(commitIndex));
    assert.equal(repairer.wanted(), null);
    const log = await repairer.reopen();
    assert.equal(log.recovered.entries.length, 3);
    assert.ok(log.recovered.hasTornTail);
    await log.close();
  }
});
