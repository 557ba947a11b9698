/** `mq-raft restore`: the directories of a new cluster out of a backup. Offline. */
import type { Command } from 'commander';
import { restoreBackup, targetProblem } from '../../store/backup/restore.ts';
import type { RestorePlan, RestoreVerdict } from '../../store/backup/restore-plan.ts';
import { planRestore } from '../../store/backup/restore-plan.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { CopyMeter, restoreJson, restoreText, startLines } from '../render/backup.ts';
import { jsonLine } from '../render/json.ts';
import { backupTrouble, manifestIn, plainDirectory } from './backup-directory.ts';

interface RestoreOptions {
  readonly to: string;
  readonly node: string;
  readonly nodeId?: string;
  readonly clusterId?: string;
  readonly dryRun?: true;
}

const HELP = `
Makes a new cluster: with an id of its own, stores of its own, and members with
names that the old one never used. Its log is that of the backup, byte for byte:
messages, offsets of queues and consumers, topics, groups, and what was sent
already and would be recognised if it were sent again. Old and new never take
each other for members, also while both run.

Every member gets a directory below --to; bring each to its machine before it is
started for the first time, and start no member with an empty one. Or make each
where it is needed, with --node-id, and with the same --cluster-id everywhere.

Examples:
  mq-raft restore /backup/2026-11-29 --to /var/lib/new --dry-run \\
      --node m1=10.0.0.1:10912,m2=10.0.0.2:10912,m3=10.0.0.3:10912
  mq-raft restore /backup/2026-11-29 --to /var/lib/new --node-id m1 \\
      --cluster-id payments-2 --node m1=10.0.0.1:10912,m2=10.0.0.2:10912`;

export function addRestoreCommand(program: Command, run: Run): Command {
  return program
    .command('restore')
    .description('make the directories of a new cluster from a backup, offline')
    .argument('<backup>', 'directory of a backup')
    .requiredOption('--to <directory>', 'each member gets a directory in here')
    .requiredOption('--node <members>', 'members of the new cluster: m1=host:port,...')
    .option('--node-id <id>', 'make the directory of this member only')
    .option('--cluster-id <id>', 'of the new cluster (default: a new one)')
    .option('--dry-run', 'say what would be made, and make nothing')
    .addHelpText('after', HELP)
    .action((backup: string, options: RestoreOptions, command: Command) =>
      run(command, (invocation) => restore(invocation, plainDirectory(backup), options), 'write'),
    );
}

async function restore(
  invocation: Invocation,
  backup: string,
  options: RestoreOptions,
): Promise<CliExit> {
  const { environment, output, print, note, signal } = invocation;
  const { stores, clock, stderr, stdout } = environment;
  const disk = stores.writable;
  const meter = new CopyMeter(clock);
  const progress = new Progress(stderr, clock, () => meter.text());
  try {
    const plan = await planned(invocation, backup, options);
    if (options.dryRun === true) {
      if (output === 'json') print(jsonLine({ kind: 'restorePlan', ...restoreJson(plan) }));
      else print(restoreText(plan, stdout.columns));
      note('Nothing was made, and of the backup only the manifest was read.');
      return CLI_EXIT.ok;
    }
    if (output === 'table') print(restoreText(plan, stdout.columns));
    meter.expect(plan.manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    const configIndex = await restoreBackup({
      ...{ disk, directory: backup, plan, signal },
      onBytes: (sizeBytes) => meter.on({ kind: 'verified', sizeBytes }),
    });
    progress.stop();
    if (output === 'json') {
      const start = startLines(plan);
      print(
        jsonLine({
          kind: 'restored',
          ...restoreJson(plan),
          configIndex: String(configIndex),
          start,
        }),
      );
      return CLI_EXIT.ok;
    }
    print(`done: the backup was good, and every directory is whole. Start the members:\n`);
    for (const line of startLines(plan)) print(`  ${line}\n`);
    return CLI_EXIT.ok;
  } catch (error) {
    throw backupTrouble(error, backup);
  } finally {
    progress.stop();
  }
}

async function planned(
  { environment }: Invocation,
  backup: string,
  options: RestoreOptions,
): Promise<RestorePlan> {
  const members = parseMembers(options.node);
  const only = options.nodeId ?? null;
  if (only !== null && options.clusterId === undefined) {
    const todo = 'give --cluster-id, the same one for every member';
    throw usageError('Members that are made one by one need one cluster id', todo);
  }
  const { stores, newId } = environment;
  const manifest = await manifestIn(stores.disk, backup);
  const clusterId = options.clusterId ?? mintedId(manifest.identity.clusterId, newId());
  const directory = plainDirectory(options.to);
  const verdict = planRestore(manifest, { clusterId, members, only, directory });
  const plan = accepted(verdict);
  const problems: string[] = [];
  for (const member of plan.made) {
    const problem = await targetProblem(stores.writable, member);
    if (problem !== null) problems.push(problem);
  }
  if (problems.length > 0) throw refused(problems);
  return plan;
}

function accepted(verdict: RestoreVerdict): RestorePlan {
  if (verdict.kind === 'refused') throw refused(verdict.problems);
  return verdict.plan;
}

function refused(problems: readonly string[]): CliError {
  return new CliError({
    exit: CLI_EXIT.refused,
    what: 'restore: refused, nothing was made',
    why: problems.join('\n'),
    todo: null,
  });
}

function parseMembers(text: string): readonly { nodeId: string; raftAddress: string }[] {
  return text.split(',').map((item) => {
    const [, nodeId = '', raftAddress = ''] = /^([^=]+)=(.+:\d{1,5})$/.exec(item.trim()) ?? [];
    if (nodeId !== '') return { nodeId, raftAddress };
    throw usageError(`--node: '${item}' is not id=host:port`, 'for example m1=10.0.0.1:10912');
  });
}

const ID_LENGTH_MAX = 64;
const MINTED_LENGTH = 8;

/** The old one with an ending that no other restore has. */
function mintedId(old: string, random: string): string {
  const ending = `-${random.slice(-MINTED_LENGTH).toLowerCase()}`;
  return `${old.slice(0, ID_LENGTH_MAX - ending.length)}${ending}`;
}
