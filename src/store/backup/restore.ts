/**
 * Makes the directories of a new cluster out of a backup, which is read once, verified on the way, and written to
 * all of them. A superblock comes last and appears whole: before it, a directory that has segments is refused by
 * every start (H22).
 *
 * 1. `restore-unfinished` marks the directory as ours to throw away.
 * 2. The segments, with headers of the new cluster; every entry as it is. Behind them the new membership.
 * 3. The snapshot, the base, the note of what is durable.
 * 4. Only if all of the backup was good: the superblock; then the mark goes.
 */
import { FatalError } from '../../base/errors.ts';
import { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { headerCrcOf } from '../../protocol/entry-codec.ts';
import type { StoredEntry } from '../commit-log.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { encodeRing } from '../durable-ring.ts';
import { encodeBaseFile, originRecord } from '../log-base.ts';
import { LogPaths } from '../log-paths.ts';
import { membershipEntries, tipAfter } from '../recover/membership-entries.ts';
import type { Tip } from '../repair/region.ts';
import { readChunkAt } from '../snapshots/snapshot-info.ts';
import {
  encodeSuperblock,
  SLOT_COUNT,
  SLOT_SIZE_BYTES,
  SUPERBLOCK_SIZE_BYTES,
} from '../superblock.ts';
import { BackupPaths, partOf, snapshotName } from './backup-paths.ts';
import type { RestoredMember, RestorePlan } from './restore-plan.ts';
import { RestoredLog } from './restored-log.ts';
import { verifyBackup } from './verify-backup.ts';

export const RESTORE_MARK = 'restore-unfinished';

export interface RestoreOptions {
  readonly disk: Disk;
  /** The backup. */
  readonly directory: string;
  readonly plan: RestorePlan;
  readonly signal: AbortSignal;
  /** So many more of the backup were read and written. */
  readonly onBytes: (sizeBytes: number) => void;
}

/** Why a directory cannot be made there; null: it can. */
export async function targetProblem(
  disk: Pick<Disk, 'list'>,
  { directory }: Pick<RestoredMember, 'directory'>,
): Promise<string | null> {
  const names = await disk.list(directory);
  if (names.length === 0) return null;
  // What a restore was cut off at is made again; with a superblock it is a store, whoever made it.
  if (names.includes(RESTORE_MARK) && !names.includes('superblock')) return null;
  return `${directory} is not empty: it holds ${names.slice(0, 5).join(', ')}`;
}

/**
 * @returns the index of the config entry that founds the new cluster
 * @throws CorruptionError when the backup is damaged, FatalError when a target is in use, DiskError
 */
export async function restoreBackup(options: RestoreOptions): Promise<LogIndex> {
  const { disk, directory, plan, signal, onBytes } = options;
  const { manifest, membership, term } = plan;
  const { segmentSizeBytes } = manifest.identity;
  for (const member of plan.made) await beginTarget(disk, member);
  const appended = membershipEntries({ tip: manifest.last, term, membership, segmentSizeBytes });
  const tip = appended.reduce(tipBehind, manifest.last);
  const logs = plan.made.map(
    (member) =>
      new RestoredLog({
        disk,
        paths: new LogPaths(member.directory),
        identity: { ...manifest.identity, clusterId: plan.clusterId },
        before: manifest.last,
      }),
  );
  await verifyBackup({
    ...{ disk, directory, manifest, signal, onBytes },
    onPiece: async (piece) => {
      for (const log of logs) await log.copy(piece);
    },
  });
  for (const log of logs) await log.finish(appended);
  for (const member of plan.made) {
    await copySnapshot(options, member);
    await nameStore(disk, plan, member, tip);
  }
  return tip.index;
}

function tipBehind(tip: Tip, { desc, bytes }: StoredEntry): Tip {
  return tipAfter(tip, desc, headerCrcOf(bytes));
}

async function beginTarget(disk: Disk, member: RestoredMember): Promise<void> {
  const problem = await targetProblem(disk, member);
  if (problem !== null) throw new FatalError('identityRefused', `Cannot restore: ${problem}`);
  const { directory } = member;
  if ((await disk.list(directory)).length > 0) await disk.removeDirectory(directory);
  await disk.makeDirectory(directory);
  const what = 'A restore was begun here and is not finished. Nothing of it counts.\n';
  await disk.writeFile(`${directory}/${RESTORE_MARK}`, new TextEncoder().encode(what));
  await disk.makeDirectory(new LogPaths(directory).data);
  await disk.makeDirectory(`${directory}/snapshots`);
}

async function copySnapshot(options: RestoreOptions, { directory }: RestoredMember): Promise<void> {
  const { disk, plan } = options;
  const { appliedIndex, chunkCount } = plan.manifest.snapshot;
  const from = new BackupPaths(options.directory).snapshot(appliedIndex);
  const name = snapshotName(appliedIndex).replace(/^snapshot\//, 'snapshots/');
  const to = `${directory}/${name}`;
  for (let number = 0; number < chunkCount; number++) {
    options.signal.throwIfAborted();
    const chunk = await readChunkAt(disk, from, number);
    await disk.writeAt(partOf(to), number * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
  }
  await disk.publish(partOf(to), to);
}

/** From here on it is a store. */
async function nameStore(
  disk: Disk,
  { manifest, clusterId, term }: RestorePlan,
  { directory, nodeId, storeUuid }: RestoredMember,
  tip: Tip,
): Promise<void> {
  const paths = new LogPaths(directory);
  const { base, identity } = manifest;
  await disk.writeFile(paths.base, encodeBaseFile({ ...originRecord(storeUuid), base }));
  await disk.writeFile(paths.durableRing, encodeRing({ sequence: 1, ...tip }));
  const slot = encodeSuperblock({
    identity: { ...identity, clusterId, nodeId, storeUuid },
    hardState: { term, votedFor: null },
    bootCount: 0,
    // There is no other history of this cluster that could contradict it.
    commitHint: LogIndex(tip.index),
    cleanEnd: { index: tip.index, physicalOffset: tip.end },
    bootIds: [],
    peers: new Map(),
    sequence: 1,
  });
  const file = new Uint8Array(SUPERBLOCK_SIZE_BYTES);
  for (let i = 0; i < SLOT_COUNT; i++) file.set(slot, i * SLOT_SIZE_BYTES);
  await disk.writeFile(paths.superblock, file);
  await disk.remove(`${directory}/${RESTORE_MARK}`);
}
