/** A sync fails while a log is repaired (H2): what the system remembers since is not believed. */
import { deepEqual, equal, notDeepEqual, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { TEST_DIRECTORY } from '../log-fixture.ts';
import {
  aChain,
  answerOf,
  everything,
  heal,
  nothing,
  segmentPath,
  spoil,
  storeOf,
} from './repair-fixture.ts';
import type { RepairRange } from './repair-source.ts';

const MARK = `${TEST_DIRECTORY}/repairing`;
const SEGMENT = segmentPath(0);
const chain = aChain();
const ask = (range: RepairRange) => answerOf(chain.entries, range);

async function damaged(): Promise<{ disk: MemoryDisk; original: Uint8Array }> {
  const whole = (await storeOf(chain, 'closed')).powerCutKeeping(everything);
  const disk = await copyOf(whole);
  for (const index of [1, 2, 3]) spoil(disk, chain, index);
  return { disk, original: whole.contentOf(SEGMENT) };
}

async function copyOf(disk: MemoryDisk): Promise<MemoryDisk> {
  const copy = new MemoryDisk();
  for (const path of disk.paths) await copy.writeFile(path, disk.contentOf(path));
  return copy;
}

for (const after of [0, 1, 2]) {
  test(`sync ${after + 1} of a repair fails: the next start puts back what the device lacks`, async () => {
    const { disk, original } = await damaged();
    disk.failNext({ operation: 'sync', code: 'EIO', after, pathPart: '.seg' });
    await rejects(heal(disk, ask, 400), /EIO/);
    const next = disk.killed();
    ok(next.paths.includes(MARK));
    const onDevice = await next.readPastCache(SEGMENT, 0, original.length);
    notDeepEqual(onDevice.bytes, original);
    const { log } = await heal(next, ask);
    equal(log.recovered.entries.length, chain.entries.length);
    ok(!next.paths.includes(MARK));
    deepEqual(next.powerCutKeeping(nothing).contentOf(SEGMENT), original);
  });
}

test('after a repair that worked nothing is doubted', async () => {
  const { disk } = await damaged();
  const { log } = await heal(disk, ask);
  ok(!disk.paths.includes(MARK));
  await log.close();
});
