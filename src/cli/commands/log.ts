/** `mq-raft log info|dump|verify`: reads the directory of a node, without a node. */
import type { Command } from 'commander';
import type { Damage } from '../../store/inspect/damage.ts';
import {
  type Inspection,
  type InspectOptions,
  inspectStore,
} from '../../store/inspect/inspect-store.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { jsonLine } from '../render/json.ts';
import { infoJson, infoText } from '../render/log-info.ts';
import { progressText, verifyJson, verifyText } from '../render/log-verify.ts';
import { damageJson, damageText } from '../render/log-words.ts';
import { openStoreDirectory, readingTrouble } from './log-directory.ts';
import { addDumpOptions } from './log-dump.ts';

interface LogOptions {
  readonly live?: true;
}

export function addLogCommand(program: Command, run: Run): Command {
  const log = program
    .command('log')
    .description('inspect the commit log in a directory of a node, offline; changes nothing');
  const info = addReading(log, 'info', 'show whose log it is, and what a start would do');
  info
    .addHelpText('after', INFO_HELP)
    .action((directory: string, options: LogOptions, command: Command) =>
      run(command, (invocation) => showInfo(invocation, directory, options)),
    );
  addDumpOptions(addReading(log, 'dump', 'print entries, and what is in them'), run);
  const check = addReading(log, 'verify', 'check every byte and list all damage');
  check
    .addHelpText('after', VERIFY_HELP)
    .action((directory: string, options: LogOptions, command: Command) =>
      run(command, (invocation) => verify(invocation, directory, options)),
    );
  return log;
}

function addReading(log: Command, name: string, description: string): Command {
  return log
    .command(name)
    .description(description)
    .argument('<directory>', 'of one node, as ./.mq-raft/n1')
    .option('--live', 'also while a broker uses it; its newest entries may be half written');
}

async function showInfo(
  invocation: Invocation,
  name: string,
  options: LogOptions,
): Promise<CliExit> {
  const { environment, output, paint } = invocation;
  const onDamage = (): void => {};
  const { inspection, directory } = await inspected(invocation, name, options, 'entries', onDamage);
  const { columns } = environment.stdout;
  const text =
    output === 'json'
      ? infoJson(inspection, directory)
      : infoText(inspection, directory, columns, paint);
  invocation.print(text);
  return inspection.startup?.kind === 'refuses' ? CLI_EXIT.unhealthy : CLI_EXIT.ok;
}

async function verify(invocation: Invocation, name: string, options: LogOptions): Promise<CliExit> {
  const { environment, output, paint } = invocation;
  const { stdout, clock } = environment;
  const startedAtMs = clock.monotonicMs();
  let count = 0;
  const onDamage = async (damage: Damage, directory: string): Promise<void> => {
    count += 1;
    invocation.print(
      output === 'json'
        ? jsonLine(damageJson(damage, directory))
        : `${damageText(damage, count, directory, stdout.columns, paint)}\n`,
    );
    await stdout.drained();
  };
  const { inspection } = await inspected(invocation, name, options, 'records', onDamage);
  const tookMs = clock.monotonicMs() - startedAtMs;
  const text =
    output === 'json'
      ? verifyJson(inspection, tookMs)
      : verifyText(inspection, tookMs, stdout.columns, paint);
  invocation.print(text);
  return inspection.damageCount === 0 ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}

async function inspected(
  invocation: Invocation,
  name: string,
  { live }: LogOptions,
  depth: InspectOptions['depth'],
  onDamage: (damage: Damage, directory: string) => void | Promise<void>,
): Promise<{ readonly inspection: Inspection; readonly directory: string }> {
  const { environment, signal } = invocation;
  const { stores, clock, stderr } = environment;
  const isLive = live === true;
  const { directory, stillUnused } = await openStoreDirectory(invocation, name, isLive);
  const startedAtMs = clock.monotonicMs();
  let shown = (): string => 'reading ...';
  const progress = new Progress(stderr, clock, () => shown());
  try {
    const inspection = await inspectStore({
      disk: stores.disk,
      directory,
      depth,
      isLive,
      onDamage: (damage) => onDamage(damage, directory),
      onProgress: ({ doneBytes, totalBytes }) => {
        shown = () => progressText(doneBytes(), totalBytes, clock.monotonicMs() - startedAtMs);
      },
      signal,
    });
    await stillUnused();
    return { inspection, directory };
  } catch (error) {
    throw readingTrouble(error, directory);
  } finally {
    progress.stop();
  }
}

const INFO_HELP = `
Exit code 8 when a start would refuse the directory, 3 when there is no store,
4 while a broker uses it (see --live).

Examples:
  mq-raft log info ./.mq-raft/n1
  mq-raft log info ./.mq-raft/n1 -o json | jq .startup`;

const VERIFY_HELP = `
Checks headers, payloads, chain, places, padding, unused space, records, queue
offsets, memberships, superblock, base and durable.ring. Not derived/, which is
built from the log, and not quarantine/.

Exit code 0 when all is intact, 8 when anything is damaged: the verdict says
whether it is rot or only the torn end of a last write, which a start cuts off.

Examples:
  mq-raft log verify ./.mq-raft/n1
  mq-raft log verify ./.mq-raft/n1 -o json | jq 'select(.kind == "logDamage")'`;
