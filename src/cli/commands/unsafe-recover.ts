/**
 * `mq-raft unsafe-recover`: a group that has lost its majority goes on with what one directory holds. Offline, a
 * dry run unless told otherwise, and only after the user has typed the group and the number of what may be lost.
 */
import type { Command } from 'commander';
import { FatalError } from '../../base/errors.ts';
import { DiskError } from '../../io/disk.ts';
import { disagreementsAmong } from '../../store/recover/disagreements.ts';
import { planRecovery, type RecoveryPlan } from '../../store/recover/recovery-plan.ts';
import { RECOVERY_REPORT_FILE } from '../../store/recover/recovery-report.ts';
import { type Survivor, surveySurvivor } from '../../store/recover/survivor.ts';
import {
  executeRecovery,
  type RecoveryTask,
  taskOf,
  unfinishedTask,
} from '../../store/recover/unsafe-recovery.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { jsonLine } from '../render/json.ts';
import { recoveryJson, recoveryText, survivorJson, survivorsText } from '../render/recovery.ts';
import { openStoreDirectory, readingTrouble } from './log-directory.ts';

interface RecoverOptions {
  readonly lostAt?: Date;
  readonly newClusterId?: string;
  readonly execute?: true;
  readonly confirm?: string;
}

const HELP = `
For a group whose majority is gone for good, and only then: what the lost have
acknowledged and no survivor holds is lost. Give every directory that is left.
Without --execute nothing is changed.

The lost must never be started again: together they still are a majority of the
old group. The survivor gets another cluster id, so that neither takes the other
for a member; put it into its configuration. Add new members under new names.

Examples:
  mq-raft unsafe-recover /var/lib/mq-raft/n1
  mq-raft unsafe-recover ./n1 ./n4 --lost-at 2026-11-20T10:03:00Z --execute`;

export function addUnsafeRecoverCommand(program: Command, run: Run): Command {
  return program
    .command('unsafe-recover')
    .description('go on after a majority was lost, offline, with a bound of what is lost')
    .argument('<dir...>', 'directories of nodes that are left; none of them may run')
    .option('--lost-at <time>', 'when the others were lost, as 2026-11-20T10:03:00Z', parseTime)
    .option('--new-cluster-id <id>', 'instead of the old one with -r1')
    .option('--execute', 'do it')
    .option('--confirm <words>', 'what would be typed: the group and the number')
    .addHelpText('after', HELP)
    .action((names: readonly string[], options: RecoverOptions, self: Command) => {
      const work = (invocation: Invocation) => recover(invocation, names, options);
      return run(self, work, 'write');
    });
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw usageError(`--lost-at '${text}' is not a time`, 'for example 2026-11-20T10:03:00Z');
  }
  return time;
}

async function recover(
  invocation: Invocation,
  names: readonly string[],
  options: RecoverOptions,
): Promise<CliExit> {
  const directories: string[] = [];
  for (const name of names) {
    const unfinished = await unfinishedIn(invocation, name);
    if (unfinished !== null) return resume(invocation, unfinished, options);
    directories.push((await openStoreDirectory(invocation, name, false)).directory);
  }
  const survivors = await surveyed(invocation, directories);
  const { disk } = invocation.environment.stores;
  const disagreements = await disagreementsAmong(survivors, ({ directory }) => ({
    ...{ disk, directory, signal: invocation.signal },
  }));
  const lostAtMs = (options.lostAt ?? new Date(invocation.environment.clock.wallMs())).getTime();
  const wish = { lostAtMs, newClusterId: options.newClusterId ?? null };
  const verdict = planRecovery(survivors, disagreements, wish);
  if (verdict.kind === 'refused') throw refusal(invocation, verdict.ranking, verdict.problems);
  show(invocation, verdict.plan, options);
  if (options.execute !== true) {
    invocation.note('Nothing was changed. With --execute it is done.');
    return CLI_EXIT.ok;
  }
  await confirm(invocation, verdict.plan, options);
  const findings = { ...recoveryJson(verdict.plan), decidedBy: invocation.environment.actor };
  return execute(invocation, taskOf(verdict.plan, findings));
}

async function surveyed(
  invocation: Invocation,
  directories: readonly string[],
): Promise<readonly Survivor[]> {
  const { environment, signal } = invocation;
  const { stores, clock, stderr } = environment;
  const survivors: Survivor[] = [];
  for (const directory of directories) {
    const progress = new Progress(stderr, clock, () => `reading ${directory} ...`);
    try {
      const found = await surveySurvivor({ disk: stores.disk, directory, signal });
      if (typeof found === 'string') throw unusable(found);
      survivors.push(found);
    } catch (error) {
      throw readingTrouble(error, directory);
    } finally {
      progress.stop();
    }
  }
  return survivors;
}

