/**
 * Who has a directory open, found out without taking its lock: from the file LOCK and, on Linux, by asking
 * whether somebody listens on the lock's socket (disk-lock.ts). Writes nothing.
 */
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { DiskError } from '../disk.ts';
import { attempting, codeOf } from './disk-errors.ts';
import { isAlive, lockSocketName, readOwner } from './disk-lock.ts';

/** `pid` is null when the holder is alive and has left no process id. */
export interface LockHolder {
  readonly pid: number | null;
}

/** @returns null: nobody, or there is no such directory. */
export async function lockHolder(directory: string): Promise<LockHolder | null> {
  const place = await placeOf(directory);
  if (place === null) return null;
  const owner = await attempting('read the lock of', directory, () => readOwner(directory));
  if (owner !== null && (await isAlive(owner))) return { pid: owner.pid };
  if (process.platform !== 'linux') return null;
  return (await isListening(lockSocketName(place.dev, place.ino))) ? { pid: null } : null;
}

async function placeOf(directory: string): Promise<{ dev: number; ino: number } | null> {
  try {
    return await stat(directory);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new DiskError('look at', directory, code, { cause: error });
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (codeOf(error) === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}
