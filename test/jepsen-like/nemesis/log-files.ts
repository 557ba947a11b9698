/** The log of one node as files: from where to where it reaches, and how it is hurt at a place. */
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeSync } from 'node:fs';
import type { Prng } from '../../../src/base/prng.ts';
import { NodeDisk } from '../../../src/io/node/node-disk.ts';
import { type SegmentFile, viewStore } from '../../../src/store/inspect/store-view.ts';
import type { LogDamage } from './step.ts';

export const SEGMENT_HEADER_SIZE_BYTES = 4096;
const CHUNK_SIZE_BYTES_MAX = 16_384;

/** Physical offsets: the log begins at its base, not at zero, once the group has removed its beginning. */
export interface LogFiles {
  readonly segments: readonly SegmentFile[];
  readonly begin: number;
  /** Behind it are the zeros of a segment that waits to be written. */
  readonly end: number;
}

/** Of the generation that the base names: another one is about to go, or not yet in force. */
export async function logFilesOf(directory: string): Promise<LogFiles> {
  const disk = new NodeDisk();
  try {
    const { segments, begin } = await viewStore(disk, directory);
    return { segments, begin: begin.end, end: endOf(segments) ?? begin.end };
  } finally {
    // A file that is held open would keep the file system from being unmounted.
    await disk.close();
  }
}

function endOf(segments: readonly SegmentFile[]): number | null {
  for (const { path, startOffset } of [...segments].reverse()) {
    const bytes = readFileSync(path);
    let end = bytes.length;
    while (end > SEGMENT_HEADER_SIZE_BYTES && bytes[end - 1] === 0) end--;
    if (end > SEGMENT_HEADER_SIZE_BYTES) return startOffset + end;
  }
  return null;
}

/** @returns what was done, in words */
export function applyDamage(
  { segments }: LogFiles,
  damage: LogDamage,
  at: number,
  random: Prng,
): string {
  const segment = segments.findLast(({ startOffset }) => startOffset <= at);
  if (segment === undefined) throw new Error(`No segment holds ${at}`);
  const { path, startOffset, sizeBytes } = segment;
  const position = at - startOffset;
  switch (damage) {
    case 'bitFlip':
      flip(path, position, 1 << random.below(8));
      return `bit flipped at ${at}`;
    case 'truncate':
      truncateSync(path, position);
      return `segment ${startOffset} truncated to ${position}`;
    case 'chunkCopy': {
      const wantedBytes = 512 + random.below(CHUNK_SIZE_BYTES_MAX);
      const from = random.below(Math.max(1, position - wantedBytes));
      const chunk = Buffer.alloc(Math.min(wantedBytes, sizeBytes - position));
      const file = openSync(path, 'r+');
      readSync(file, chunk, 0, chunk.length, from);
      writeSync(file, chunk, 0, chunk.length, position);
      closeSync(file);
      return `${chunk.length} bytes copied from ${startOffset + from} over ${at}`;
    }
  }
}

export function flip(path: string, position: number, mask: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, position);
  byte[0] = byte[0]! ^ mask; // one byte
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}
