import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { Ticker } from '../../src/replica/ticker.ts';

function startTicker() {
  const clock = new ManualClock();
  const ticks: number[] = [];
  const resumes: number[] = [];
  const ticker = new Ticker({
    clock,
    tickMs: 50,
    gapMsMax: 500,
    onTick: () => ticks.push(clock.monotonicMs()),
    onResume: () => resumes.push(clock.monotonicMs()),
  });
  ticker.start();
  return { clock, ticks, resumes, ticker };
}

test('ticks come in their interval, one per timer', () => {
  const { clock, ticks } = startTicker();
  for (let i = 0; i < 40; i++) clock.advance(10);
  assert.deepEqual(ticks, [50, 100, 150, 200, 250, 300, 350, 400]);
});

test('a small delay costs the time that was missed, and is never made up', () => {
  const { clock, ticks, ticker } = startTicker();
  clock.jump(220);
  clock.advance(0);
  assert.deepEqual(ticks, [220]);
  clock.advance(50);
  assert.deepEqual(ticks, [220, 270]);
  assert.equal(ticker.pauseCount, 0);
  assert.equal(ticker.delayMsMax, 170);
});

test('after a pause nothing is credited before the loop has turned once and an interval passed', () => {
  const { clock, ticks, resumes, ticker } = startTicker();
  clock.jump(60_000);
  clock.advance(0); // the late timer
  assert.equal(ticker.pauseCount, 1);
  assert.deepEqual(resumes, []);
  clock.advance(0); // after the sockets were polled
  assert.deepEqual(ticks, []);
  assert.deepEqual(resumes, [60_000]);
  clock.advance(49);
  assert.deepEqual(ticks, []);
  clock.advance(1);
  assert.deepEqual(ticks, [60_050]);
});

test('a stopped ticker has no timer, also when it is stopped by its own tick', () => {
  const { clock, ticks, ticker } = startTicker();
  ticker.stop();
  clock.advance(1_000);
  assert.deepEqual(ticks, []);
  assert.equal(clock.timerCount, 0);

  const common = { clock, tickMs: 50, gapMsMax: 500 };
  const own = new Ticker({ ...common, onTick: () => own.stop(), onResume: () => {} });
  own.start();
  clock.advance(50);
  assert.equal(clock.timerCount, 0);

  const late = new Ticker({ ...common, onTick: () => {}, onResume: () => late.stop() });
  late.start();
  clock.jump(1_000);
  clock.advance(0);
  clock.advance(0);
  assert.equal(clock.timerCount, 0);
});