function unusable(what: string): CliError {
  const todo = 'leave the directory out';
  return new CliError({ exit: CLI_EXIT.refused, what, why: null, todo });
}

function refusal(
  { environment, output, paint, print }: Invocation,
  ranking: readonly Survivor[],
  problems: readonly string[],
): CliError {
  if (output === 'json') {
    const survivors = ranking.map(survivorJson);
    print(jsonLine({ kind: 'recoveryRefused', problems, survivors }));
  } else if (ranking.length > 0) environment.stderr.write(survivorsText(ranking, paint));
  return new CliError({
    exit: CLI_EXIT.refused,
    what: 'unsafe-recover: refused, nothing was changed',
    why: problems.join('\n'),
    todo: null,
  });
}

function show(
  { environment, output, paint, print }: Invocation,
  plan: RecoveryPlan,
  { execute: isExecuted }: RecoverOptions,
): void {
  if (output === 'json') {
    const kind = isExecuted === true ? 'recoveryBegun' : 'recoveryPlan';
    print(jsonLine({ kind, ...recoveryJson(plan) }));
    return;
  }
  const { columns } = environment.stdout;
  print(`${survivorsText(plan.ranking, paint)}\n${recoveryText(plan, columns, paint)}`);
}

async function confirm(
  { environment }: Invocation,
  { winner, loss }: RecoveryPlan,
  options: RecoverOptions,
): Promise<void> {
  const words = `${winner.groupId} ${loss.messagesMax}`;
  const answer = options.confirm ?? (await environment.ask(`Type ${words} to give them up: `));
  if (answer === words) return;
  if (answer === null) {
    throw usageError('Nobody is there to be asked', `give --confirm '${words}'`);
  }
  throw new CliError({
    exit: CLI_EXIT.declined,
    what: 'unsafe-recover: declined, nothing was changed',
    why: `'${answer}' is not '${words}'`,
    todo: null,
  });
}

async function unfinishedIn(
  { environment }: Invocation,
  name: string,
): Promise<RecoveryTask | null> {
  const directory = name.replace(/(?<=.)\/+$/, '');
  try {
    return await unfinishedTask(environment.stores.disk, directory);
  } catch (error) {
    throw asTrouble(error, directory);
  }
}

/** The decision was made and typed already. */
function resume(
  invocation: Invocation,
  task: RecoveryTask,
  { execute: isExecuted }: RecoverOptions,
): Promise<CliExit> | CliExit {
  const { directory, newClusterId } = task;
  invocation.note(`A recovery of ${directory} as ${newClusterId} was begun and not finished.`);
  if (isExecuted === true) return execute(invocation, task);
  invocation.note('With --execute it is finished. Until then the directory does not start.');
  return CLI_EXIT.pending;
}

async function execute(invocation: Invocation, task: RecoveryTask): Promise<CliExit> {
  const { environment, output, print, note } = invocation;
  const { clock, newId, stores } = environment;
  const { directory, newClusterId } = task;
  const mintBootId = (): string => newId().slice(-16).toLowerCase();
  try {
    const lastIndex = await executeRecovery(task, { disk: stores.writable, clock, mintBootId });
    const report = `${directory}/${RECOVERY_REPORT_FILE}`;
    const facts = { directory, newClusterId, lastIndex: String(lastIndex), report };
    if (output === 'json') print(jsonLine({ kind: 'recovered', ...facts }));
    else print(`done: ${directory} is cluster ${newClusterId} from entry ${lastIndex} on\n`);
    note(
      `The report is ${report}. Now set cluster-id to ${newClusterId} in the configuration of this node ` +
        'and of new ones, start it, and add members: mq-raft member add',
    );
    return CLI_EXIT.ok;
  } catch (error) {
    throw asTrouble(error, directory);
  }
}

function asTrouble(error: unknown, directory: string): unknown {
  if (!(error instanceof FatalError) && !(error instanceof DiskError)) return error;
  return new CliError(
    {
      exit: CLI_EXIT.failure,
      what: `unsafe-recover: ${directory}`,
      why: error.message,
      todo: 'the same command goes on where it was; superblock.before-recovery is what was',
    },
    { cause: error },
  );
}
