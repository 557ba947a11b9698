/**
 * The steps by which a directory becomes that of another cluster with this node alone. Each is durable when it
 * resolves, and harmless when it is done again: whoever is interrupted begins anew.
 */
import { FatalError } from '../../base/errors.ts';
import { LogIndex, Term } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { Disk, DiskWrite } from '../../io/disk.ts';
import type { CommitLog, StoredEntry } from '../commit-log.ts';
import { readFounding, writeFounding } from '../founding-file.ts';
import { segmentHeaderIn, viewStore } from '../inspect/store-view.ts';
import { LogPaths } from '../log-paths.ts';
import { openCommitLog } from '../open-commit-log.ts';
import { encodeSegmentHeader } from '../segment.ts';
import { readOrEmpty } from '../store-directory.ts';
import {
  encodeSuperblock,
  newestSuperblock,
  SLOT_COUNT,
  SLOT_SIZE_BYTES,
  SUPERBLOCK_SIZE_BYTES,
  type Superblock,
} from '../superblock.ts';
import { type RecoveryKind, writeReport } from './recovery-report.ts';

/** What a file is called that was replaced. */
export const BEFORE_RECOVERY = '.before-recovery';

export interface RecoveryWorld {
  readonly disk: Disk;
  readonly clock: Clock;
  /** As at each start of a broker. */
  readonly mintBootId: () => string;
}

export interface RebirthTask {
  readonly directory: string;
  readonly newClusterId: string;
  /** No leader ever had it. */
  readonly newTerm: Term;
}

export interface Rebirth<Task extends RebirthTask> {
  readonly kind: RecoveryKind;
  readonly task: Task;
  /** While the directory starts as nobody, before its segments get the new name. */
  readonly prepare?: (paths: LogPaths, old: Superblock) => Promise<void>;
  /** Before the new superblock makes it a store again. */
  readonly complete?: () => Promise<void>;
  /** What the new log goes on with. @returns its last entry */
  readonly append: () => Promise<LogIndex>;
}

/**
 * The steps that every recovery has, in the order of unsafe-recovery.ts. May be called again after a crash, with the
 * task that its report names.
 *
 * @returns the last entry of the new log
 */
export async function executeRebirth<Task extends RebirthTask>(
  { kind, task, prepare, complete, append }: Rebirth<Task>,
  { disk }: RecoveryWorld,
): Promise<LogIndex> {
  const paths = new LogPaths(task.directory);
  const lock = await disk.lock(task.directory);
  try {
    await writeReport(disk, kind, 'begun', task);
    const old = await setSuperblockAside(disk, paths, task.newClusterId);
    if (old.identity.clusterId !== task.newClusterId) {
      await prepare?.(paths, old);
      await renameSegments(disk, task, old.identity.clusterId);
      await renameFounding(disk, task);
      await complete?.();
      await writeReborn(disk, old, task);
    }
  } finally {
    await lock.release();
  }
  const lastIndex = await append();
  await writeReport(disk, kind, 'done', task);
  return lastIndex;
}

/** @returns the superblock of before, or the new one when that was reached already. */
async function setSuperblockAside(
  disk: Disk,
  paths: LogPaths,
  newClusterId: string,
): Promise<Superblock> {
  const aside = `${paths.superblock}${BEFORE_RECOVERY}`;
  const current = newestSuperblock(await readOrEmpty(disk, paths.superblock));
  if (current === null) {
    const old = newestSuperblock(await readOrEmpty(disk, aside));
    if (old === null) {
      throw new FatalError('identityRefused', `${paths.directory} has no valid superblock`);
    }
    return old;
  }
  if (current.identity.clusterId === newClusterId) return current;
  await disk.writeFile(aside, superblockFile(current));
  await disk.remove(paths.superblock);
  return current;
}

