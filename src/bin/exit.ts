/** How a server process ends: one sentence on standard error and a distinct exit code. */
import { writeSync } from 'node:fs';
import { EXIT_CODE, FatalError } from '../base/errors.ts';
import { DiskError, STALLED } from '../io/disk.ts';
import { endProcess, killProcess } from '../io/node/end-process.ts';
import type { Logger } from './logger.ts';

const STDERR = 2;
const ORDERLY_END_MS_MAX = 5_000;

export function exitCodeOf(error: unknown): number {
  if (error instanceof FatalError) return EXIT_CODE[error.reason];
  return EXIT_CODE.invariantBroken;
}

/** What is to be kept of an end, before it comes. @returns a word on it for the last line, or null */
export type LastDeed = (error: unknown) => string | null;

let lastDeed: LastDeed = () => null;

/** There is one end, so there is one deed: the last that was set. */
export function beforeTheEnd(deed: LastDeed): void {
  lastDeed = deed;
}

/**
 * Ends the process at once. No reply may leave after this: what waits for a disk that failed must
 * not be released (hazard H2), so there is no orderly shutdown. And no waiting for threads: one of them
 * may hang in a disk that hangs (H11).
 */
export function exitWith(error: unknown): never {
  const isExpected = error instanceof FatalError;
  const text = error instanceof Error ? (isExpected ? error.message : error.stack) : String(error);
  const kind = error instanceof FatalError ? error.reason : 'invariantBroken';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : null;
  const line = { level: 'fatal', time: new Date().toISOString(), event: 'process.fatal', kind };
  const note = lastDeed(error);
  writeSync(STDERR, `${JSON.stringify({ ...line, msg: text, cause, note })}\n`);
  if (isStall(error)) killProcess();
  if (error instanceof FatalError && error.reason === 'diskFailed') endProcess(exitCodeOf(error));
  process.exit(exitCodeOf(error));
}

/**
 * The end of a replica. That of a node which was removed is orderly: it promises nothing to anybody any
 * more, and name servers and clients are told that it goes. It is given so long for that.
 */
export function endWith(error: Error, logger: Logger, stop: () => Promise<void>): void {
  if (!(error instanceof FatalError) || error.reason !== 'removedFromGroup') exitWith(error);
  logger.error(
    { event: 'process.removed', msg: error.message },
    'Removed from the group: stopping',
  );
  const timer = setTimeout(() => exitWith(error), ORDERLY_END_MS_MAX);
  stop().then(() => {
    clearTimeout(timer);
    exitWith(error);
  }, exitWith);
}

/** Threads hang in the disk, and no exit gets past them. */
function isStall(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof DiskError && error.cause.code === STALLED;
}

/** A bug anywhere must end the process, not leave it half alive. */
export function exitOnUncaught(): void {
  process.on('uncaughtException', exitWith);
  process.on('unhandledRejection', exitWith);
}
