/** The first bytes of a file that may not be there, or not be readable. */
import { DiskError } from '../../io/disk.ts';
import type { ReadDisk } from './read-disk.ts';

/** What cannot be read reads as nothing: a slot or a note without its bytes is damaged. */
export async function fileHead(
  disk: ReadDisk,
  path: string,
  sizeBytesMax: number,
): Promise<{ readonly sizeBytes: number | null; readonly bytes: Uint8Array }> {
  const sizeBytes = await disk.sizeOf(path);
  if (sizeBytes === null) return { sizeBytes, bytes: new Uint8Array(0) };
  try {
    const bytes = await disk.read(path, 0, Math.min(sizeBytes, sizeBytesMax));
    return { sizeBytes, bytes };
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'EIO') throw error;
    return { sizeBytes, bytes: new Uint8Array(0) };
  }
}
