import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, settled } from './manual-clock.ts';

function withLog() {
  const clock = new ManualClock();
  const fired: string[] = [];
  const set = (name: string, delayMs: number) =>
    clock.setTimer(delayMs, () => fired.push(`${name} at ${clock.monotonicMs()}`));
  return { clock, fired, set };
}

test('time stands still until it is moved, and the wall clock moves with it', async () => {
  const clock = new ManualClock(5_000);
  deepEqual([clock.monotonicMs(), clock.wallMs()], [0, 5_000]);
  clock.advance(10);
  await clock.advanceSettling(20);
  clock.jump(30);
  deepEqual([clock.monotonicMs(), clock.wallMs()], [60, 5_060]);
});

for (const how of ['advance', 'advanceSettling'] as const) {
  test(`${how}: timers fire by time, then by setting, and see their own time`, async () => {
    const { clock, fired, set } = withLog();
    set('late', 30);
    set('first', 10);
    set('second', 10);
    set('beyond', 41);
    await clock[how](40);
    deepEqual(fired, ['first at 10', 'second at 10', 'late at 30']);
    deepEqual([clock.monotonicMs(), clock.timerCount], [40, 1]);
    await clock[how](1);
    equal(fired.at(-1), 'beyond at 41');
  });

  test(`${how}: a timer set by another fires in the same move when it falls due`, async () => {
    const { clock, fired, set } = withLog();
    clock.setTimer(10, () => {
      set('inner', 5);
      set('tied', 10);
    });
    set('outer', 20);
    await clock[how](20);
    deepEqual(fired, ['inner at 15', 'outer at 20', 'tied at 20']);
  });

  test(`${how}: a cancelled timer never fires, also when another cancels it`, async () => {
    const { clock, fired, set } = withLog();
    const cancelled = set('cancelled', 10);
    cancelled.cancel();
    cancelled.cancel();
    clock.setTimer(10, () => victim.cancel());
    const victim = set('victim', 10);
    await clock[how](10);
    deepEqual([fired, clock.timerCount], [[], 0]);
  });

  test(`${how}: after a jump everything due is late, in the order it was due`, async () => {
    const { clock, fired, set } = withLog();
    set('b', 20);
    set('a', 10);
    clock.jump(100);
    deepEqual(fired, []);
    await clock[how](0);
    deepEqual(fired, ['a at 100', 'b at 100']);
  });
}

test('advance leaves a timer set meanwhile without delay to the next time', () => {
  const { clock, fired, set } = withLog();
  clock.setTimer(10, () => set('next', 0));
  clock.advance(15);
  deepEqual(fired, []);
  clock.advance(0);
  deepEqual(fired, ['next at 15']);
});

test('advanceSettling fires a timer set meanwhile without delay', async () => {
  const { clock, fired, set } = withLog();
  clock.setTimer(10, () => set('same', 0));
  await clock.advanceSettling(10);
  deepEqual(fired, ['same at 10']);
});

test('advanceSettling lets promises go on at the time of their timer', async () => {
  const clock = new ManualClock();
  const sleep = (ms: number) => new Promise<void>((resolve) => void clock.setTimer(ms, resolve));
  const wokenAtMs: number[] = [];
  async function sleeper(): Promise<void> {
    await Promise.resolve();
    for (let i = 0; i < 3; i++) {
      await sleep(10);
      wokenAtMs.push(clock.monotonicMs());
    }
  }
  const sleeping = sleeper();
  await clock.advanceSettling(35);
  deepEqual(wokenAtMs, [10, 20, 30]);
  await sleeping;
});

test('a timer with a negative delay is due at once', () => {
  const { clock, fired, set } = withLog();
  set('now', -5);
  clock.advance(0);
  deepEqual(fired, ['now at 0']);
});

test('settled lets a chain of promises run to its end', async () => {
  let steps = 0;
  const chain = (async () => {
    for (; steps < 100; steps++) await Promise.resolve();
  })();
  await settled();
  equal(steps, 100);
  await chain;
});
