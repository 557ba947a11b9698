/**
 * Keeps two processes from opening one directory. Node has no flock, so two means together:
 *
 * 1. On Linux, a listening socket in the abstract namespace, named by device and inode of the
 *    directory. The kernel gives the name to one process and takes it back when that process ends, however it
 *    ends. It does not reach across network namespaces (containers), hence also:
 * 2. A file LOCK that names its owner: process id, boot id, start time of the process. It appears by
 *    `link`, whole or not at all, and only where there is none. The file of a process that is gone is
 *    removed only by the holder of the directory LOCK.takeover, who looks again before removing; so
 *    of two processes that find the same stale file one gives up. A takeover that was itself killed
 *    half-way leaves that directory behind and says so: an operator removes it.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { FatalError } from '../../base/errors.ts';
import type { DirectoryLock } from '../disk.ts';
import { attempting, codeOf } from './disk-errors.ts';

const LOCK_NAME = 'LOCK';
const TAKEOVER_NAME = 'LOCK.takeover';
const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';
/** Field 22 of /proc/<pid>/stat, counted from 1; the name in field 2 may hold spaces. */
const START_TIME_FIELD = 22;
const FIELDS_UP_TO_NAME = 2;

export interface Owner {
  readonly pid: number;
  /** Empty where the system does not tell. */
  readonly bootId: string;
  /** Clock ticks after boot at which the process started; empty where the system does not tell. */
  readonly startTime: string;
}

export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const socket = process.platform === 'linux' ? await bindLockSocket(directory) : null;
  try {
    await takeLockFile(directory);
  } catch (error) {
    await closeServer(socket);
    throw error;
  }
  let releasing: Promise<void> | null = null;
  return {
    release: () => {
      releasing ??= attempting('release', join(directory, LOCK_NAME), () =>
        unlinkIfThere(join(directory, LOCK_NAME)),
      ).finally(() => closeServer(socket));
      return releasing;
    },
  };
}

/** In the abstract namespace of Linux. */
export function lockSocketName(dev: number, ino: number): string {
  return `\0mq-raft-${dev}-${ino}`;
}

async function bindLockSocket(directory: string): Promise<Server> {
  const { dev, ino } = await attempting('look at', directory, () => stat(directory));
  const server = createServer((connection) => connection.destroy());
  server.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: lockSocketName(dev, ino), exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    throw lockedBy(directory, await readOwner(directory));
  }
  return server;
}

async function closeServer(server: Server | null): Promise<void> {
  if (server === null) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

async function takeLockFile(directory: string): Promise<void> {
  const lockPath = join(directory, LOCK_NAME);
  const ownPath = join(directory, `${LOCK_NAME}.${process.pid}.${randomBytes(8).toString('hex')}`);
  const self = await ownerOf(process.pid);
  await attempting('write', ownPath, () => writeFile(ownPath, `${JSON.stringify(self)}\n`));
  try {
    if (await linked(ownPath, lockPath)) return;
    await removeStaleLock(directory);
    if (await linked(ownPath, lockPath)) return;
    throw lockedBy(directory, await readOwner(directory));
  } finally {
    await attempting('remove', ownPath, () => unlink(ownPath));
  }
}

/** @returns false when there is a lock file already. */
async function linked(ownPath: string, lockPath: string): Promise<boolean> {
  try {
    await link(ownPath, lockPath);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

async function removeStaleLock(directory: string): Promise<void> {
  const takeoverPath = join(directory, TAKEOVER_NAME);
  try {
    await mkdir(takeoverPath);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    throw new FatalError(
      'directoryLocked',
      `Cannot lock ${directory}: another process is taking over its stale lock; ` +
        `if none is running, remove ${takeoverPath}`,
    );
  }
  try {
    const owner = await readOwner(directory);
    if (owner !== null && (await isAlive(owner))) throw lockedBy(directory, owner);
    await unlinkIfThere(join(directory, LOCK_NAME));
  } finally {
    await rmdir(takeoverPath);
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** @returns null when there is no lock file, or one that says nothing. */
export async function readOwner(directory: string): Promise<Owner | null> {
  try {
    const value: unknown = JSON.parse(await readFile(join(directory, LOCK_NAME), 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { pid, bootId, startTime } = value as Partial<Record<keyof Owner, unknown>>;
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return null;
    return { pid, bootId: String(bootId ?? ''), startTime: String(startTime ?? '') };
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function ownerOf(pid: number): Promise<Owner> {
  return { pid, bootId: await readBootId(), startTime: (await readStartTime(pid)) ?? '' };
}

export async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.bootId !== (await readBootId())) return false;
  if (owner.startTime !== '') return (await readStartTime(owner.pid)) === owner.startTime;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
    if (codeOf(error) === 'EPERM') return true;
    throw error;
  }
}

async function readBootId(): Promise<string> {
  return (await readIfThere(BOOT_ID_PATH))?.trim() ?? '';
}

/** @returns null when there is no such process, or no /proc. */
async function readStartTime(pid: number): Promise<string | null> {
  const text = await readIfThere(`/proc/${pid}/stat`);
  if (text === null) return null;
  const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return afterName[START_TIME_FIELD - FIELDS_UP_TO_NAME - 1] ?? null;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // ESRCH: the process ended between opening and reading its file.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}

function lockedBy(directory: string, owner: Owner | null): FatalError {
  const who = owner === null ? 'another process' : `process ${owner.pid}`;
  return new FatalError('directoryLocked', `Cannot lock ${directory}: ${who} is using it`);
}
