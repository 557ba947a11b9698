/** How a server process ends: one sentence on standard error and a distinct exit code. */
import { writeSync } from 'node:fs';
import { EXIT_CODE, FatalError } from '../base/errors.ts';

const STDERR = 2;

export function exitCodeOf(error: unknown): number {
  if (error instanceof FatalError) return EXIT_CODE[error.reason];
  return EXIT_CODE.invariantBroken;
}

/**
 * Ends the process at once. No reply may leave after this: what waits for a disk that failed must
 * not be released (hazard H2), so there is no orderly shutdown.
 */
export function exitWith(error: unknown): never {
  const isExpected = error instanceof FatalError;
  const text = error instanceof Error ? (isExpected ? error.message : error.stack) : String(error);
  const kind = error instanceof FatalError ? error.reason : 'invariantBroken';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : null;
  const line = { level: 'fatal', time: new Date().toISOString(), event: 'process.fatal', kind };
  writeSync(STDERR, `${JSON.stringify({ ...line, msg: text, cause })}\n`);
  process.exit(exitCodeOf(error));
}

/** A bug anywhere must end the process, not leave it half alive. */
export function exitOnUncaught(): void {
  process.on('uncaughtException', exitWith);
  process.on('unhandledRejection', exitWith);
}
