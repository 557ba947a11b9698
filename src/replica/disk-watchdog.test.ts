import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { DiskWatchdog } from './disk-watchdog.ts';
import type { ReplicaEvent } from './replica-options.ts';

function aWatchdog() {
  const disk = { pendingMs: 0, waitsForRoom: false };
  const events: ReplicaEvent[] = [];
  const stats = {
    ...{ syncCount: 0, writtenBytes: 0, syncSecondsSum: 0 },
    oldestPendingMs: () => disk.pendingMs,
    waitsForRoom: () => disk.waitsForRoom,
    syncMsAt: () => null,
    syncSecondsBuckets: () => [],
  };
  return { disk, events, watchdog: new DiskWatchdog(stats, (event) => events.push(event)) };
}

test('a write that takes 3 s makes the disk stalled, and its end makes it well', () => {
  const { disk, events, watchdog } = aWatchdog();
  disk.pendingMs = 3_000;
  equal(watchdog.check(), false);
  disk.pendingMs = 3_001;
  equal(watchdog.check(), true);
  equal(watchdog.stalled, true);
  equal(watchdog.check(), false, 'said once');
  disk.pendingMs = 0;
  equal(watchdog.check(), true);
  equal(watchdog.stalled, false);
  deepEqual(events, [{ kind: 'diskStalled', pendingMs: 3_001 }, { kind: 'diskRecovered' }]);
});

test('after 20 s nothing is waited for any more', () => {
  const { disk, watchdog } = aWatchdog();
  disk.pendingMs = 20_000;
  watchdog.check();
  disk.pendingMs = 20_001;
  throws(() => watchdog.check(), { reason: 'diskFailed', message: /for 20001 ms/ });
});

test('a write without room stalls the node, and never ends it', () => {
  const { disk, watchdog } = aWatchdog();
  disk.waitsForRoom = true;
  disk.pendingMs = 3_600_000;
  equal(watchdog.check(), true);
  equal(watchdog.stalled, true);
  disk.waitsForRoom = false;
  throws(() => watchdog.check(), { reason: 'diskFailed' }, 'with room, it is the disk again');
});
