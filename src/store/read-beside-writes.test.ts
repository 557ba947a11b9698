import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/sizes.ts';
import { LogIndex, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  Steps,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

test('a read from before the cache stops at what may not be on the disk yet', async () => {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const chain = new EntryChain(TEST_IDENTITY.segmentSizeBytes);
  const nextEntry = () => chain.append({ payload: payloadOf(100, 1), term: Term(1) });
  const first = await steps.until(openTestLog(disk));
  await steps.until(persisted(first, { hardState: term(1), entries: nextEntry() }));
  await steps.until(persisted(first, { entries: nextEntry() }));
  await steps.until(first.close());

  // As a leader after a restart: nothing of the old log is in the cache, its no-op is on the way.
  const log = await steps.until(openTestLog(disk));
  const reading = log.readEntries(LogIndex(1), LogIndex(2), MIB);
  assert.equal((await steps.until(reading)).length, 2);
  // The second write waits for the sync of the first, and the read comes before it.
  const writing = [1, 2].map(() => persisted(log, { entries: nextEntry() }));
  const spanning = log.readEntries(LogIndex(1), LogIndex(4), MIB);
  assert.deepEqual(await steps.until(spanning), chain.entries.slice(0, 2));
  await steps.until(Promise.all(writing));
  const rest = await steps.until(log.readEntries(LogIndex(3), LogIndex(4), MIB));
  assert.deepEqual(rest, chain.entries.slice(2));
  await steps.until(log.close());
});
