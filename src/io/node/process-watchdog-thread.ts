/**
 * The watchdog's thread (process-watchdog.ts). It owns nothing, waits for nobody, and touches no file
 * but standard error, and that one without waiting: it may lie on the disk that hangs. (Files in /proc
 * lie on none.)
 */
import { readFileSync, write } from 'node:fs';
import { Worker, workerData } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { EXIT_CODE, type FatalReason } from '../../base/errors.ts';
import { killProcess } from './end-process.ts';
import {
  DISK_CALLS,
  ENDING,
  MAIN_BEATS,
  type Stall,
  StallJudge,
  type StallLimits,
} from './stall-judge.ts';

export interface WatchPlan extends StallLimits {
  readonly memory: SharedArrayBuffer;
  readonly lookEveryMs: number;
}

const STDERR = 2;
/** So long the last words may take. */
const LAST_WORDS_MS_MAX = 250;
/** So long an end with an exit code may take... */
const END_MS_MAX = 1_000;
/** ...and one that the main thread has announced: it may have a note to write. */
const ANNOUNCED_END_MS_MAX = 5_000;

/** Field 3 of the statistics of a thread: after the name, which may hold anything. */
const HELD_PATTERN = /^.*\) D /s;

const plan = workerData as WatchPlan;
const words = new Int32Array(plan.memory);
const judge = new StallJudge(plan);
let endingMs = 0;
const timer = setInterval(look, plan.lookEveryMs);

function look(): void {
  if (Atomics.load(words, ENDING) !== 0) {
    endingMs += plan.lookEveryMs;
    if (endingMs > ANNOUNCED_END_MS_MAX) killProcess();
    return;
  }
  const diskCalls = Atomics.load(words, DISK_CALLS);
  const mainBeats = Atomics.load(words, MAIN_BEATS);
  const isMainHeld = judge.isMainQuiet(mainBeats) && isMainThreadHeld();
  const stall = judge.look({ diskCalls, mainBeats, isMainHeld, sinceLastMs: plan.lookEveryMs });
  if (stall === null) return;
  clearInterval(timer);
  const reason = stall.kind === 'main' ? 'invariantBroken' : 'diskFailed';
  const line = {
    level: 'fatal',
    time: new Date().toISOString(),
    event: 'process.fatal',
    kind: reason,
    msg: sentenceOf(stall),
    cause: null,
  };
  // Nothing can be done about last words that are not heard.
  write(STDERR, `${JSON.stringify(line)}\n`, () => undefined);
  setTimeout(() => end(reason), LAST_WORDS_MS_MAX);
}

function end(reason: FatalReason): void {
  if (reason === 'diskFailed') killProcess();
  const code = EXIT_CODE[reason];
  // In another thread: it may hang all the same, and this one must not.
  new Worker(new URL('./end-process-thread.js', import.meta.url), { workerData: code });
  setTimeout(killProcess, END_MS_MAX);
}

/** Told by Linux, from memory; elsewhere nobody knows. */
function isMainThreadHeld(): boolean {
  if (process.platform !== 'linux') return false;
  return HELD_PATTERN.test(readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8'));
}

function sentenceOf({ kind, stuckMs }: Stall): string {
  switch (kind) {
    case 'diskCall':
      return `Cannot write the log: one write or sync has not ended for ${stuckMs} ms`;
    case 'mainHeld':
      return `Cannot go on: the event loop has been held by the disk for ${stuckMs} ms`;
    case 'main':
      return `Cannot go on: the event loop has not turned for ${stuckMs} ms`;
    default:
      return unreachable(kind);
  }
}
