/** Reading the directory of a backup, and the sentences when it is none. */
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { DiskError, isOutOfSpace } from '../../io/disk.ts';
import type { Manifest } from '../../store/backup/manifest.ts';
import { type BackupDisk, readManifest } from '../../store/backup/verify-backup.ts';
import { CliError } from '../cli-error.ts';
import { CLI_EXIT } from '../exit-codes.ts';

/** Without a slash at its end. */
export function plainDirectory(name: string): string {
  return name.replace(/(?<=.)\/+$/, '');
}

/** @throws CliError when it is no backup, CorruptionError when it is a damaged one */
export async function manifestIn(disk: BackupDisk, directory: string): Promise<Manifest> {
  const found = await readManifest(disk, directory);
  switch (found.kind) {
    case 'manifest':
      return found.manifest;
    case 'unfinished':
      throw new CliError({
        exit: CLI_EXIT.unhealthy,
        what: `${directory} is not a whole backup`,
        why: 'it was begun and not finished: there is no MANIFEST.json',
        todo: `go on with it: mq-raft backup ${directory}`,
      });
    case 'none':
      throw new CliError({
        exit: CLI_EXIT.notFound,
        what: `${directory} holds no backup`,
        why: 'there is no MANIFEST.json in it',
        todo: null,
      });
  }
}

/** @returns what is thrown: other errors as they are */
export function backupTrouble(error: unknown, directory: string): unknown {
  const options = { cause: error };
  if (error instanceof CorruptionError) {
    const what = `${directory} is damaged: it is no backup that can be relied on`;
    const todo = 'use another copy of it, or take a new one';
    return new CliError({ exit: CLI_EXIT.unhealthy, what, why: error.message, todo }, options);
  }
  if (error instanceof DiskError) {
    const todo = isOutOfSpace(error)
      ? 'make room; the same command goes on'
      : 'the same command may be given again';
    const what = `${directory}: ${error.message}`;
    return new CliError({ exit: CLI_EXIT.failure, what, why: null, todo }, options);
  }
  if (error instanceof FatalError) {
    return new CliError(
      { exit: CLI_EXIT.refused, what: error.message, why: null, todo: null },
      options,
    );
  }
  return error;
}
