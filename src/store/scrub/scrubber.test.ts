import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MIB } from '../../base/sizes.ts';
import { advance, LogIndex, PhysicalOffset } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import type { CheckOutcome, LogDamage, LogOnDisk } from './log-on-disk.ts';
import { Scrubber, type ScrubEvent, type ScrubLimits } from './scrubber.ts';

const HOUR_MS = 3_600_000;
const WEEK: ScrubLimits = { bytesPerSecondMax: 20 * MIB, periodMs: 168 * HOUR_MS };

/** A log of so many segments with ten entries each, and a note of what was read when. */
class CountedLog implements LogOnDisk {
  readonly reads: { readonly index: number; readonly atMs: number }[] = [];
  readonly damaged = new Map<number, LogDamage>();
  goneFrom = Number.POSITIVE_INFINITY;
  segmentCount: number;
  readonly #clock: ManualClock;
  readonly #entrySizeBytes: number;

  constructor(clock: ManualClock, segmentCount: number, entrySizeBytes: number) {
    this.#clock = clock;
    this.segmentCount = segmentCount;
    this.#entrySizeBytes = entrySizeBytes;
  }

  segments() {
    return Array.from({ length: this.segmentCount }, (_, i) => ({
      startOffset: PhysicalOffset(i * 10 * this.#entrySizeBytes),
      firstIndex: LogIndex(i * 10 + 1),
      lastIndex: LogIndex(i * 10 + 10),
      sizeBytes: 10 * this.#entrySizeBytes,
    }));
  }

  async check(from: LogIndex): Promise<CheckOutcome> {
    if (from >= this.goneFrom) return { kind: 'gone' };
    this.reads.push({ index: from, atMs: this.#clock.monotonicMs() });
    const read = { lastIndex: from, sizeBytes: this.#entrySizeBytes };
    const damage = this.damaged.get(from);
    if (damage !== undefined) return { kind: 'damaged', ...read, damages: [damage] };
    return { kind: 'good', ...read, isFromDevice: true, wasFlaky: false, entries: [] };
  }
}

function scrubbing(
  log: CountedLog,
  clock: ManualClock,
  limits: ScrubLimits = WEEK,
  pending = { ms: 0 },
) {
  const events: ScrubEvent[] = [];
  const scrubber = new Scrubber({
    ...{ log, clock, limits },
    oldestPendingMs: () => pending.ms,
    onEvent: (event) => events.push(event),
    onFatal: (error) => {
      throw error;
    },
  });
  scrubber.start();
  return { scrubber, events, pending };
}

test('a pass reads every entry once, newest segment first, and ends within half the period', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 3, MIB);
  const { scrubber, events } = scrubbing(log, clock);
  await clock.advanceSettling(84 * HOUR_MS - 1);
  const indices = log.reads.map(({ index }) => index);
  assert.deepEqual(
    indices,
    [21, 11, 1].flatMap((first) => Array.from({ length: 10 }, (_, i) => first + i)),
  );
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['scrubPassed'],
  );
  const { passCount, findingCount, readBytes, state, isLate, isFromDevice } = scrubber.progress;
  assert.deepEqual(
    { passCount, findingCount, readBytes, state, isLate, isFromDevice },
    {
      passCount: 1,
      findingCount: 0,
      readBytes: 30 * MIB,
      state: 'waiting',
      isLate: false,
      isFromDevice: true,
    },
  );
  await clock.advanceSettling(1);
  assert.equal(log.reads.length, 31, 'the next pass begins');
  await scrubber.stop();
  await clock.advanceSettling(HOUR_MS);
  assert.equal(log.reads.length, 31, 'nothing is read after the stop');
});

test('it is never faster than its limit, never slower than it must be, and every byte has its turn in time', async () => {
  const sizes = fc.record({
    segmentCount: fc.integer({ min: 1, max: 30 }),
    entrySizeBytes: fc.integer({ min: 1_000, max: 4 * MIB }),
    bytesPerSecondMax: fc.integer({ min: 64 * 1024, max: 40 * MIB }),
    periodMs: fc.integer({ min: 60_000, max: 10_000_000 }),
  });
  await fc.assert(
    fc.asyncProperty(sizes, async ({ segmentCount, entrySizeBytes, ...limits }) => {
      const clock = new ManualClock();
      const log = new CountedLog(clock, segmentCount, entrySizeBytes);
      const { scrubber } = scrubbing(log, clock, limits);
      while (scrubber.progress.passCount < 2 && log.reads.length < 1_000) {
        await clock.advanceSettling(limits.periodMs / 20);
      }
      const last = new Map<number, number>();
      for (const [i, { index, atMs }] of log.reads.entries()) {
        const before = log.reads[i - 1];
        const waitMs = before === undefined ? Infinity : atMs - before.atMs;
        const leastMs = (entrySizeBytes * 1_000) / limits.bytesPerSecondMax;
        assert.ok(waitMs >= leastMs * 0.999, `${waitMs} ms between reads, at least ${leastMs}`);
        const again = atMs - (last.get(index) ?? atMs);
        const isPossible = segmentCount * 10 * leastMs < limits.periodMs / 2;
        if (isPossible) assert.ok(again <= limits.periodMs, `${index} again after ${again} ms`);
        last.set(index, atMs);
      }
      await scrubber.stop();
    }),
    { numRuns: 40 },
  );
});

test('it waits while log writes wait for the disk, but not for ever', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 1, 1_000);
  const { scrubber, pending } = scrubbing(log, clock, WEEK, { ms: 50 });
  await clock.advanceSettling(5_000);
  assert.deepEqual([log.reads.length, scrubber.progress.state], [0, 'yielding']);
  await clock.advanceSettling(6_000);
  assert.equal(log.reads.length, 1, 'one read after ten seconds');
  pending.ms = 0;
  await clock.advanceSettling(1_000);
  assert.equal(log.reads.length, 10);
  await scrubber.stop();
});

