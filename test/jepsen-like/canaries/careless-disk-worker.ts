/** The thread that writes the log, on a system whose sync does nothing: for all files, or for the superblock. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const isForAll = process.env['MQ_RAFT_CANARY'] === 'ack-before-fsync';
const careless = new Set<number>();
const { openSync, fdatasyncSync } = fs;

fs.openSync = (path, flags, mode) => {
  const file = openSync(path, flags, mode);
  if (isForAll || String(path).endsWith('/superblock')) careless.add(file);
  else careless.delete(file);
  return file;
};
fs.fdatasyncSync = (file) => {
  if (!careless.has(file)) fdatasyncSync(file);
};
syncBuiltinESMExports();
await import('../../../src/io/node/disk-worker.ts');
