/** `mq-raft backup`: a verified copy of the committed log while the group serves; `backup verify`: is it still one. */
import type { Command } from 'commander';
import { CorruptionError } from '../../base/errors.ts';
import { KIB } from '../../base/sizes.ts';
import { BACKUP_STANDSTILL_MS_MAX } from '../../store/backup/limits.ts';
import type { Manifest } from '../../store/backup/manifest.ts';
import {
  type BackupEvent,
  BackupStopped,
  backupStateOf,
  takeBackup,
} from '../../store/backup/take-backup.ts';
import { pastCache, verifyBackup } from '../../store/backup/verify-backup.ts';
import { BackupNodes } from '../backup-nodes.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { CopyMeter, manifestJson, manifestText } from '../render/backup.ts';
import { jsonLine } from '../render/json.ts';
import { backupTrouble, manifestIn, plainDirectory } from './backup-directory.ts';

interface BackupOptions {
  readonly node?: string;
  readonly rate?: number;
  readonly wait?: true;
  readonly group?: string;
}

const HELP = `
Everything that was acknowledged before the command began is in the backup; the
group goes on meanwhile. It is read from a follower where there is one, and from
another node when that one is lost. Afterwards every byte is read again.

Cut off, by Ctrl-C or a broken disk: the same command goes on where it was. A
directory is a backup when MANIFEST.json is in it, and not before.

Examples:
  mq-raft backup /backup/2026-11-29
  mq-raft backup /backup/2026-11-29 --node n3 --rate 20M
  mq-raft backup verify /backup/2026-11-29
  mq-raft restore /backup/2026-11-29 --to /var/lib/new --node m1=10.0.0.1:10912`;

const VERIFY_HELP = `
Reads every byte: the manifest, the size and SHA-256 of each file, the digest of
the snapshot, every entry, and the chain through all of them. Needs no cluster.

Example:
  mq-raft backup verify /backup/2026-11-29`;

export function addBackupCommand(program: Command, run: Run): Command {
  const backup = program
    .command('backup')
    .description(
      'copy the committed log and its state, while the group serves, and verify the copy',
    )
    .argument('<directory>', 'empty, or of a backup that was cut off')
    .option('--node <id>', 'from this node only, by its id or host:port')
    .option('--rate <bytes>', 'a second at most: 20M (default: as fast as a node gives)', parseRate)
    .option('--wait', 'for a leader and for nodes, however long it takes')
    .option('--group <id>', 'broker group, where there are several')
    .addHelpText('after', HELP)
    .action((directory: string, options: BackupOptions, command: Command) =>
      run(command, (invocation) => take(invocation, plainDirectory(directory), options)),
    );
  backup
    .command('verify')
    .description('read every byte of a backup and say whether it is one')
    .argument('<directory>', 'of a backup')
    .addHelpText('after', VERIFY_HELP)
    .action((directory: string, _: object, command: Command) =>
      run(command, (invocation) => verify(invocation, plainDirectory(directory))),
    );
  return backup;
}

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, K: KIB, M: KIB ** 2, G: KIB ** 3 };
/** A chunk comes before the connection counts as lost. */
const RATE_MIN = 256 * KIB;

function parseRate(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,12})([KMG]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit] ?? 0);
  if (digits !== '' && Number.isSafeInteger(bytes) && bytes >= RATE_MIN) return bytes;
  throw usageError(`--rate '${text}' is not at least 256K of bytes a second`, 'for example 20M');
}

async function take(
  invocation: Invocation,
  directory: string,
  options: BackupOptions,
): Promise<CliExit> {
  const { environment, output, print, signal, note } = invocation;
  const { stores, clock, stderr, stdout, version, newId } = environment;
  const nodes = new BackupNodes(invocation, options.node ?? null);
  const meter = new CopyMeter(clock);
  const progress = new Progress(stderr, clock, () => meter.text());
  const disk = stores.writable;
  try {
    const state = await backupStateOf(disk, directory);
    if (state === 'finished' || state === 'other') throw occupied(directory, state);
    if (state === 'unfinished')
      note(`${directory} holds a backup that was cut off: going on with it`);
    const markedIndex = await nodes.mark(options.wait === true);
    const manifest = await takeBackup({
      ...{ disk, directory, markedIndex, clock, signal },
      holder: newId(),
      bytesPerSecond: options.rate ?? 0,
      standstillMsMax: options.wait === true ? Infinity : BACKUP_STANDSTILL_MS_MAX,
      version: version.mqRaft,
      nodes: () => nodes.inOrder(),
      onEvent: (event) => {
        meter.on(event);
        tell(event, note);
      },
    });
    progress.stop();
    const tookMs = meter.tookMs;
    if (output === 'json')
      print(jsonLine({ kind: 'backup', directory, ...manifestJson(manifest) }));
    else print(manifestText(manifest, { directory, tookMs, columns: stdout.columns }));
    return CLI_EXIT.ok;
  } catch (error) {
    throw takeTrouble(error, directory);
  } finally {
    progress.stop();
    nodes.close();
  }
}

function tell(event: BackupEvent, note: (text: string) => void): void {
  switch (event.kind) {
    case 'begun':
      note(`reading from ${event.node}, from entry ${event.firstIndex} on`);
      return;
    case 'resumed':
      note(`reading from ${event.node}, going on with entry ${event.nextIndex}`);
      return;
    case 'begunAnew':
      note(`begun anew, for it cannot go on with what is here: ${event.why}`);
      return;
    case 'nodeFailed':
      note(`${event.node} cannot go on: ${event.why}`);
      return;
    case 'copied':
    case 'verifying':
    case 'verified':
      return;
  }
}

function occupied(directory: string, state: 'finished' | 'other'): CliError {
  return new CliError({
    exit: CLI_EXIT.refused,
    what: state === 'finished' ? `${directory} holds a whole backup` : `${directory} is not empty`,
    why: null,
    todo: 'give an empty directory; each backup has its own',
  });
}

function takeTrouble(error: unknown, directory: string): unknown {
  if (error instanceof BackupStopped) {
    return new CliError(
      {
        exit: CLI_EXIT.pending,
        what: `backup ${directory}: not finished`,
        why: error.message,
        todo: 'the same command goes on where it was; --wait waits for as long as it takes',
      },
      { cause: error },
    );
  }
  if (error instanceof CorruptionError) {
    return new CliError(
      {
        exit: CLI_EXIT.unhealthy,
        what: `backup ${directory}: what was written is not what is read again`,
        why: error.message,
        todo: 'the same command fetches anew what is damaged; look at the disk that it lies on',
      },
      { cause: error },
    );
  }
  return backupTrouble(error, directory);
}

async function verify(invocation: Invocation, directory: string): Promise<CliExit> {
  const { environment, output, print, signal } = invocation;
  const { stores, clock, stderr, stdout } = environment;
  const meter = new CopyMeter(clock);
  const progress = new Progress(stderr, clock, () => meter.text());
  try {
    const manifest: Manifest = await manifestIn(stores.disk, directory);
    meter.expect(manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    await verifyBackup({
      ...{ disk: pastCache(stores.writable), directory, manifest, signal },
      onBytes: (sizeBytes) => meter.on({ kind: 'verified', sizeBytes }),
    });
    progress.stop();
    const { tookMs } = meter;
    if (output === 'json') {
      print(jsonLine({ kind: 'backupVerified', directory, ...manifestJson(manifest) }));
    } else print(manifestText(manifest, { directory, tookMs, columns: stdout.columns }));
    return CLI_EXIT.ok;
  } catch (error) {
    throw backupTrouble(error, directory);
  } finally {
    progress.stop();
  }
}
