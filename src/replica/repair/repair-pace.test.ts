import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { RepairPace } from './repair-pace.ts';

test('the rate is that of the last ten seconds, and nothing when nothing came in them', () => {
  const clock = new ManualClock();
  const pace = new RepairPace(clock);
  assert.equal(pace.bytesPerSecond(), 0);
  for (let second = 0; second < 30; second++) {
    pace.note(second < 15 ? 1000 : 5000);
    clock.advance(1000);
  }
  assert.ok(Math.abs(pace.bytesPerSecond() - 5000) < 600, `${pace.bytesPerSecond()}`);
  clock.advance(11_000);
  assert.equal(pace.bytesPerSecond(), 0);
});

test('in its first second it is not more than what came', () => {
  const clock = new ManualClock();
  const pace = new RepairPace(clock);
  pace.note(700);
  assert.equal(pace.bytesPerSecond(), 700);
});
