/**
 * A watchdog in a thread of its own (H11): ends the process, with its exit code where that is possible
 * and by SIGKILL where threads hang in the disk, when one system call of the disk thread does
 * not return, or when the event loop does not turn, for too long. The event loop notices most of that
 * itself (replica/disk-watchdog.ts), and earlier; this is for when it hangs too, as it does when it
 * touches a page of the database on a disk that hangs.
 *
 * A stopped and continued process is not taken for a hung one: see stall-judge.ts.
 */
import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import type { WatchPlan } from './process-watchdog-thread.ts';
import { ENDING, MAIN_BEATS, WATCH_WORDS } from './stall-judge.ts';

const LOOK_EVERY_MS = 500;
const BEAT_EVERY_MS = 250;
/** Ample for a start that reads a large database; nothing of ours works for seconds without a pause. */
const MAIN_MS_MAX = 30_000;

export interface ProcessWatchdog {
  /** For the disk whose calls are watched. */
  readonly memory: SharedArrayBuffer;
  /** The process is about to end itself; should it hang in doing so, it is killed. */
  expectEnd(): void;
  /** Idempotent. */
  close(): void;
}

export function startProcessWatchdog(limits: {
  readonly diskMsMax: number;
  readonly mainMsMax?: number;
}): ProcessWatchdog {
  const memory = new SharedArrayBuffer(WATCH_WORDS * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(memory);
  const plan: WatchPlan = {
    memory,
    lookEveryMs: LOOK_EVERY_MS,
    diskMsMax: limits.diskMsMax,
    // In a debugger the event loop stands still for as long as somebody looks.
    mainMsMax: inspectorUrl() === undefined ? (limits.mainMsMax ?? MAIN_MS_MAX) : null,
  };
  const worker = new Worker(new URL('./process-watchdog-thread.js', import.meta.url), {
    workerData: plan,
    execArgv: [],
    // It holds a timer and two numbers.
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  worker.unref();
  const beats = setInterval(() => Atomics.add(words, MAIN_BEATS, 1), BEAT_EVERY_MS);
  beats.unref();
  return {
    memory,
    expectEnd: () => void Atomics.store(words, ENDING, 1),
    close: () => {
      clearInterval(beats);
      void worker.terminate();
    },
  };
}
