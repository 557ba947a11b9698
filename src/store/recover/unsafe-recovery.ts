/**
 * Makes a group of one out of a surviving directory, under another cluster id, so that nobody of the old group
 * is ever taken for a member of the new one, and the other way round.
 *
 * In this order, each step durable before the next one, each harmless when it is done again:
 * 1. `recovery-report.json` says what is about to happen.
 * 2. The superblock is kept under another name and removed. From here on the directory starts as nobody: a
 *    store with segments and without a superblock is refused (H22).
 * 3. The segment headers, and the file `founding` if there is one, get the new cluster id.
 * 4. The new superblock appears whole: the new cluster id, a new term, no vote, no peers.
 * 5. The log is opened as a start would open it, and a config entry is appended: this node alone.
 * 6. The report says that it is done.
 */
import { FatalError } from '../../base/errors.ts';
import { LogIndex, Term } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { Disk, DiskWrite } from '../../io/disk.ts';
import { readFounding, writeFounding } from '../founding-file.ts';
import { segmentHeaderIn, viewStore } from '../inspect/store-view.ts';
import { tipOfBase } from '../log-base.ts';
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
import { membershipEntries, tipAfter } from './membership-entries.ts';
import type { RecoveryPlan } from './recovery-plan.ts';

export const RECOVERY_REPORT_FILE = 'recovery-report.json';
const OLD_SUPERBLOCK = 'superblock.before-recovery';
const REPORT_VERSION = 'mq-raft/v1';

export interface RecoveryWorld {
  readonly disk: Disk;
  readonly clock: Clock;
  /** As at each start of a broker. */
  readonly mintBootId: () => string;
}

/** May be called again after a crash, with the task that `unfinishedTask` reads. */
export async function executeRecovery(task: RecoveryTask, world: RecoveryWorld): Promise<LogIndex> {
  const { disk } = world;
  const paths = new LogPaths(task.directory);
  const lock = await disk.lock(task.directory);
  try {
    await writeReport(disk, task, 'begun');
    const old = await setSuperblockAside(disk, paths, task.newClusterId);
    const isRenamed = old.identity.clusterId === task.newClusterId;
    if (!isRenamed) {
      await renameSegments(disk, task, old.identity.clusterId);
      await renameFounding(disk, task);
      await disk.writeFile(paths.superblock, superblockFile(reborn(old, task)));
    }
  } finally {
    await lock.release();
  }
  const lastIndex = await appendMembership(task, world);
  await writeReport(disk, task, 'done');
  return lastIndex;
}

/** What is kept of a plan to carry it out, also by another process. */
export interface RecoveryTask {
  readonly directory: string;
  readonly newClusterId: string;
  readonly newTerm: Term;
  readonly membership: RecoveryPlan['membership'];
  /** For the report: what was seen, what may be lost, who decided. */
  readonly findings: object;
}

export function taskOf(plan: RecoveryPlan, findings: object): RecoveryTask {
  const { winner, newClusterId, newTerm, membership } = plan;
  return { directory: winner.directory, newClusterId, newTerm, membership, findings };
}

/** Of a recovery that was begun here and not finished; null: there is none. */
export async function unfinishedTask(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
): Promise<RecoveryTask | null> {
  const path = `${directory}/${RECOVERY_REPORT_FILE}`;
  const sizeBytes = await disk.sizeOf(path);
  if (sizeBytes === null) return null;
  const text = new TextDecoder().decode(await disk.read(path, 0, sizeBytes));
  const report = parsedReport(text);
  if (report === null) {
    throw new FatalError('logDamaged', `${path} is no report of a recovery: move it away`);
  }
  return report.state === 'done' ? null : { ...report.task, directory };
}

interface Report {
  readonly apiVersion: string;
  readonly state: 'begun' | 'done';
  readonly task: Omit<RecoveryTask, 'directory'>;
}

function parsedReport(text: string): Report | null {
  try {
    const value: unknown = JSON.parse(text);
    const isReport =
      typeof value === 'object' &&
      value !== null &&
      'apiVersion' in value &&
      value.apiVersion === REPORT_VERSION &&
      'task' in value;
    // Our own file, written whole; its version says that the fields are these.
    return isReport ? (value as Report) : null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

function writeReport(disk: Disk, task: RecoveryTask, state: Report['state']): Promise<void> {
  const { directory, ...rest } = task;
  const report: Report = { apiVersion: REPORT_VERSION, state, task: rest };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  return disk.writeFile(`${directory}/${RECOVERY_REPORT_FILE}`, new TextEncoder().encode(text));
}

/** @returns the superblock of before, or the new one when that was reached already. */
async function setSuperblockAside(
  disk: Disk,
  paths: LogPaths,
  newClusterId: string,
): Promise<Superblock> {
  const aside = `${paths.directory}/${OLD_SUPERBLOCK}`;
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
  { directory, newClusterId }: RecoveryTask,
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
async function renameFounding(
  disk: Disk,
  { directory, newClusterId }: RecoveryTask,
): Promise<void> {
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

function reborn(old: Superblock, { newClusterId, newTerm }: RecoveryTask): Superblock {
  return {
    ...old,
    identity: { ...old.identity, clusterId: newClusterId },
    // Of the old group nobody is remembered; the vote of its last term binds nobody here.
    hardState: { term: Term(newTerm - 1), votedFor: null },
    peers: new Map(),
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

/** As a leader of the new term would: it is alone, so what is durable here is committed. */
async function appendMembership(task: RecoveryTask, world: RecoveryWorld): Promise<LogIndex> {
  const { disk, clock, mintBootId } = world;
  const superblock = newestSuperblock(
    await readOrEmpty(disk, new LogPaths(task.directory).superblock),
  );
  if (superblock === null) {
    throw new FatalError('identityRefused', `${task.directory} has no valid superblock`);
  }
  let fail: (error: Error) => void = () => {};
  const { storeUuid, ...identity } = superblock.identity;
  const log = await openCommitLog(disk, {
    ...{ directory: task.directory, identity, mintBootId, clock },
    mintUuid: () => storeUuid,
    onFatal: (error) => fail(error),
  });
  try {
    const last = log.recovered.entries.at(-1);
    const isDone = last?.type === 'config' && last.term === task.newTerm;
    if (isDone) return last.index;
    const tip = tipAfter(tipOfBase(log.recovered.base), last ?? null, log.lastHeaderCrc);
    const { segmentSizeBytes } = log.identity;
    const { newTerm, membership } = task;
    const entries = membershipEntries({ tip, term: newTerm, membership, segmentSizeBytes });
    await new Promise<void>((resolve, reject) => {
      fail = reject;
      const hardState = { term: task.newTerm, votedFor: identity.nodeId };
      log.persist({ hardState, base: null, truncateFrom: null, entries, onDurable: resolve });
    });
    const index = entries.at(-1)?.desc.index ?? LogIndex(0);
    log.noteCommitIndex(index);
    return index;
  } finally {
    await log.close();
  }
}
