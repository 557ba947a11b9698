/**
 * A directory whose log was found to be another one than its group has, with good checksums: no start repairs
 * that, and no start may take part with it. So it is noted in the directory, and whoever starts it is told.
 */
import { FatalError } from '../base/errors.ts';
import type { Disk } from '../io/disk.ts';

const FILE_NAME = 'DIVERGED';

export async function noteDivergence(disk: Disk, directory: string, what: string): Promise<void> {
  await disk.writeFile(pathIn(directory), Buffer.from(`${what}\n`));
}

/** @throws FatalError logDamaged when the directory carries such a note */
export async function requireNoDivergence(disk: Disk, directory: string): Promise<void> {
  const path = pathIn(directory);
  const sizeBytes = await disk.sizeOf(path);
  if (sizeBytes === null) return;
  const what = Buffer.from(await disk.read(path, 0, sizeBytes))
    .toString()
    .trim();
  throw new FatalError(
    'logDamaged',
    `${what}. No start repairs that: keep ${directory} for whoever wants to know why, and let this node ` +
      `be replaced by one with an empty directory. (This was noted in ${path}.)`,
  );
}

function pathIn(directory: string): string {
  return `${directory}/${FILE_NAME}`;
}
