import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { StallJudge } from './stall-judge.ts';

const LOOK_MS = 500;

function aJudge(limits: { diskMsMax?: number; mainMsMax?: number | null } = {}) {
  const judge = new StallJudge({ diskMsMax: 2_000, mainMsMax: 3_000, ...limits });
  let beats = 0;
  return {
    /** The main thread runs between two looks unless told otherwise. */
    look: (diskCalls: number, mainRuns = true, isMainHeld = false) => {
      if (mainRuns) beats++;
      return judge.look({ diskCalls, mainBeats: beats, isMainHeld, sinceLastMs: LOOK_MS });
    },
  };
}

test('a call that does not return is a stall when it is older than the limit', () => {
  const { look } = aJudge();
  for (let at = 0; at < 5; at++) equal(look(7), null);
  deepEqual(look(7), { kind: 'diskCall', stuckMs: 2_500 });
});

test('calls that return are none, however many are seen under way', () => {
  const { look } = aJudge();
  for (let calls = 1; calls < 100; calls += 2) equal(look(calls), null);
});

test('an idle disk is none, however long', () => {
  const { look } = aJudge();
  for (let at = 0; at < 100; at++) equal(look(8), null);
});

test('a call that returned late starts nothing for the next', () => {
  const { look } = aJudge();
  for (let at = 0; at < 5; at++) equal(look(7), null);
  for (let at = 0; at < 5; at++) equal(look(9), null);
});

test('counters that have wrapped around are read all the same', () => {
  const { look } = aJudge();
  for (let at = 0; at < 5; at++) equal(look(-7), null);
  deepEqual(look(-7)?.kind, 'diskCall');
});

test('a main thread that does not run is a stall when it is older than the limit', () => {
  const { look } = aJudge();
  look(0);
  for (let at = 0; at < 6; at++) equal(look(0, false), null);
  deepEqual(look(0, false), { kind: 'main', stuckMs: 3_500 });
});

test('a main thread that runs now and then is none', () => {
  const { look } = aJudge();
  for (let at = 0; at < 100; at++) equal(look(0, at % 6 === 0), null);
});

test('a main thread that the kernel holds is a stall of the disk, with its limit', () => {
  const { look } = aJudge();
  look(0);
  for (let at = 0; at < 4; at++) equal(look(0, false, true), null);
  deepEqual(look(0, false, true), { kind: 'mainHeld', stuckMs: 2_500 });
});

test('a main thread that is held now and then, and runs between, is none', () => {
  const { look } = aJudge();
  for (let at = 0; at < 100; at++) equal(look(0, true, true), null);
});

test('in a debugger the main thread is not watched, and the disk is', () => {
  const { look } = aJudge({ mainMsMax: null });
  for (let at = 0; at < 100; at++) equal(look(0, false), null);
  for (let at = 0; at < 5; at++) look(1, false);
  equal(look(1, false)?.kind, 'diskCall');
});
