/** What administration can ask of one node, and what it is told. */
import { equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import type { SnapshotKeeper } from '../replica/snapshot/snapshot-keeper.ts';
import type { TakeOutcome } from '../replica/snapshot/snapshot-taker.ts';
import { nodeTasks } from './node-admin.ts';

const SCRUBS = { scrubNow: () => 'A pass over the whole log begins.' };

function keeperOf(outcome: TakeOutcome): SnapshotKeeper {
  const chunks = async function* () {};
  return { files: { all: [], hold: () => () => {}, chunks }, take: async () => outcome };
}

test('a snapshot is answered with where it is, or with why there is none', async () => {
  const logStart = { index: LogIndex(1), offset: PhysicalOffset(0) };
  const info = {
    appliedIndex: LogIndex(7),
    appliedTerm: Term(1),
    logStart,
    sha256: '',
    chunkCount: 2,
  };
  const taken = nodeTasks({ snapshotKeeper: keeperOf({ kind: 'taken', info }) }, SCRUBS);
  equal(await taken.takeSnapshot(), 'The snapshot after entry 7 is durable, in 2 chunks.');
  const why = 'the disk is full';
  const failed = nodeTasks({ snapshotKeeper: keeperOf({ kind: 'failed', why }) }, SCRUBS);
  await rejects(failed.takeSnapshot(), /No snapshot was taken: the disk is full\./);
  const none = nodeTasks({ snapshotKeeper: null }, SCRUBS);
  await rejects(none.takeSnapshot(), /takes no snapshots/);
});

test('a scrub is answered when it has begun, or with why it does not', async () => {
  equal(await nodeTasks({ snapshotKeeper: null }, SCRUBS).scrub(), SCRUBS.scrubNow());
  const off = nodeTasks({ snapshotKeeper: null }, { scrubNow: () => null });
  await rejects(off.scrub(), /switched off/);
});
