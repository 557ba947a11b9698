/**
 * The thread that writes the log, on a system whose sync does nothing, for all files or for the superblock; or
 * whose failures are overheard.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const canary = process.env['MQ_RAFT_CANARY'];
const careless = new Set<number>();
const { openSync, fdatasyncSync } = fs;

fs.openSync = (path, flags, mode) => {
  const file = openSync(path, flags, mode);
  const isVote = canary === 'vote-not-synced' && String(path).endsWith('/superblock');
  if (isVote || canary === 'ack-before-fsync') careless.add(file);
  else careless.delete(file);
  return file;
};
fs.fdatasyncSync = (file) => {
  if (careless.has(file)) return;
  try {
    fdatasyncSync(file);
  } catch (error) {
    const isFailedSync = error instanceof Error && 'code' in error && error.code === 'EIO';
    if (!isFailedSync || canary !== 'sync-error-ignored') throw error;
  }
};
syncBuiltinESMExports();
await import('../../../src/io/node/disk-worker.ts');
