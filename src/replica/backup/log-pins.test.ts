import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { BACKUP_HELD_MS_MAX, BACKUP_HOLDERS_MAX, BACKUP_LEASE_MS } from './limits.ts';
import { LogPins } from './log-pins.ts';

const ALMOST_MS = BACKUP_LEASE_MS - 1;

function pinned() {
  const clock = new ManualClock();
  const ended: string[] = [];
  const released: string[] = [];
  let isScarce = false;
  const pins = new LogPins({
    clock,
    isRoomScarce: () => isScarce,
    onEnded: (holder, why) => ended.push(`${holder} ${why}`),
  });
  const hold = (holder: string, index: number): string | null =>
    pins.hold(holder, LogIndex(index), () => released.push(holder));
  const scarce = (): void => {
    isScarce = true;
  };
  return { clock, pins, hold, ended, released, scarce };
}

test('the lowest pin decides; it moves forward only', () => {
  const { pins, hold } = pinned();
  equal(pins.floor(), null);
  hold('a', 10);
  hold('b', 7);
  equal(pins.floor(), 7);
  pins.moveTo('b', LogIndex(20));
  equal(pins.floor(), 10);
  pins.moveTo('a', LogIndex(3));
  equal(pins.floor(), 10);
  pins.moveTo('nobody', LogIndex(1));
  equal(pins.floor(), 10);
});

test('a holder that was not heard for the time of a lease holds nothing any more', () => {
  const { clock, pins, hold, ended, released } = pinned();
  hold('a', 10);
  clock.advance(ALMOST_MS);
  pins.moveTo('a', LogIndex(11));
  clock.advance(ALMOST_MS);
  equal(pins.floor(), 11);
  clock.advance(2);
  equal(pins.floor(), null);
  deepEqual([ended, released], [['a silent'], ['a']]);
});

test('nobody holds the log for longer than a day, however often it begins again', () => {
  const { clock, pins, hold, ended } = pinned();
  hold('a', 10);
  for (let passedMs = 0; passedMs <= BACKUP_HELD_MS_MAX; passedMs += ALMOST_MS) {
    clock.advance(ALMOST_MS);
    hold('a', 10);
  }
  equal(pins.floor(), null);
  deepEqual(ended, ['a tooLong']);
});

test('a nearly full disk is held by nobody', () => {
  const { pins, hold, ended, released, scarce } = pinned();
  hold('a', 10);
  hold('b', 12);
  scarce();
  equal(pins.floor(), null);
  deepEqual(
    [ended, released],
    [
      ['a noRoom', 'b noRoom'],
      ['a', 'b'],
    ],
  );
});

test('there is room for so many holders, and a known one may begin again', () => {
  const { pins, hold, released } = pinned();
  for (let i = 0; i < BACKUP_HOLDERS_MAX; i++) equal(hold(`h${i}`, 10), null);
  match(hold('one more', 10) ?? '', /are being taken/);
  equal(hold('h0', 5), null);
  equal(pins.floor(), 5);
  deepEqual(released, ['h0']);
  pins.close();
  equal(pins.holderCount, 0);
  equal(released.length, 1 + BACKUP_HOLDERS_MAX);
});
