import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { CommitLog } from './commit-log.ts';
import {
  EntryChain,
  LOG_FORMS,
  oneSegment,
  openTestLog,
  payloadOf,
  persisted,
  Steps,
  segmentPathAt,
  standOn,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const SMALL = 8192;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };
const RING = `${TEST_DIRECTORY}/durable.ring`;

const everything = { sector: () => true, name: () => true };

for (const form of LOG_FORMS) {
  /** Where the log begins, and what is before its first entry. */
  const START = form === 'whole' ? 0 : SMALL;
  const N = form === 'whole' ? 0 : oneSegment(SMALL).lastIndex;
  const FIRST_SEGMENT = segmentPathAt(form, START, SMALL);
  const SECOND_SEGMENT = segmentPathAt(form, START + SMALL, SMALL);

  interface Story {
    readonly disk: MemoryDisk;
    readonly steps: Steps;
    readonly chain: EntryChain;
    /** Entries up to here are noted as durable, and the note is durable. */
    readonly durableCount: number;
  }

  /** Some entries that are durable and noted, then a batch that is written and not yet synced. */
  async function torn(
    durableSizes: readonly number[],
    batchSizes: readonly number[],
  ): Promise<Story> {
    const steps = new Steps();
    const disk = new MemoryDisk({ later: steps.later });
    const log = await steps.until(openTestLog(disk, { identity }));
    await steps.until(persisted(log, { hardState: term(1) }));
    const chain = await steps.until(standOn(log, form));
    for (const [i, sizeBytes] of durableSizes.entries()) {
      chain.append({ payload: payloadOf(sizeBytes, i), term: Term(1) });
    }
    const durableCount = chain.entries.length;
    await steps.until(persisted(log, { entries: chain.entries.slice() }));
    // The next start notes all that is there, durably.
    await steps.until(log.close());
    const again = await steps.until(openTestLog(disk, { identity }));
    await steps.drain();
    for (const [i, sizeBytes] of batchSizes.entries()) {
      const leaderCommit = chain.lastIndex;
      chain.append({ payload: payloadOf(sizeBytes, i + 50), term: Term(1), leaderCommit });
    }
    const entries = chain.entries.slice(durableCount);
    again.persist({
      hardState: null,
      base: null,
      truncateFrom: null,
      entries,
      onDurable: () => assert.fail(),
    });
    while (disk.dirtySectors.size === 0) assert.ok(await steps.next(), 'the batch gets written');
    return { disk, steps, chain, durableCount };
  }

  /** How many of the chain's entries are wholly there, with nothing missing before them. */
  function wholeEntries(disk: MemoryDisk, chain: EntryChain): number {
    let count = 0;
    let headersUpTo = -1;
    for (const { desc, bytes } of chain.entries) {
      const segment = Math.floor(desc.physicalOffset / identity.segmentSizeBytes);
      const path = segmentPathAt(form, desc.physicalOffset, SMALL);
      const file = disk.contentOf(path);
      if (segment > headersUpTo) {
        const half = SEGMENT_HEADER_SIZE_BYTES / 2;
        // The header's own bytes end well before its zeros; either copy is enough.
        const copies = [file.subarray(0, half), file.subarray(half, 2 * half)];
        if (!copies.some((copy) => copy[0] !== 0 && copy[half - 1] !== 0)) return count;
        headersUpTo = segment;
      }
      const at = desc.physicalOffset % identity.segmentSizeBytes;
      if (Buffer.compare(file.subarray(at, at + bytes.length), bytes) !== 0) return count;
      count += 1;
    }
    return count;
  }

  async function checkRecovered(story: Story, disk: MemoryDisk, label: string): Promise<number> {
    const { steps, chain, durableCount } = story;
    const whole = wholeEntries(disk, chain);
    assert.ok(whole >= durableCount, `${label}: the durable entries are there`);
    const log = await steps.until(openTestLog(disk, { identity }));
    const descs = chain.entries.map(({ desc }) => desc);
    assert.deepEqual(log.recovered.entries, descs.slice(0, whole), label);
    await steps.drain();
    // What was recovered is durable, and the log goes on; a second crash finds the same.
    const next = new EntryChain(SMALL, chain.base);
    next.entries.push(...chain.entries.slice(0, whole));
    const more = next.append({ payload: payloadOf(700, 99), term: Term(1) });
    await steps.until(persisted(log, { entries: more }));
    const survivor = disk.powerCutKeeping({ sector: () => false, name: () => false });
    const again = await steps.until(openTestLog(survivor, { identity }));
    assert.equal(again.recovered.tornBytes, 0, label);
    assert.equal(again.recovered.hasTornTail, false, label);
    assert.deepEqual(
      again.recovered.entries,
      next.entries.map(({ desc }) => desc),
      label,
    );
    return whole;
  }

  test(`${form}: every subset of the sectors of the last batch leaves exactly its whole entries`, async () => {
    const story = await torn([300, 200], [700, 600, 900, 300]);
    const sectors = story.disk.dirtySectors.get(FIRST_SEGMENT) ?? [];
    assert.ok(sectors.length >= 4 && sectors.length <= 6, `${sectors.length} sectors`);
    const seen = new Set<number>();
    for (let subset = 0; subset < 2 ** sectors.length; subset++) {
      const disk = story.disk.powerCutKeeping({
        sector: (_, sector) => ((subset >> sectors.indexOf(sector)) & 1) === 1,
        name: () => true,
      });
      seen.add(await checkRecovered(story, disk, `subset ${subset}`));
    }
    assert.deepEqual([...seen].sort(), [2, 3, 4, 5, 6]);
  });

  test(`${form}: a batch that starts a new segment may be torn anywhere`, async () => {
    const story = await torn([2500], [700, 400, 900]);
    assert.equal(story.disk.dirtySectors.size, 2);
    const random = new Prng(7);
    const seen = new Set<number>();
    for (let run = 0; run < 60; run++) {
      const chance = 1 + (run % 9);
      const survival = { sector: () => random.chance(chance, 10), name: () => true };
      seen.add(await checkRecovered(story, story.disk.powerCutKeeping(survival), `run ${run}`));
    }
    assert.ok(seen.size >= 4, `${[...seen]}`);
  });

  test(`${form}: a cut at any byte leaves the whole entries above W, and is refused at or below it`, async () => {
    const story = await torn([40, 56], [30, 8]);
    const { chain, durableCount } = story;
    const image = story.disk.powerCutKeeping(everything).contentOf(FIRST_SEGMENT);
    const durableEnd = chain.entries[durableCount]!.desc.physicalOffset - START;
    let refusedCount = 0;
    for (let cut = SEGMENT_HEADER_SIZE_BYTES; cut <= chain.end - START; cut++) {
      const disk = story.disk.powerCutKeeping(everything);
      disk.rot(FIRST_SEGMENT, cut, new Uint8Array(image.length - cut));
      if (wholeEntries(disk, chain) >= durableCount) {
        await checkRecovered(story, disk, `cut at ${cut}`);
        continue;
      }
      assert.ok(cut < durableEnd);
      await assertRefused(story, disk, `cut at ${cut}`);
      refusedCount += 1;
    }
    assert.ok(refusedCount > 200, `${refusedCount} of ${durableEnd - SEGMENT_HEADER_SIZE_BYTES}`);
  });

  async function assertRefused(story: Story, disk: MemoryDisk, label: string): Promise<FatalError> {
    const before = disk.paths.map((path) => disk.contentOf(path));
    let refusal: unknown = null;
    try {
      await story.steps.until(openTestLog(disk, { identity }));
    } catch (error) {
      refusal = error;
    }
    assert.ok(refusal instanceof FatalError, `${label}: refused`);
    assert.equal(refusal.reason, 'logDamaged', label);
    const after = disk.paths.map((path) => disk.contentOf(path));
    assert.deepEqual(after, before, `${label}: a refusal changes nothing`);
    return refusal;
  }

  /** Two segments of entries, all durable, after a kill or an orderly close. */
  async function settled(end: 'killed' | 'closed'): Promise<Story> {
    const steps = new Steps();
    const disk = new MemoryDisk({ later: steps.later });
    const log = await steps.until(openTestLog(disk, { identity }));
    await steps.until(persisted(log, { hardState: term(1) }));
    const chain = await steps.until(standOn(log, form));
    for (const [i, sizeBytes] of [100, 3700, 60, 90].entries()) {
      const leaderCommit = chain.lastIndex;
      const payload = payloadOf(sizeBytes, i);
      const entries = chain.append({ payload, term: Term(1), leaderCommit });
      await steps.until(persisted(log, { entries }));
    }
    if (end === 'closed') await steps.until(log.close());
    await steps.drain();
    return { disk, steps, chain, durableCount: chain.entries.length };
  }

  for (const end of ['killed', 'closed'] as const) {
    test(`${form}: a flipped bit in a durable log never shortens it (${end})`, async () => {
      const story = await settled(end);
      const { chain } = story;
      const usedEnds: readonly (readonly [string, number])[] = [
        [FIRST_SEGMENT, identity.segmentSizeBytes],
        [SECOND_SEGMENT, chain.end - START - SMALL],
      ];
      let healed = 0;
      let refused = 0;
      for (const [path, usedEnd] of usedEnds) {
        for (let at = 0; at < usedEnd; at += at < SEGMENT_HEADER_SIZE_BYTES ? 61 : 13) {
          const disk = story.disk.powerCutKeeping(everything);
          const byte = disk.contentOf(path)[at]!;
          disk.rot(path, at, new Uint8Array([byte ^ (1 << (at % 8))]));
          if (at >= SEGMENT_HEADER_SIZE_BYTES) {
            await assertRefused(story, disk, `${path} byte ${at}`);
            refused += 1;
            continue;
          }
          const log = await story.steps.until(openTestLog(disk, { identity }));
          assert.equal(log.recovered.entries.length, chain.entries.length);
          await story.steps.drain();
          assert.equal(disk.contentOf(path)[at], byte, 'the header is whole again');
          healed += 1;
        }
      }
      assert.ok(healed > 100);
      assert.ok(refused > 300);
    });
  }

  test(`${form}: a refusal names file, place, entries, what was expected and found, and the way out`, async () => {
    const story = await settled('killed');
    const { physicalOffset } = story.chain.entries[1]!.desc;
    const disk = story.disk.powerCutKeeping(everything);
    disk.rot(FIRST_SEGMENT, physicalOffset - START + 100, new Uint8Array([0, 1, 2]));
    const refusal = await assertRefused(story, disk, 'rot in entry 2');
    assert.equal(
      refusal.message,
      `Cannot open the log in ${TEST_DIRECTORY}: ${FIRST_SEGMENT} at byte ${physicalOffset - START} ` +
        `(physical offset ${physicalOffset}): expected entry ${N + 2}, found the entry with a damaged body ` +
        `(badPayloadCrc); this concerns entry ${N + 2}, although entry ${N + 5} was noted as durable. ` +
        'Restore this node or start it where it reaches its peers',
    );
  });

  test(`${form}: without a ring, leader commits in later headers protect what they prove`, async () => {
    const story = await settled('killed');
    const disk = story.disk.powerCutKeeping(everything);
    disk.vanish(RING);
    const { physicalOffset } = story.chain.entries[1]!.desc;
    disk.rot(FIRST_SEGMENT, physicalOffset - START + 100, new Uint8Array([0, 1, 2]));
    const refusal = await assertRefused(story, disk, 'no ring');
    assert.match(refusal.message, new RegExp(`a later entry proves entry ${N + 4} committed`));
  });

  test(`${form}: a ring that is missing or damaged costs nothing when the log is whole`, async () => {
    for (const damage of ['missing', 'zeros'] as const) {
      const story = await settled('killed');
      const disk = story.disk.powerCutKeeping(everything);
      if (damage === 'missing') disk.vanish(RING);
      else disk.rot(RING, 0, new Uint8Array(4096));
      const log: CommitLog = await story.steps.until(openTestLog(disk, { identity }));
      assert.equal(log.recovered.entries.length, story.chain.entries.length);
    }
  });

  test(`${form}: a log that lost its last entries to zeros is refused, not shortened`, async () => {
    const story = await settled('killed');
    const last = story.chain.entries.at(-1)!.desc;
    const disk = story.disk.powerCutKeeping(everything);
    const at = last.physicalOffset - START - SMALL;
    disk.rot(SECOND_SEGMENT, at, new Uint8Array(last.sizeBytes));
    const refusal = await assertRefused(story, disk, 'lost tail');
    const lost = `without entry ${N + 5}, although entry ${N + 5} was noted as durable`;
    assert.match(refusal.message, new RegExp(lost));
  });

  test(`${form}: missing, short and misplaced segments are refused`, async () => {
    const story = await settled('closed');
    const missing = story.disk.powerCutKeeping(everything);
    missing.vanish(FIRST_SEGMENT);
    assert.match(
      (await assertRefused(story, missing, 'missing')).message,
      new RegExp(`entries ${N + 1} to ${N + 3}`),
    );

    const swapped = story.disk.powerCutKeeping(everything);
    swapped.rot(SECOND_SEGMENT, 0, story.disk.contentOf(FIRST_SEGMENT));
    assert.match((await assertRefused(story, swapped, 'swapped')).message, /another header/);

    const gone = story.disk.powerCutKeeping(everything);
    for (const path of gone.paths) if (path.endsWith('.seg')) gone.vanish(path);
    assert.match(
      (await assertRefused(story, gone, 'all gone')).message,
      new RegExp(`entries ${N + 1} to ${N + 5}`),
    );
  });

  test(`${form}: a superblock that is older than the log is refused`, async () => {
    const steps = new Steps();
    const disk = new MemoryDisk({ later: steps.later });
    const log = await steps.until(openTestLog(disk, { identity }));
    const old = disk.contentOf(`${TEST_DIRECTORY}/superblock`);
    await steps.until(persisted(log, { hardState: term(1) }));
    const chain = await steps.until(standOn(log, form));
    const entries = chain.append({ payload: payloadOf(10, 1), term: Term(3) });
    await steps.until(persisted(log, { hardState: term(3), entries }));
    const survivor = disk.killed();
    survivor.rot(`${TEST_DIRECTORY}/superblock`, 0, old);
    const story = { disk: survivor, steps, chain, durableCount: 1 };
    const refusal = await assertRefused(story, survivor, 'old superblock');
    assert.match(refusal.message, new RegExp(`remembers term 0, but entry ${N + 1} has term 3`));
  });

  test(`${form}: what is cut is kept in quarantine`, async () => {
    const story = await torn([300], [400]);
    const { physicalOffset, sizeBytes } = story.chain.entries[1]!.desc;
    const disk = story.disk.powerCutKeeping(everything);
    const at = physicalOffset - START;
    disk.rot(FIRST_SEGMENT, at + 200, new Uint8Array([0, 0, 0, 0]));
    const torn2 = disk.contentOf(FIRST_SEGMENT).slice(at, at + sizeBytes);
    const log = await story.steps.until(openTestLog(disk, { identity }));
    assert.ok(log.recovered.tornBytes > 0);
    assert.ok(log.recovered.hasTornTail);
    const [path] = disk.paths.filter((candidate) => candidate.includes('/quarantine/'));
    assert.ok(path);
    const kept = disk.contentOf(path);
    assert.deepEqual(kept, torn2.subarray(0, kept.length));
    assert.equal(kept.length, log.recovered.tornBytes);
  });

  test(`${form}: an entry that fits its place but not the entry before it is refused`, async () => {
    const story = await settled('killed');
    const { physicalOffset } = story.chain.entries[1]!.desc;
    // The same sizes, places and terms in another history: a stale block, as a disk may bring it back.
    const other = new EntryChain(SMALL, story.chain.base);
    other.append({ payload: payloadOf(100, 8), term: Term(1) });
    const [stranger] = other.append({ payload: payloadOf(3700, 9), term: Term(1) });
    assert.equal(stranger!.desc.physicalOffset, physicalOffset);
    const disk = story.disk.powerCutKeeping(everything);
    disk.rot(FIRST_SEGMENT, physicalOffset - START, stranger!.bytes);
    const refusal = await assertRefused(story, disk, 'stale entry 2');
    assert.match(refusal.message, /found an entry that does not follow the one before it/);
  });

  test(`${form}: an entry whose payload survived elsewhere is not taken for the one that belongs here`, async () => {
    const story = await settled('killed');
    const [first] = story.chain.entries;
    const { physicalOffset } = story.chain.entries[1]!.desc;
    const disk = story.disk.powerCutKeeping(everything);
    disk.rot(FIRST_SEGMENT, physicalOffset - START, first!.bytes);
    const refusal = await assertRefused(story, disk, 'misdirected entry 1');
    assert.match(refusal.message, new RegExp(`found an entry that belongs at ${START + 4096}`));
  });

  test(`${form}: a torn follower batch is cut although its own later headers prove the hole committed`, async () => {
    // Entries and their successors in one write: committed by others, never acknowledged here.
    const story = await torn([300], [700, 900, 300]);
    const { physicalOffset } = story.chain.entries[1]!.desc;
    const disk = story.disk.powerCutKeeping(everything);
    disk.rot(FIRST_SEGMENT, physicalOffset - START, new Uint8Array(600));
    assert.equal(await checkRecovered(story, disk, 'hole'), 1);
  });
}

test('names left by a process killed before their sync are synced by the next one', async () => {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk, { identity }));
  const first = segmentPathAt('whole', 0, SMALL);
  // The segment is renamed into place; the sync of its directory does not happen any more.
  while (!disk.paths.includes(first)) assert.ok(await steps.next());
  assert.equal(log.recovered.bootCount, 1);
  const restarted = disk.killed();
  await steps.until(openTestLog(restarted, { identity }));
  // Before the next segment is prepared, which would sync the directory, too.
  const survivor = restarted.powerCutKeeping({ sector: () => false, name: () => false });
  assert.ok(survivor.paths.includes(first));
});