test('each damage is reported in each pass, and the pass goes on behind it', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 2, 1_000);
  for (const index of [3, 14]) {
    const place = { path: 'x', position: 7, index: LogIndex(index), found: 'y' };
    log.damaged.set(index, { extent: 'everywhere', ...place });
  }
  const { scrubber, events } = scrubbing(log, clock, { ...WEEK, periodMs: 20_000 });
  await clock.advanceSettling(9_000);
  const found = events.flatMap((event) =>
    event.kind === 'scrubFound' ? [event.damage.index] : [],
  );
  assert.deepEqual(found, [14, 3]);
  assert.equal(log.reads.length, 20);
  await clock.advanceSettling(10_000);
  assert.equal(scrubber.progress.findingCount, 4);
  await scrubber.stop();
});

test('a segment that is cut meanwhile is left for the next pass', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 3, 1_000);
  log.goneFrom = advance(LogIndex(0), 25);
  const { scrubber } = scrubbing(log, clock);
  await clock.advanceSettling(60_000);
  assert.deepEqual([log.reads.length, scrubber.progress.passCount], [24, 1]);
  await scrubber.stop();
});

test('an empty log does not make it spin', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 0, 1);
  const { scrubber } = scrubbing(log, clock, { ...WEEK, periodMs: 1 });
  await clock.advanceSettling(1_000);
  assert.ok(scrubber.progress.passCount <= 11, `${scrubber.progress.passCount} passes`);
  log.segmentCount = 1;
  await clock.advanceSettling(1_000);
  assert.ok(log.reads.length >= 10);
  await scrubber.stop();
});

test('a pass that is asked for begins at once, unless one is under way', async () => {
  const clock = new ManualClock();
  const log = new CountedLog(clock, 1, MIB);
  const { scrubber, events } = scrubbing(log, clock);
  assert.equal(scrubber.passNow(), false, 'the first pass is under way');
  while (events.length === 0) await clock.advanceSettling(HOUR_MS / 4);
  const readCount = log.reads.length;
  assert.equal(scrubber.passNow(), true);
  await clock.advanceSettling(1);
  assert.ok(log.reads.length > readCount, 'it has begun');
  assert.equal(scrubber.passNow(), false);
  await scrubber.stop();
});
