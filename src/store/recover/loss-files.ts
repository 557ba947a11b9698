/**
 * What is written before a log is cut: the messages that go with its beginning, for whoever sends them again, and
 * the snapshot on which the new log stands. Neither is looked at by a start.
 */
import { MIB } from '../../base/sizes.ts';
import { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { verifySnapshot } from '../derived/read-snapshot.ts';
import type { StateSnapshot } from '../derived/state-snapshot.ts';
import type { WalkedEntry } from '../inspect/walk-options.ts';
import { readChunkAt } from '../snapshots/snapshot-info.ts';
import type { EntryRange } from './entry-marks.ts';
import type { LossPlan } from './loss-plan.ts';

/** Text is gathered, so that small messages cost no more than large ones. */
const PIECE_SIZE_BYTES = MIB;

export interface GivenUpOptions {
  readonly disk: Disk;
  readonly plan: LossPlan;
  readonly path: string;
  /** With a line end; null: nothing of the entry is a message. */
  readonly lineOf: (entry: WalkedEntry, directory: string) => string | null;
  readonly lostLineOf: (range: EntryRange) => string;
  readonly signal: AbortSignal;
}

/** The entries before the first one that stays. */
export function givenUpRange({ snapshot, keptFrom, lastIndex }: LossPlan): EntryRange {
  const to = keptFrom === null ? lastIndex : LogIndex(keptFrom - 1);
  return { from: snapshot.info.logStart.index, to };
}

/** Whole and durable when it resolves; until then the name is not there, or names what was. */
export async function writeGivenUp(options: GivenUpOptions): Promise<void> {
  const { disk, plan, path, lineOf, lostLineOf, signal } = options;
  const part = `${path}.part`;
  await disk.remove(part);
  let position = 0;
  let lines: string[] = [];
  let gatheredBytes = 0;
  const flush = async (): Promise<void> => {
    const bytes = new TextEncoder().encode(lines.join(''));
    lines = [];
    gatheredBytes = 0;
    await disk.writeAt(part, position, bytes);
    position += bytes.length;
  };
  const add = async (line: string | null): Promise<void> => {
    if (line === null) return;
    lines.push(line);
    gatheredBytes += line.length;
    if (gatheredBytes >= PIECE_SIZE_BYTES) await flush();
  };
  await plan.union.read({ disk, signal }, givenUpRange(plan), {
    onEntry: (entry, directory) => add(lineOf(entry, directory)),
    onLost: (range) => add(lostLineOf(range)),
  });
  await flush();
  await disk.publish(part, path);
}

/**
 * Whole, durable and read back when it resolves.
 * @throws CorruptionError when what was read back is not what was written
 */
export async function writeStagedSnapshot(
  disk: Disk,
  path: string,
  snapshot: StateSnapshot,
): Promise<void> {
  const part = `${path}.part`;
  await disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
  await disk.remove(part);
  let count = 0;
  const breathe = async (): Promise<void> => {};
  for await (const chunk of snapshot.chunks({ attachment: new Uint8Array(0), breathe })) {
    await disk.writeAt(part, count * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
    count += 1;
  }
  const written = async function* () {
    for (let number = 0; number < count; number++) yield await readChunkAt(disk, part, number);
  };
  await verifySnapshot(written());
  await disk.publish(part, path);
}
