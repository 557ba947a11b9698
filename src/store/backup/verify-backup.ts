/**
 * Reads every byte of a backup and says whether it is one: the manifest in itself, each file against its size and
 * SHA-256, the snapshot against its digest, the log against its chain, and all of them against each other.
 */
import { CorruptionError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import type { BackupBase } from '../../protocol/backup.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import { readOrEmpty } from '../store-directory.ts';
import type { BackupIdentity } from './backup-facts.ts';
import { BackupPaths, MANIFEST_NAME, UNFINISHED_NAME } from './backup-paths.ts';
import { MANIFEST_SIZE_BYTES_MAX } from './limits.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { type CheckedSnapshot, checkSnapshot } from './snapshot-file.ts';
import { type WalkedLog, type WalkedPiece, walkLog } from './walk-log.ts';

export type BackupDisk = Pick<Disk, 'read' | 'sizeOf' | 'list'>;

/** Reads what the device holds: the memory of the system has no backup. */
export function pastCache(disk: Pick<Disk, 'readPastCache' | 'sizeOf' | 'list'>): BackupDisk {
  return {
    list: (path) => disk.list(path),
    sizeOf: (path) => disk.sizeOf(path),
    read: async (path, position, sizeBytes) =>
      (await disk.readPastCache(path, position, sizeBytes)).bytes,
  };
}

export interface BackupSubject {
  readonly identity: BackupIdentity;
  readonly base: BackupBase;
  readonly snapshot: OfferedSnapshot;
  readonly lastIndex: LogIndex;
}

export interface SurveyOptions {
  readonly disk: BackupDisk;
  readonly directory: string;
  readonly subject: BackupSubject;
  readonly signal: AbortSignal;
  /** So many more were read. */
  readonly onBytes: (sizeBytes: number) => void;
  /** Of the log, as it is read. */
  readonly onPiece?: (piece: WalkedPiece) => Promise<void>;
}

export interface VerifiedBackup {
  readonly log: WalkedLog;
  readonly state: CheckedSnapshot;
}

/** @throws CorruptionError unless all of it is what it should be */
export async function surveyBackup(options: SurveyOptions): Promise<VerifiedBackup> {
  const { disk, directory, subject, signal, onBytes, onPiece } = options;
  const paths = new BackupPaths(directory);
  const { snapshot, base, lastIndex } = subject;
  const begin = base.desc?.last.index ?? 0;
  const fits =
    snapshot.logStart.index > begin &&
    snapshot.logStart.offset >= (begin === 0 ? 0 : (base.desc?.endOffset ?? 0)) &&
    snapshot.appliedIndex <= lastIndex;
  if (!fits) throw new CorruptionError('The snapshot does not go with the log');
  const state = await checkSnapshot(disk, paths.snapshot(snapshot.appliedIndex), snapshot);
  onBytes(state.file.sizeBytes);
  const log = await walkLog({
    ...{ disk, signal, ...subject },
    pathOf: async (start) => paths.segment(start),
    onPiece: async (piece) => {
      onBytes(piece.bytes.length);
      await onPiece?.(piece);
    },
  });
  if (log.problem !== null) throw new CorruptionError(log.problem);
  return { log, state };
}

export type FoundManifest =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  /** Begun, and not finished. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'none' };

/** @throws CorruptionError when it is damaged */
export async function readManifest(disk: BackupDisk, directory: string): Promise<FoundManifest> {
  const paths = new BackupPaths(directory);
  const sizeBytes = await disk.sizeOf(paths.manifest);
  if (sizeBytes === null) {
    const isBegun = (await disk.sizeOf(paths.unfinished)) !== null;
    return { kind: isBegun ? 'unfinished' : 'none' };
  }
  if (sizeBytes > MANIFEST_SIZE_BYTES_MAX)
    throw new CorruptionError(`${paths.manifest} is too large`);
  return { kind: 'manifest', manifest: decodeManifest(await readOrEmpty(disk, paths.manifest)) };
}

export type VerifyOptions = Omit<SurveyOptions, 'subject'> & { readonly manifest: Manifest };

/** @throws CorruptionError for the first byte that is not what it should be */
export async function verifyBackup(options: VerifyOptions): Promise<VerifiedBackup> {
  const { disk, directory, manifest } = options;
  const { identity, base, snapshot, last } = manifest;
  await checkNames(disk, directory, manifest);
  const subject = { identity, base, snapshot, lastIndex: last.index };
  const verified = await surveyBackup({ ...options, subject });
  const { log, state } = verified;
  const { tip } = log;
  const isSameLog =
    tip.headerCrc === last.headerCrc && tip.term === last.term && tip.end === last.end;
  if (!isSameLog)
    throw new CorruptionError('The log ends with another entry than the manifest says');
  if (state.stateDigest !== manifest.stateDigest) {
    throw new CorruptionError('The snapshot is of another state than the manifest says');
  }
  const found = [...log.files, state.file];
  for (const [i, file] of manifest.files.entries()) {
    const there = found[i];
    const isSame =
      there !== undefined &&
      there.path === file.path &&
      there.sizeBytes === file.sizeBytes &&
      there.sha256 === file.sha256;
    if (!isSame) throw new CorruptionError(`${file.path} is not the file that the manifest names`);
  }
  if (found.length !== manifest.files.length) {
    throw new CorruptionError('The manifest does not name every file');
  }
  return verified;
}

/** A file more is no part of the backup; nobody knows what it would be taken for. */
async function checkNames(disk: BackupDisk, directory: string, { files }: Manifest): Promise<void> {
  const named = new Set(files.map(({ path }) => path));
  for (const folder of ['data', 'snapshot']) {
    for (const name of await disk.list(`${directory}/${folder}`)) {
      if (named.has(`${folder}/${name}`)) continue;
      throw new CorruptionError(`${directory}/${folder}/${name} is not named by the manifest`);
    }
  }
  for (const name of await disk.list(directory)) {
    if (['data', 'snapshot', MANIFEST_NAME, UNFINISHED_NAME].includes(name)) continue;
    throw new CorruptionError(`${directory}/${name} is not named by the manifest`);
  }
}
