import { deepEqual, doesNotThrow, equal, match, throws } from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { DiskError } from '../io/disk.ts';
import {
  type DiskFailure,
  diskFailureOf,
  failurePathsOf,
  noteDiskFailure,
  readDiskFailures,
  requireTrust,
} from './disk-failures.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.parse('2026-01-02T03:04:05.678Z');

function aDirectory(t: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), 'mq-raft-failures-'));
  t.after(() => rmSync(parent, { recursive: true }));
  const directory = join(parent, 'n1');
  mkdirSync(directory);
  return directory;
}

function failureAfter(minutes: number): DiskFailure {
  const atMs = START_MS + minutes * MINUTE_MS;
  return { atMs, operation: 'sync', path: '/d/data/0.seg', code: 'EIO', pid: 7 };
}

function fatal(operation: string, code: string): FatalError {
  return new FatalError('diskFailed', 'x', { cause: new DiskError(operation, '/d/f', code) });
}

test('a failure is noted in the directory and beside it, and read once', (t) => {
  const directory = aDirectory(t);
  deepEqual(noteDiskFailure(directory, failureAfter(0)), []);
  deepEqual(readDiskFailures(directory), [failureAfter(0)]);
});

test('either copy alone will do', (t) => {
  for (const lost of [0, 1] as const) {
    const directory = aDirectory(t);
    noteDiskFailure(directory, failureAfter(0));
    rmSync(failurePathsOf(directory)[lost]);
    deepEqual(readDiskFailures(directory), [failureAfter(0)]);
  }
});

test('what cannot be noted in one place is noted in the other, and the problem has a name', (t) => {
  const directory = aDirectory(t);
  rmSync(directory, { recursive: true });
  const problems = noteDiskFailure(directory, failureAfter(0));
  deepEqual(problems, [`${directory}/DISK_FAILED: ENOENT`]);
  deepEqual(readDiskFailures(directory), [failureAfter(0)]);
});

test('torn and foreign lines are passed over', (t) => {
  const directory = aDirectory(t);
  const [inside] = failurePathsOf(directory);
  writeFileSync(inside, '{"time":"20\nnull\n{"time":"never","pid":1}\n');
  noteDiskFailure(directory, failureAfter(3));
  appendFileSync(inside, '{"time":"2026-01-0');
  deepEqual(readDiskFailures(directory), [failureAfter(3)]);
});

const histories: readonly { readonly minutes: readonly number[]; readonly trusted: boolean }[] = [
  { minutes: [], trusted: true },
  { minutes: [0, 59], trusted: true },
  { minutes: [0, 30, 60], trusted: false },
  { minutes: [0, 30, 61], trusted: true },
  { minutes: [0, 40, 80, 120], trusted: true },
  { minutes: [0, 70, 80, 90], trusted: false },
  { minutes: [0, 1, 2, 500], trusted: false },
];

for (const { minutes, trusted } of histories) {
  test(`failures at minutes [${minutes.join(', ')}]: the disk is ${trusted ? '' : 'not '}trusted`, () => {
    const check = (): void => requireTrust('/d', minutes.map(failureAfter));
    if (trusted) doesNotThrow(check);
    else throws(check, { reason: 'diskDistrusted' });
  });
}

test('the refusal names the last failure, both files, and what to do', () => {
  throws(
    () => requireTrust('/d', [0, 1, 2].map(failureAfter)),
    (error: unknown) => {
      const { message } = error as Error;
      match(message, /failed 3 times within an hour, last at 2026-01-02T03:06:05\.678Z/);
      match(message, /sync \/d\/data\/0\.seg: EIO/);
      match(message, /delete \/d\/DISK_FAILED and \/d\.DISK_FAILED, and start/);
      return true;
    },
  );
});

const deaths: readonly (readonly [string, unknown, boolean])[] = [
  ['a failed sync', fatal('sync', 'EIO'), true],
  ['a write to a file system gone read-only', fatal('write', 'EROFS'), true],
  ['a segment that could not be prepared', fatal('prepare', 'EIO'), true],
  ['a full disk', fatal('write', 'ENOSPC'), false],
  ['a quota', fatal('write', 'EDQUOT'), false],
  ['a directory of somebody else', fatal('write', 'EACCES'), false],
  ['a failed read', fatal('read', 'EIO'), false],
  ['a stalled disk', fatal('finish a write of', 'STALLED'), false],
  ['a database that cannot be made', new FatalError('diskFailed', 'no database'), false],
  ['another end', new FatalError('addressInUse', 'x', { cause: fatal('sync', 'EIO') }), false],
  ['a bug', new Error('x'), false],
];

for (const [what, error, isNoted] of deaths) {
  test(`${what} is ${isNoted ? '' : 'not '}a failure of the disk`, () => {
    equal(diskFailureOf(error, START_MS) !== null, isNoted);
  });
}
