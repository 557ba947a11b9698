/**
 * Every test process ends, also when a test fails: what is awaited is awaited for a time, and what is left
 * over when nobody owns anything any more ends the process, in words.
 */

/** No step of a test takes so long, on a busy machine either. */
const STEP_TIMEOUT_MS = 60_000;
/** From the end of the last owner on: a reader or a timer that is on its way out gets so much. */
const LEFTOVER_MS_MAX = 30_000;
/** A little more than the runner gives a file (tools/run-tests.mjs): for when the runner itself was killed. */
const PROCESS_MS_MAX = 330_000;

export async function inTime<T>(
  what: string,
  work: Promise<T>,
  timeoutMs = STEP_TIMEOUT_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error(`Waited ${timeoutMs} ms in vain for ${what}`));
    timer = setTimeout(fail, timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A bench has work of its own to do after its cluster is closed. */
const IS_TEST_PROCESS = process.env['NODE_TEST_CONTEXT'] !== undefined;

let ownerCount = 0;
let leftoverTimer: NodeJS.Timeout | undefined;
let hasEnd = false;

/** @returns to be called once, when the owner has released everything */
export function beginOwning(): () => void {
  clearTimeout(leftoverTimer);
  if (IS_TEST_PROCESS && !hasEnd) {
    hasEnd = true;
    setTimeout(
      () => endOf(`This process has had its ${PROCESS_MS_MAX} ms`),
      PROCESS_MS_MAX,
    ).unref();
  }
  ownerCount += 1;
  return () => {
    ownerCount -= 1;
    if (ownerCount > 0 || !IS_TEST_PROCESS) return;
    clearTimeout(leftoverTimer);
    // It keeps nobody alive: it fires only in a process that something else keeps alive.
    leftoverTimer = setTimeout(() => endOf('All tests are done'), LEFTOVER_MS_MAX).unref();
  };
}

function endOf(what: string): void {
  const left = process.getActiveResourcesInfo().join(', ');
  process.stderr.write(`${what}, and something is left that keeps this alive: ${left}\n`);
  process.exit(1);
}
