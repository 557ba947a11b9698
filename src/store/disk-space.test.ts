import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GIB, MIB } from '../base/sizes.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import {
  DiskSpaceGuard,
  defaultReserveBytes,
  KEEP_FREE_SIZE_BYTES,
  nextLevel,
  ROOM_SAMPLE_MS,
  type RoomEvent,
} from './disk-space.ts';

const reserves: readonly {
  readonly what: string;
  readonly totalBytes: number;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
}[] = [
  { what: 'a server', totalBytes: 1000 * GIB, segmentBytes: GIB, reserveBytes: 5 * GIB },
  { what: 'a small server', totalBytes: 60 * GIB, segmentBytes: GIB, reserveBytes: 3 * GIB },
  { what: 'a virtual disk', totalBytes: 20 * GIB, segmentBytes: GIB, reserveBytes: 2064 * MIB },
  {
    what: 'a disk for ten segments',
    totalBytes: 10 * GIB,
    segmentBytes: GIB,
    reserveBytes: 1536 * MIB,
  },
  {
    what: 'a laptop with mq-raft dev',
    totalBytes: 500 * GIB,
    segmentBytes: 64 * MIB,
    reserveBytes: 5 * GIB,
  },
  { what: 'a test image', totalBytes: 256 * MIB, segmentBytes: 4 * MIB, reserveBytes: 24 * MIB },
  {
    what: 'a disk for one segment',
    totalBytes: 2 * GIB,
    segmentBytes: GIB,
    reserveBytes: 1040 * MIB,
  },
];

for (const { what, totalBytes, segmentBytes, reserveBytes } of reserves) {
  test(`the reserve of ${what} is ${reserveBytes / MIB} MiB`, () => {
    assert.equal(defaultReserveBytes(totalBytes, segmentBytes), reserveBytes);
  });
}

test('a reserve always holds the next segment, and else at most 15 % of the disk', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MIB, max: 100_000 * GIB }),
      fc.integer({ min: 8192, max: 2 * GIB }),
      (totalBytes, segmentBytes) => {
        const reserveBytes = defaultReserveBytes(totalBytes, segmentBytes);
        const leastBytes = segmentBytes + KEEP_FREE_SIZE_BYTES;
        assert.ok(reserveBytes >= leastBytes);
        assert.ok(reserveBytes <= Math.max(leastBytes, Math.ceil(totalBytes * 0.15)));
      },
    ),
    { numRuns: 200 },
  );
});

test('levels are entered at the reserve and at twice of it, and left a little above', () => {
  const walk = (frees: readonly number[]) => {
    let level: ReturnType<typeof nextLevel> = 'ok';
    return frees.map((free) => {
      level = nextLevel(level, free, 100);
      return level;
    });
  };
  assert.deepEqual(walk([200, 199, 210, 219, 221]), ['ok', 'low', 'low', 'low', 'ok']);
  assert.deepEqual(walk([100, 99, 105, 109, 111]), ['low', 'full', 'full', 'full', 'low']);
  assert.deepEqual(walk([0, 1000]), ['full', 'ok']);
  assert.deepEqual(nextLevel('ok', 0, 0), 'ok', 'no reserve, no refusal');
});

async function aGuard(disk: Disk, reserveBytes: number | null = 100 * MIB) {
  const clock = new ManualClock();
  const events: RoomEvent[] = [];
  const guard = await DiskSpaceGuard.start({
    ...{ disk, directory: '/d', clock, segmentSizeBytes: MIB, reserveBytes },
    onEvent: (event) => events.push(event),
  });
  return { clock, events, guard };
}

test('it is known from the start, and again after every interval, what room there is', async () => {
  const disk = new MemoryDisk();
  disk.limitTo(1000 * MIB);
  disk.occupy(950 * MIB);
  const { clock, events, guard } = await aGuard(disk);
  const room = {
    level: 'full',
    totalBytes: 1000 * MIB,
    freeBytes: 50 * MIB,
    reserveBytes: 100 * MIB,
  };
  assert.deepEqual(guard.room, room);
  assert.deepEqual(events, [{ kind: 'roomChanged', from: 'ok', room }]);

  disk.occupy(100 * MIB);
  await clock.advanceSettling(ROOM_SAMPLE_MS - 1);
  assert.equal(guard.room.level, 'full');
  await clock.advanceSettling(1);
  assert.equal(guard.room.level, 'ok');
  disk.occupy(850 * MIB);
  await clock.advanceSettling(ROOM_SAMPLE_MS);
  assert.equal(guard.room.level, 'low');
  assert.equal(events.length, 3);
  guard.close();
});

test('without a given reserve it follows from the size of the disk', async () => {
  const disk = new MemoryDisk();
  disk.limitTo(1000 * MIB);
  const { guard } = await aGuard(disk, null);
  assert.equal(guard.room.reserveBytes, 50 * MIB);
  guard.close();
});

test('after its end nothing is looked at any more', async () => {
  const { clock, guard } = await aGuard(new MemoryDisk());
  guard.close();
  guard.close();
  assert.equal(clock.timerCount, 0);
  const { clock: other, guard: busy } = await aGuard(new MemoryDisk());
  other.advance(ROOM_SAMPLE_MS);
  busy.close();
  await other.advanceSettling(10 * ROOM_SAMPLE_MS);
  assert.equal(other.timerCount, 0);
});

class MuteDisk extends MemoryDisk {
  isMute = false;

  override async room() {
    if (this.isMute) throw new DiskError('look at', '/d', 'EIO');
    return super.room();
  }
}

test('when the disk does not say, the last figure holds, and that is said once', async () => {
  const disk = new MuteDisk();
  disk.limitTo(50 * MIB);
  const { clock, events, guard } = await aGuard(disk);
  disk.isMute = true;
  await clock.advanceSettling(5 * ROOM_SAMPLE_MS);
  assert.equal(guard.room.level, 'full');
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['roomChanged', 'roomUnknown'],
  );
  disk.isMute = false;
  disk.limitTo(1000 * MIB);
  await clock.advanceSettling(ROOM_SAMPLE_MS);
  assert.equal(guard.room.level, 'ok');
  disk.isMute = true;
  await clock.advanceSettling(ROOM_SAMPLE_MS);
  assert.equal(events.at(-1)?.kind, 'roomUnknown');
  guard.close();
});
