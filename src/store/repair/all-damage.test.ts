/** Every damage of a kind to a small log, behind every kind of base, comes back byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../base/prng.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { CommitLog } from '../commit-log.ts';
import { LOG_FORMS, Steps } from '../log-fixture.ts';
import type { LogRepairer } from './log-repairer.ts';
import {
  answerOf,
  everything,
  flip,
  heal,
  logUnderTest,
  nothing,
  repairerOf,
  SMALL,
} from './repair-fixture.ts';

for (const form of LOG_FORMS) {
  const subject = logUnderTest(form);
  const { chain, before: N } = subject;
  const SEGMENTS = [0, 1, 2].map((place) => subject.segment(place));

  async function assertWhole(
    log: CommitLog,
    original: MemoryDisk,
    disk: MemoryDisk,
  ): Promise<void> {
    assert.deepEqual(
      log.recovered.entries,
      chain.entries.map(({ desc }) => desc),
    );
    assert.deepEqual(log.recovered.base, chain.base);
    await log.close();
    const survivor = disk.powerCutKeeping(nothing);
    for (const path of SEGMENTS) {
      assert.deepEqual(survivor.contentOf(path), original.contentOf(path), path);
    }
  }

  test(`${form}: the log under test fills three segments and has fillers`, () => {
    assert.ok(subject.usedSizeBytes(1) === SMALL && subject.usedSizeBytes(2) > 0);
    assert.ok(chain.entries.filter(({ desc }) => desc.type === 'filler').length >= 2);
  });

  for (const end of ['killed', 'closed'] as const) {
    test(`${form}: one flipped bit at any byte heals, and all bytes are what they were (${end})`, async () => {
      const story = await subject.store(end);
      const original = story.powerCutKeeping(everything);
      let repaired = 0;
      for (const [place, path] of SEGMENTS.entries()) {
        const usedEnd = subject.usedSizeBytes(place);
        for (let at = 0; at < usedEnd; at += at < SEGMENT_HEADER_SIZE_BYTES ? 257 : 7) {
          const disk = story.powerCutKeeping(everything);
          flip(disk, path, at);
          const label = `${path} byte ${at}`;
          const { log, outcomes } = await heal(disk, (range) => answerOf(chain.entries, range));
          if (at >= SEGMENT_HEADER_SIZE_BYTES) {
            assert.deepEqual(outcomes, ['accepted'], label);
            repaired += 1;
          }
          await assertWhole(log, original, disk);
        }
      }
      assert.ok(repaired > 1000, `${repaired}`);
    });
  }

  test(`${form}: every subset of missing and short segments heals`, async () => {
    const story = await subject.store();
    const original = story.powerCutKeeping(everything);
    for (let subset = 0; subset < 27; subset++) {
      const disk = story.powerCutKeeping(everything);
      for (const [place, path] of SEGMENTS.entries()) {
        const fate = Math.floor(subset / 3 ** place) % 3;
        const content = disk.contentOf(path);
        if (fate > 0) disk.vanish(path);
        if (fate === 2) await disk.writeFile(path, content.slice(0, 5001));
      }
      const { log } = await heal(disk, (range) => answerOf(chain.entries, range));
      await assertWhole(log, original, disk);
    }
  });

  test(`${form}: zeros from any byte on heal`, async () => {
    const story = await subject.store();
    const original = story.powerCutKeeping(everything);
    for (const [place, path] of SEGMENTS.entries()) {
      const usedEnd = subject.usedSizeBytes(place);
      for (let at = 0; at < usedEnd; at += 97) {
        const disk = story.powerCutKeeping(everything);
        disk.rot(path, at, new Uint8Array(SMALL - at));
        for (const later of SEGMENTS.slice(place + 1)) disk.rot(later, 0, new Uint8Array(SMALL));
        const { log } = await heal(disk, (range) => answerOf(chain.entries, range));
        await assertWhole(log, original, disk);
      }
    }
  });

  test(`${form}: several holes heal, each from whoever has what is missing`, async () => {
    const story = await subject.store();
    const disk = story.powerCutKeeping(everything);
    for (const index of [1, 4, 6, 9]) subject.spoil(disk, index);
    const repairer = await repairerOf(disk);
    const missing = [1, 4, 6, 9].map((nth) => `entry ${N + nth}`).join(', ');
    assert.equal(repairer?.missing, missing);
    assert.equal(repairer.missingCount, 4);
    await repairer.close();
    const { log, reopenings } = await heal(disk, (range) => answerOf(chain.entries, range));
    assert.equal(reopenings, 1);
    await assertWhole(log, story.powerCutKeeping(everything), disk);
  });

  test(`${form}: three logs whose damage does not overlap heal each other without a leader`, async () => {
    const story = await subject.store();
    const count = chain.entries.length;
    const disks = [0, 1, 2].map(() => story.powerCutKeeping(everything));
    for (let index = 1; index <= count; index++) subject.spoil(disks[index % 3]!, index);
    const repairers: LogRepairer[] = [];
    for (const disk of disks) repairers.push((await repairerOf(disk))!);
    for (let round = 0; round < 60; round++) {
      for (const [i, repairer] of repairers.entries()) {
        const wanted = repairer.wanted();
        if (wanted === null) continue;
        const answer = await repairers[(i + 1 + (round % 2)) % 3]!.read(wanted);
        if (answer.entries.length > 0) await repairer.offer(answer);
      }
    }
    for (const [i, repairer] of repairers.entries()) {
      assert.equal(repairer.missing, '', `log ${i}`);
      await assertWhole(await repairer.reopen(), story.powerCutKeeping(everything), disks[i]!);
    }
  });

  for (const answerSizeBytes of [700, 6000]) {
    const what = `${form}, answers of ${answerSizeBytes} bytes`;
    test(`${what}: a crash at any step of a repair leaves a log that the next start repairs`, async () => {
      const story = await subject.store();
      const original = story.powerCutKeeping(everything);
      for (let stepCount = 0, isOver = false; !isOver; stepCount++) {
        const steps = new Steps();
        const disk = new MemoryDisk({ later: steps.later });
        const copying = (async () => {
          for (const path of original.paths) await disk.writeFile(path, original.contentOf(path));
        })();
        await steps.until(copying);
        for (const index of [2, 3, 7]) subject.spoil(disk, index);
        disk.vanish(subject.segment(1));
        const healing = heal(disk, (range) => answerOf(chain.entries, range), answerSizeBytes).then(
          () => 'done',
        );
        let isDone = false;
        void healing.then(() => {
          isDone = true;
        });
        for (let i = 0; i < stepCount && !isDone; i++) await steps.next();
        isOver = isDone;
        const after = disk.powerCut(new Prng(stepCount));
        const again = heal(after, (range) => answerOf(chain.entries, range));
        const { log } = await steps.until(again);
        assert.equal(log.recovered.entries.length, chain.entries.length, `step ${stepCount}`);
        for (const path of SEGMENTS) {
          assert.deepEqual(after.contentOf(path), original.contentOf(path), `${path} ${stepCount}`);
        }
      }
    });
  }
}
