/** `mq-raft backup`: a verified copy of the committed log while the group serves; `backup verify`: is it still one. */
import type { Command } from 'commander';
import { CorruptionError } from '../../base/errors.ts';
import { KIB } from '../../base/sizes.ts';
import type { LogIndex } from '../../base/units.ts';
import type { BackupNodeClient } from '../../client/backup-client.ts';
import { delay } from '../../client/delay.ts';
import { type KnownNode, NoNodesKnown } from '../../client/node-directory.ts';
import { BackupNodeFailure } from '../../protocol/backup.ts';
import { BACKUP_RETRY_MS, BACKUP_STANDSTILL_MS_MAX } from '../../store/backup/limits.ts';
import type { Manifest } from '../../store/backup/manifest.ts';
import {
  type BackupEvent,
  BackupStopped,
  backupStateOf,
  takeBackup,
} from '../../store/backup/take-backup.ts';
import { verifyBackup } from '../../store/backup/verify-backup.ts';
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
      note(`begun anew, for what was not copied yet is not kept any more: ${event.why}`);
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

/** The nodes of the group, as they are known at each moment; connections are kept. */
class BackupNodes {
  readonly #invocation: Invocation;
  readonly #only: string | null;
  readonly #open = new Map<string, BackupNodeClient>();
  /** By address. */
  #leader: string | null = null;

  constructor(invocation: Invocation, only: string | null) {
    this.#invocation = invocation;
    this.#only = only;
  }

  /** How far everything reaches that was acknowledged until now; the leader alone knows. */
  async mark(isPatient: boolean): Promise<LogIndex> {
    const { environment, signal, timeoutMs } = this.#invocation;
    const { clock } = environment;
    const untilMs = clock.monotonicMs() + (isPatient ? Infinity : Math.max(timeoutMs, MARK_MS_MIN));
    for (;;) {
      const why: string[] = [];
      for (const { raft, nodeId } of await this.#known()) {
        const name = nodeId ?? raft;
        try {
          const { committedIndex } = await this.#at(raft, name).mark(signal);
          signal.throwIfAborted();
          if (committedIndex === null) {
            why.push(`${name} does not lead`);
            continue;
          }
          this.#leader = raft;
          return committedIndex;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof BackupNodeFailure)) throw error;
          why.push(`${name}: ${error.message}`);
        }
      }
      this.#invocation.admin().directory.forget();
      if (clock.monotonicMs() > untilMs) throw noLeader(why);
      await delay(clock, BACKUP_RETRY_MS, signal);
    }
  }

  /** Followers first: live traffic is the leader's. */
  async inOrder(): Promise<readonly BackupNodeClient[]> {
    const known = (await this.#known()).filter(({ raft, nodeId }) => {
      return this.#only === null || this.#only === nodeId || this.#only === raft;
    });
    if (known.length === 0 && this.#only !== null) throw unknownNode(this.#only);
    const isLeader = ({ raft }: KnownNode): boolean => raft === this.#leader;
    const ordered = [...known.filter((node) => !isLeader(node)), ...known.filter(isLeader)];
    return ordered.map(({ raft, nodeId }) => this.#at(raft, nodeId ?? raft));
  }

  close(): void {
    for (const node of this.#open.values()) node.close();
  }

  /** None while no name server answers. */
  async #known(): Promise<readonly KnownNode[]> {
    try {
      return (await this.#invocation.admin().group()).nodes;
    } catch (error) {
      if (!(error instanceof NoNodesKnown)) throw error;
      return [];
    }
  }

  #at(address: string, name: string): BackupNodeClient {
    const known = this.#open.get(address);
    if (known !== undefined) return known;
    const node = this.#invocation.environment.openBackupNode(address, name);
    this.#open.set(address, node);
    return node;
  }
}

/** An election in progress is no reason to give up. */
const MARK_MS_MIN = 10_000;

function noLeader(why: readonly string[]): CliError {
  return new CliError({
    exit: CLI_EXIT.unavailable,
    what: 'backup: nobody could say what has been acknowledged until now',
    why: why.length === 0 ? 'no node is known' : why.join('; '),
    todo: 'see `mq-raft status`; with --wait it waits for a leader',
  });
}

function unknownNode(name: string): CliError {
  return new CliError({
    exit: CLI_EXIT.notFound,
    what: `backup: no node ${name} is known`,
    why: null,
    todo: 'see `mq-raft member list`; a node is named by its id or by host:port',
  });
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
      ...{ disk: stores.disk, directory, manifest, signal },
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
