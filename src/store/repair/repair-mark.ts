/**
 * That a repair writes into this log, durable before its first write. A repair puts back what lies before the
 * durable note, which a start does not write again. If one of its syncs fails, the process ends, and the system may
 * remember as written what never reached the device (H2). So a start that finds the mark believes what the device
 * holds, and takes the mark away once the log is whole.
 */
import type { Disk } from '../../io/disk.ts';
import type { LogPaths } from '../log-paths.ts';

/** For whoever looks into the directory. */
const WORDS = 'A repair writes into this log. The next start reads it past the page cache.\n';

export async function isMarked(disk: Pick<Disk, 'sizeOf'>, paths: LogPaths): Promise<boolean> {
  return (await disk.sizeOf(paths.repairing)) !== null;
}

export function mark(disk: Pick<Disk, 'writeFile'>, paths: LogPaths): Promise<void> {
  return disk.writeFile(paths.repairing, new TextEncoder().encode(WORDS));
}

/** It may come back after a power cut: then a start takes longer, and nothing else. */
export function unmark(disk: Pick<Disk, 'remove'>, paths: LogPaths): Promise<void> {
  return disk.remove(paths.repairing);
}

/** Reads of what the device holds, as far as the platform can. */
export function fromDevice(disk: Pick<Disk, 'readPastCache'>): Pick<Disk, 'read'> {
  return {
    read: async (path, position, sizeBytes) =>
      (await disk.readPastCache(path, position, sizeBytes)).bytes,
  };
}