/** Only what it is named by: places, terms and chain stay, and so does every entry. */
async function renameSegments(
  disk: Disk,
  { directory, newClusterId }: RebirthTask,
  oldClusterId: string,
): Promise<void> {
  const { segments } = await viewStore(disk, directory);
  const writes: { readonly path: string; readonly bytes: Uint8Array }[] = [];
  for (const segment of segments) {
    const header = await segmentHeaderIn(disk, segment);
    // Prepared and not used, or renamed by an earlier attempt.
    if (header === null || header.clusterId === newClusterId) continue;
    if (header.clusterId !== oldClusterId) {
      throw new FatalError('logDamaged', `${segment.path} belongs to cluster ${header.clusterId}`);
    }
    const bytes = encodeSegmentHeader({ ...header, clusterId: newClusterId });
    writes.push({ path: segment.path, bytes });
  }
  await writeAll(disk, writes);
}

/** Of a node that joined its group later: by this file it knows its own cluster at a start. */
async function renameFounding(disk: Disk, { directory, newClusterId }: RebirthTask): Promise<void> {
  const founding = await readFounding(disk, directory);
  if (founding === null || founding.group === null) return;
  const group = { ...founding.group, clusterId: newClusterId };
  await writeFounding(disk, directory, { ...founding, group });
}

async function writeAll(
  disk: Disk,
  places: readonly { readonly path: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  let fail: (error: Error) => void = () => {};
  const writer = disk.openLogWriter({ onFail: (error) => fail(error), onSync: () => {} });
  try {
    for (const { path, bytes } of places) {
      const file = writer.open(path);
      const writes: readonly DiskWrite[] = [{ file, position: 0, bytes }];
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        writer.submit({ writes, sync: 'alone', note: null, onDone: resolve });
      });
      writer.closeFile(file);
    }
  } finally {
    await writer.close();
  }
}

/** From here on it is a store of the new cluster. */
function writeReborn(disk: Disk, old: Superblock, task: RebirthTask): Promise<void> {
  return disk.writeFile(new LogPaths(task.directory).superblock, superblockFile(reborn(old, task)));
}

function reborn(old: Superblock, { newClusterId, newTerm }: RebirthTask): Superblock {
  return {
    ...old,
    identity: { ...old.identity, clusterId: newClusterId },
    // Of the old group nobody is remembered; the vote of its last term binds nobody here.
    hardState: { term: Term(newTerm - 1), votedFor: null },
    peers: new Map(),
    // Of the log as it was: it may end elsewhere now.
    cleanEnd: null,
    sequence: old.sequence + 1,
  };
}

function superblockFile(superblock: Superblock): Uint8Array {
  const file = new Uint8Array(SUPERBLOCK_SIZE_BYTES);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    file.set(encodeSuperblock(superblock), slot * SLOT_SIZE_BYTES);
  }
  return file;
}

/**
 * Opens the log as a start would, and appends to it as a leader of the new term would: it is alone, so what is durable
 * here is committed.
 *
 * @param entriesFor what is not there yet; none: it is done
 * @returns the last entry
 */
export async function appendAlone(
  { directory, newTerm }: RebirthTask,
  { disk, clock, mintBootId }: RecoveryWorld,
  entriesFor: (log: CommitLog) => readonly StoredEntry[],
): Promise<LogIndex> {
  const superblock = newestSuperblock(await readOrEmpty(disk, new LogPaths(directory).superblock));
  if (superblock === null) {
    throw new FatalError('identityRefused', `${directory} has no valid superblock`);
  }
  let fail: (error: Error) => void = () => {};
  const { storeUuid, ...identity } = superblock.identity;
  const log = await openCommitLog(disk, {
    ...{ directory, identity, mintBootId, clock },
    mintUuid: () => storeUuid,
    onFatal: (error) => fail(error),
  });
  try {
    const entries = entriesFor(log);
    const last = entries.at(-1)?.desc.index;
    if (last === undefined) return log.recovered.entries.at(-1)?.index ?? LogIndex(0);
    await new Promise<void>((resolve, reject) => {
      fail = reject;
      const hardState = { term: newTerm, votedFor: identity.nodeId };
      log.persist({ hardState, base: null, truncateFrom: null, entries, onDurable: resolve });
    });
    log.noteCommitIndex(last);
    return last;
  } finally {
    await log.close();
  }
}
