/** Entries put back many at a time are what they are one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import {
  aChain,
  answerOf,
  everything,
  flip,
  heal,
  repairerOf,
  SMALL,
  segmentPath,
  spoil,
  storeOf,
} from './repair-fixture.ts';
import type { RepairRange } from './repair-source.ts';

const chain = aChain([100, 3700, 60, 900, 2500, 500, 40, 20, 30, 10, 300]);
const SEGMENTS = [0, 1, 2].map(segmentPath);
const ONE_BY_ONE = 1;

type Damage =
  | { readonly kind: 'flip'; readonly segment: number; readonly at: number }
  | { readonly kind: 'zeros'; readonly segment: number; readonly at: number; readonly size: number }
  | { readonly kind: 'vanish'; readonly segment: number };

const damages = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('flip' as const),
      segment: fc.nat(2),
      at: fc.integer({ min: 0, max: SMALL - 1 }),
    }),
    fc.record({
      kind: fc.constant('zeros' as const),
      segment: fc.nat(2),
      at: fc.integer({ min: 0, max: SMALL - 1 }),
      size: fc.integer({ min: 1, max: 4000 }),
    }),
    fc.record({ kind: fc.constant('vanish' as const), segment: fc.nat(2) }),
  ),
  { minLength: 1, maxLength: 4 },
);

function inflict(disk: MemoryDisk, all: readonly Damage[]): void {
  for (const damage of all) {
    const path = segmentPath(damage.segment);
    if (!disk.paths.includes(path)) continue;
    if (damage.kind === 'vanish') disk.vanish(path);
    else if (damage.kind === 'flip') flip(disk, path, damage.at);
    else {
      const sizeBytes = Math.min(damage.size, SMALL - damage.at);
      disk.rot(path, damage.at, new Uint8Array(sizeBytes));
    }
  }
}

test('whatever is damaged, and however large the answers are, all bytes are those of a repair one by one', async () => {
  const story = await storeOf(chain);
  const ask = (range: RepairRange) => answerOf(chain.entries, range);
  await fc.assert(
    fc.asyncProperty(damages, fc.integer({ min: 200, max: 30_000 }), async (all, sizeBytesMax) => {
      const alone = story.powerCutKeeping(everything);
      const batched = story.powerCutKeeping(everything);
      for (const disk of [alone, batched]) inflict(disk, all);
      const logs = [await heal(alone, ask, ONE_BY_ONE), await heal(batched, ask, sizeBytesMax)];
      for (const { log } of logs) {
        assert.equal(log.recovered.entries.length, chain.entries.length);
        await log.close();
      }
      for (const path of SEGMENTS) {
        assert.deepEqual(batched.contentOf(path), alone.contentOf(path), path);
        assert.deepEqual(batched.contentOf(path), story.contentOf(path), path);
      }
    }),
    { numRuns: 150 },
  );
});

test('what is bad in an answer does not spoil what is good next to its anchor', async () => {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  for (let index = 2; index <= 8; index++) spoil(disk, chain, index);
  const repairer = (await repairerOf(disk))!;
  const wanted = repairer.wanted()!;
  assert.deepEqual([wanted.from, wanted.to], [2, 8]);
  const answer = answerOf(chain.entries, { ...wanted, sizeBytesMax: 1e6 });
  const bent = answer.entries.map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
  bent[3]!.bytes[70]! ^= 1;
  const sizeBytes = bent.slice(4).reduce((sum, { desc }) => sum + desc.sizeBytes, 0);
  const outcome = await repairer.offer({ ...answer, entries: bent });
  assert.deepEqual(outcome, { kind: 'accepted', entryCount: 3, sizeBytes });
  assert.deepEqual([repairer.wanted()?.from, repairer.wanted()?.to], [2, 5]);
  assert.equal(repairer.missingCount, 4);
  const { physicalOffset } = chain.at(6).desc;
  const { physicalOffset: first } = chain.at(2).desc;
  assert.equal(repairer.missingBytes, physicalOffset - first);
  await repairer.offer(answerOf(chain.entries, { ...repairer.wanted()!, sizeBytesMax: 1e6 }));
  assert.equal(repairer.missingBytes, 0);
  await (await repairer.reopen()).close();
});

test('a batch leaves one copy of what it is written over, and none of zeros', async () => {
  const story = await storeOf(chain);
  const copiesOf = (disk: MemoryDisk) => disk.paths.filter((path) => path.includes('/quarantine/'));
  const ask = (range: RepairRange) => answerOf(chain.entries, range);
  const disk = story.powerCutKeeping(everything);
  for (const index of [2, 3]) spoil(disk, chain, index);
  const before = disk.contentOf(segmentPath(0));
  const { log } = await heal(disk, ask, 1e6);
  await log.close();
  const [copy, ...others] = copiesOf(disk);
  assert.deepEqual(others, []);
  const { physicalOffset } = chain.at(2).desc;
  const { physicalOffset: last, sizeBytes } = chain.at(3).desc;
  assert.deepEqual(disk.contentOf(copy!), before.slice(physicalOffset, last + sizeBytes));
  const without = story.powerCutKeeping(everything);
  without.vanish(segmentPath(1));
  await (await heal(without, ask, 1e6)).log.close();
  assert.deepEqual(copiesOf(without), []);
});

test('a place that the disk cannot read is written over all the same', async () => {
  const story = await storeOf(chain);
  const disk = story.powerCutKeeping(everything);
  const { physicalOffset } = chain.at(2).desc;
  const real = disk.read.bind(disk);
  let isWritten = false;
  disk.read = async (path, position, sizeBytes) => {
    const isHit = position <= physicalOffset + 100 && position + sizeBytes > physicalOffset + 100;
    if (path === segmentPath(0) && isHit && !isWritten) {
      disk.failNext({ operation: 'read', code: 'EIO', after: 0 });
    }
    return real(path, position, sizeBytes);
  };
  const { log } = await heal(disk, (range) => {
    const answer = answerOf(chain.entries, range);
    // After its write the disk has put the place elsewhere.
    if (disk.paths.some((path) => path.includes('/quarantine/'))) isWritten = true;
    return answer;
  });
  await log.close();
  assert.deepEqual(disk.contentOf(segmentPath(0)), story.contentOf(segmentPath(0)));
});
