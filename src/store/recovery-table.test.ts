/** The rows of the table in recovery.ts, and the verdict against a model that knows what was durable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FatalError } from '../base/errors.ts';
import { LogIndex, Term } from '../base/units.ts';
import type { MemoryDisk } from '../io/memory/memory-disk.ts';
import { newestNote, noteOnBase } from './durable-ring.ts';
import { tipOfBase } from './log-base.ts';
import {
  EntryChain,
  LOG_FORMS,
  openTestLog,
  payloadOf,
  persisted,
  TEST_DIRECTORY,
} from './log-fixture.ts';
import { LogPaths } from './log-paths.ts';
import { decideRecovery, type RecoveryEvidence, type RecoveryVerdict } from './recovery.ts';
import {
  answerOf,
  everything,
  heal,
  identity,
  logUnderTest,
  RING,
  SMALL,
  SUPERBLOCK,
} from './repair/repair-fixture.ts';
import { scanLog } from './scan.ts';
import { UnreadablePlaces } from './segment-reader.ts';
import { openStore, readOrEmpty } from './store-directory.ts';

for (const form of LOG_FORMS) {
  const subject = logUnderTest(form);
  const { chain, before: N } = subject;
  const COUNT = chain.entries.length;

  /** What start-up decides about a disk, without doing it. */
  async function verdictOn(
    disk: MemoryDisk,
    change: (evidence: RecoveryEvidence) => RecoveryEvidence = (evidence) => evidence,
  ): Promise<RecoveryVerdict> {
    const paths = new LogPaths(TEST_DIRECTORY);
    const mintUuid = (): string => 'new';
    const store = await openStore(disk, paths, { directory: TEST_DIRECTORY, identity, mintUuid });
    const { superblock, segments, shortages } = store;
    const base = tipOfBase(store.base.base);
    const cleanEnd = superblock.cleanEnd?.physicalOffset ?? null;
    const unreadable = new UnreadablePlaces();
    const scan = {
      disk,
      paths: store.paths,
      identity: superblock.identity,
      base,
      segments,
      shortages,
    };
    const findings = await scanLog({ ...scan, unreadable, cleanEnd });
    const ringNote = newestNote(await readOrEmpty(disk, paths.durableRing));
    const note = noteOnBase(ringNote, { ...store.base, base });
    return decideRecovery(findings, change({ superblock, note, mayAskPeers: true }));
  }

  /** Nothing is noted but the first entries; what is behind them may be torn. */
  function notedUpTo(index: number): (evidence: RecoveryEvidence) => RecoveryEvidence {
    const { desc, bytes } = chain.entries[index - 1]!;
    const headerCrc = new DataView(bytes.buffer, bytes.byteOffset).getUint32(60);
    const end = (desc.physicalOffset + desc.sizeBytes) as typeof desc.physicalOffset;
    const note = { sequence: 1, index: desc.index, end, term: desc.term, headerCrc };
    return (evidence) => ({ ...evidence, note });
  }

  function place(index: number): { readonly path: string; readonly at: number; sizeBytes: number } {
    const { physicalOffset, sizeBytes } = chain.entries[index - 1]!.desc;
    return {
      path: subject.segmentAt(physicalOffset),
      at: physicalOffset % SMALL,
      sizeBytes,
    };
  }

  function spoil(disk: MemoryDisk, index: number, what: 'body' | 'header' | 'zeros'): void {
    const { path, at, sizeBytes } = place(index);
    if (what === 'zeros') disk.rot(path, at, new Uint8Array(sizeBytes));
    else disk.rot(path, at + (what === 'body' ? 64 : 20), new Uint8Array([0xa5]));
  }

  const kinds = ['body', 'header', 'zeros'] as const;

  test(`${form}: row 1: a whole log is intact, and a bad segment header is written again from it`, async () => {
    const disk = await subject.store();
    assert.deepEqual(await verdictOn(disk), { kind: 'intact' });
    for (const header of [new Uint8Array(4096).fill(9), new Uint8Array(4096)]) {
      const damaged = disk.powerCutKeeping(everything);
      damaged.rot(subject.segment(1), 0, header);
      assert.deepEqual(await verdictOn(damaged), { kind: 'intact' });
      const log = await openTestLog(damaged, { identity });
      await log.close();
      const healed = disk.powerCutKeeping(everything).contentOf(subject.segment(1));
      assert.deepEqual(damaged.contentOf(subject.segment(1)), healed);
    }
  });

  test(`${form}: row 2: a good entry in the place of another counts as bad`, async () => {
    const disk = (await subject.store()).powerCutKeeping(everything);
    const { path, at } = place(5);
    disk.rot(path, at, chain.entries[3]!.bytes);
    assert.equal((await verdictOn(disk)).kind, 'repair');
    assert.equal((await verdictOn(disk, notedUpTo(4))).kind, 'ambiguous');
  });

  test(`${form}: rows 3 and 8: bad above W with good entries behind is ambiguous, and cut without peers`, async () => {
    for (const what of kinds) {
      const disk = (await subject.store()).powerCutKeeping(everything);
      spoil(disk, 6, what);
      const verdict = await verdictOn(disk, notedUpTo(5));
      assert.equal(verdict.kind, 'ambiguous', what);
      assert.deepEqual(verdict.kind === 'ambiguous' && verdict.holes[0]?.lastIndex, N + 6);
      const alone = await verdictOn(disk, (evidence) => ({
        ...notedUpTo(5)(evidence),
        mayAskPeers: false,
      }));
      assert.equal(alone.kind, 'cut', what);
    }
  });

  test(`${form}: row 4: bad above W with nothing good behind is cut`, async () => {
    for (const what of ['body', 'header'] as const) {
      const disk = (await subject.store()).powerCutKeeping(everything);
      spoil(disk, COUNT, what);
      const verdict = await verdictOn(disk, notedUpTo(COUNT - 1));
      assert.equal(verdict.kind, 'cut', what);
    }
  });

  test(`${form}: row 5: bad at or below W is repaired, each entry by its successor or the note`, async () => {
    for (const what of kinds) {
      for (let index = 1; index <= COUNT; index++) {
        const disk = (await subject.store()).powerCutKeeping(everything);
        spoil(disk, index, what);
        const verdict = await verdictOn(disk);
        assert.ok(verdict.kind === 'repair', `${what} ${index}`);
        const [hole, ...others] = verdict.holes;
        assert.deepEqual(others, []);
        assert.deepEqual([hole?.left.index, hole?.lastIndex], [N + index - 1, N + index]);
        assert.equal(hole?.right?.kind, index === COUNT ? 'note' : 'region');
      }
    }
  });

  test(`${form}: rows 6 and 7: what nothing names is wanted up to W all the same`, async () => {
    const disk = (await subject.store('closed')).powerCutKeeping(everything);
    spoil(disk, COUNT, 'zeros');
    const verdict = await verdictOn(disk, (evidence) => ({ ...evidence, note: null }));
    // The clean end knows the place of the last entry, and leader commits that of the one before.
    assert.ok(verdict.kind === 'repair');
    assert.deepEqual(
      verdict.holes.map(({ lastIndex, right }) => [lastIndex, right]),
      [[N + COUNT, null]],
    );
  });

  test(`${form}: row 9: a missing segment is a hole like any other`, async () => {
    const disk = (await subject.store()).powerCutKeeping(everything);
    disk.vanish(subject.segment(1));
    const verdict = await verdictOn(disk);
    assert.ok(verdict.kind === 'repair');
    assert.deepEqual(
      verdict.holes.map(({ left, lastIndex, right }) => [left.index, lastIndex, right?.kind]),
      [[N + 3, N + 7, 'region']],
    );
  });

  test(`${form}: row 10: two places that the disk cannot read are rot, a third one is a broken disk`, async () => {
    const error = await subject.store().then(async (disk) => {
      const real = disk.read.bind(disk);
      disk.read = async (path, position, sizeBytes) => {
        if (path.endsWith('.seg')) disk.failNext({ operation: 'read', code: 'EIO', after: 0 });
        return real(path, position, sizeBytes);
      };
      return openTestLog(disk, { identity, mayAskPeers: true }).catch((each: unknown) => each);
    });
    // One place per segment: three segments.
    assert.ok(error instanceof FatalError);
    assert.equal(error.reason, 'diskFailed');
  });

  test(`${form}: rows 11 to 13: one slot is enough, none is a stranger, and an old one is refused`, async () => {
    const half = (await subject.store()).powerCutKeeping(everything);
    half.rot(SUPERBLOCK, 100, new Uint8Array([1, 2, 3]));
    assert.equal((await verdictOn(half)).kind, 'intact');
    half.rot(SUPERBLOCK, 4096 + 100, new Uint8Array([1, 2, 3]));
    await assert.rejects(verdictOn(half), { reason: 'identityRefused' });
    const disk = await subject.store();
    const verdict = await verdictOn(disk, ({ superblock, ...rest }) => ({
      ...rest,
      superblock: { ...superblock, hardState: { term: Term(0), votedFor: null } },
    }));
    assert.ok(verdict.kind === 'refuse');
    assert.match(verdict.problem, new RegExp(`remembers term 0, but entry ${N + 9} has term 1`));
  });

  test(`${form}: row 14: what is left of a cut is above W, and is cut`, async () => {
    const open = new EntryChain(SMALL, chain.base);
    for (let i = 0; i < 5; i++) open.append({ payload: payloadOf(300, i), term: Term(1) });
    const story = await subject.store('killed', open);
    const log = await openTestLog(story, { identity });
    await persisted(log, { truncateFrom: LogIndex(N + 3) });
    const disk = story.powerCutKeeping(everything);
    // The zeros over the last entry did not get to the disk.
    const { desc, bytes } = open.entries[4]!;
    disk.rot(subject.segment(0), desc.physicalOffset % SMALL, bytes);
    const alone = await verdictOn(disk, (evidence) => ({ ...evidence, mayAskPeers: false }));
    assert.deepEqual(alone.kind === 'cut' && alone.ranges.length, 1);
  });

  test(`${form}: a note about an entry that is not the one in the log sends for the noted one`, async () => {
    const disk = await subject.store();
    const verdict = await verdictOn(disk, (evidence) => ({
      ...evidence,
      note: { ...evidence.note!, headerCrc: 12345 },
    }));
    assert.ok(verdict.kind === 'repair');
    assert.equal(verdict.holes[0]?.right?.kind, 'note');
  });

  interface Damage {
    readonly segment: number;
    readonly at: number;
    readonly sizeBytes: number;
    readonly fill: number | null;
  }

  const aDamage: fc.Arbitrary<Damage> = fc.record({
    segment: fc.nat({ max: 2 }),
    at: fc.nat({ max: SMALL - 1 }),
    sizeBytes: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 6000 })),
    fill: fc.option(fc.constantFrom(0, 0x4d, 0xff), { nil: null }),
  });

  /** null: the bytes are changed, each by one bit. */
  function apply(disk: MemoryDisk, { segment, at, sizeBytes, fill }: Damage): void {
    const path = subject.segment(segment);
    const old = disk.contentOf(path).subarray(at, Math.min(SMALL, at + sizeBytes));
    disk.rot(
      path,
      at,
      old.map((byte) => fill ?? byte ^ 16),
    );
  }

  test(`${form}: whatever is damaged: what was durable is never cut, and comes back`, async () => {
    const stories = { killed: await subject.store(), closed: await subject.store('closed') };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('killed' as const, 'closed' as const),
        fc.array(aDamage, { minLength: 1, maxLength: 4 }),
        fc.subarray([0, 1, 2], { maxLength: 1 }),
        fc.boolean(),
        async (end, damages, missing, isRingGone) => {
          const disk = stories[end].powerCutKeeping(everything);
          const original = [0, 1, 2].map((segment) => disk.contentOf(subject.segment(segment)));
          for (const damage of damages) apply(disk, damage);
          for (const segment of missing) disk.vanish(subject.segment(segment));
          // Without the ring only what the clean end, or later entries, prove is known as durable.
          if (isRingGone && end === 'closed') disk.vanish(RING);
          const { log } = await heal(disk, (range) => answerOf(chain.entries, range));
          assert.equal(log.recovered.entries.length, COUNT);
          await log.close();
          for (const [segment, content] of original.entries()) {
            const end = subject.usedSizeBytes(segment);
            const healed = disk.contentOf(subject.segment(segment)).subarray(0, end);
            assert.deepEqual(healed, content.subarray(0, end), `segment ${segment}`);
          }
        },
      ),
      { numRuns: 250 },
    );
  });

  test(`${form}: whatever follows the durable entries, they are all there, and nothing is invented`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(aDamage, { maxLength: 3 }),
        fc.integer({ min: 1, max: COUNT }),
        async (damages, durableCount) => {
          const part = new EntryChain(SMALL, chain.base);
          part.entries.push(...chain.entries.slice(0, durableCount));
          const disk = await subject.store('closed', part);
          const again = await openTestLog(disk, { identity });
          const tail = chain.entries.slice(durableCount);
          if (tail.length > 0) await persisted(again, { entries: tail });
          const after = disk.powerCutKeeping(everything);
          // Notes of the tail are lost with the power: only the first ones are left.
          const { index } = newestNote(after.contentOf(RING))!;
          assert.ok(index >= N + durableCount);
          for (const damage of damages) apply(after, damage);
          const { log: healed } = await heal(after, (range) => answerOf(chain.entries, range));
          const { entries } = healed.recovered;
          assert.ok(entries.length >= durableCount);
          assert.deepEqual(
            entries,
            chain.entries.slice(0, entries.length).map(({ desc }) => desc),
          );
          await healed.close();
        },
      ),
      { numRuns: 100 },
    );
  });
}
