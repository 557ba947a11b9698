/**
 * The memory of failed writes and syncs of a data directory (H2), for the next start and for operators:
 * one line of JSON per failure, in the directory itself and beside it, where another file system may
 * still take it. Either copy alone will do.
 *
 * A process may come back after such a failure, because what the kernel may have lied about is written
 * again at the start. A disk that fails again and again is another matter: after the third failure
 * within an hour no start is allowed until somebody has looked, and has deleted both files.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { FatalError } from '../base/errors.ts';
import { DiskError, isOutOfSpace } from '../io/disk.ts';

/** Failures within the window after which the disk is not trusted any more. */
const FAILURE_COUNT_MAX = 3;
const WINDOW_MS = 60 * 60 * 1000;
/** Beyond the last ones nothing is worth reading. */
const REMEMBERED_MAX = 32;
const FILE_NAME = 'DISK_FAILED';

/** Refusals by the system that say nothing about the disk. */
const INNOCENT_CODES: readonly string[] = ['EACCES', 'EPERM', 'ENOENT', 'EMFILE', 'ENFILE'];
/** What changes the disk, as the disk port names it. */
const WRITING_OPERATIONS: readonly string[] = ['write', 'sync', 'prepare', 'rename', 'remove'];

export interface DiskFailure {
  readonly atMs: number;
  readonly operation: string;
  readonly path: string;
  /** The name the system gives it: EIO. */
  readonly code: string;
  readonly pid: number;
}

/** In the directory, and beside it. */
export function failurePathsOf(directory: string): readonly [string, string] {
  const path = resolve(directory);
  return [`${path}/${FILE_NAME}`, `${path}.${FILE_NAME}`];
}

/** null: it is no failed write or sync, or not the disk's doing. */
export function diskFailureOf(error: unknown, atMs: number): DiskFailure | null {
  const cause = error instanceof FatalError && error.reason === 'diskFailed' ? error.cause : null;
  if (!(cause instanceof DiskError) || isOutOfSpace(cause)) return null;
  const { operation, path, code } = cause;
  if (!WRITING_OPERATIONS.includes(operation) || INNOCENT_CODES.includes(code)) return null;
  return { atMs, operation, path, code, pid: process.pid };
}

/** @returns for each place why the failure could not be noted there; empty: it is in both */
export function noteDiskFailure(directory: string, failure: DiskFailure): readonly string[] {
  const { atMs, ...facts } = failure;
  const line = `${JSON.stringify({ time: new Date(atMs).toISOString(), ...facts })}\n`;
  const problems: string[] = [];
  for (const path of failurePathsOf(directory)) {
    try {
      const file = openSync(path, 'a');
      try {
        writeSync(file, line);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      // A disk that has just failed may fail this as well. That is why there are two places.
      if (!isSystemError(error)) throw error;
      problems.push(`${path}: ${error.code}`);
    }
  }
  return problems;
}

/** Oldest first. What cannot be read says nothing: the store behind it will be heard of soon enough. */
export function readDiskFailures(directory: string): readonly DiskFailure[] {
  const failures = new Map<string, DiskFailure>();
  for (const path of failurePathsOf(directory)) {
    for (const line of linesOf(path)) {
      const failure = failureIn(line);
      if (failure !== null) failures.set(`${failure.atMs} ${failure.pid}`, failure);
    }
  }
  return [...failures.values()].sort((a, b) => a.atMs - b.atMs).slice(-REMEMBERED_MAX);
}

/** @throws FatalError diskDistrusted */
export function requireTrust(directory: string, failures: readonly DiskFailure[]): void {
  const last = failures.findLast((failure, place) => {
    const first = failures[place - FAILURE_COUNT_MAX + 1];
    return first !== undefined && failure.atMs - first.atMs <= WINDOW_MS;
  });
  if (last === undefined) return;
  throw new FatalError(
    'diskDistrusted',
    `The disk of ${directory} failed ${FAILURE_COUNT_MAX} times within an hour, last at ` +
      `${new Date(last.atMs).toISOString()} (${last.operation} ${last.path}: ${last.code}), so this node ` +
      'stays down; the others of its group hold what was acknowledged. Look at the disk and the log of ' +
      'the kernel, and replace what is broken. Then delete ' +
      `${failurePathsOf(directory).join(' and ')}, and start the node again`,
  );
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .slice(-REMEMBERED_MAX - 1);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return [];
  }
}

/** null: a torn line, or none of ours. */
function failureIn(line: string): DiskFailure | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { time, operation, path, code, pid } = value as Partial<Record<string, unknown>>;
  const atMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  if (!Number.isFinite(atMs) || typeof pid !== 'number') return null;
  return { atMs, operation: String(operation), path: String(path), code: String(code), pid };
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error && 'code' in error;
}
