/**
 * `mq-raft`: from arguments to an exit code. Commands print through ports; nothing here touches the
 * process, so tests run whole commands in memory.
 */
import { Command, CommanderError, Option } from 'commander';
import { CliError, type Doing, type Trouble, troubleOf, troubleText } from './cli-error.ts';
import { addBackupCommand } from './commands/backup.ts';
import { addClusterCommand } from './commands/cluster.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addConfigCommand } from './commands/config.ts';
import { addConsumeCommand } from './commands/consume.ts';
import { addContextCommand } from './commands/context.ts';
import { addDevCommand } from './commands/dev.ts';
import { addLogCommand } from './commands/log.ts';
import { addMemberCommand } from './commands/member.ts';
import { addNodeCommand } from './commands/node.ts';
import { addRecoverCommand } from './commands/recover.ts';
import { addRestoreCommand } from './commands/restore.ts';
import { addSendCommand } from './commands/send.ts';
import { addTopicCommand } from './commands/topic.ts';
import { addUnsafeRecoverCommand } from './commands/unsafe-recover.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { addVersionCommand } from './commands/version.ts';
import { type CliEnvironment, Interrupted } from './environment.ts';
import { CLI_EXIT, type CliExit, EXIT_MEANINGS } from './exit-codes.ts';
import { type Effect, openInvocation, parseDurationMs, type Run } from './invocation.ts';
import { findTodoOf } from './target.ts';

/** @param args without the program's own name. Rejects only for bugs. */
export async function runCli(
  args: readonly string[],
  environment: CliEnvironment,
): Promise<number> {
  let exit: number = CLI_EXIT.ok;
  const program = buildProgram(environment, async (command, work, effect = 'none') => {
    exit = await runCommand(command, environment, work, effect);
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CliError) return report(error, environment);
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed its sentence; asking for help is no mistake.
    return error.exitCode === 0 ? CLI_EXIT.ok : CLI_EXIT.usage;
  }
  return exit;
}

async function runCommand(
  command: Command,
  environment: CliEnvironment,
  work: Parameters<Run>[1],
  effect: Effect,
): Promise<number> {
  const { invocation, close } = openInvocation(command, environment);
  try {
    return await work(invocation);
  } catch (error) {
    const doing = doingOf(command, environment, effect);
    if (error instanceof Interrupted) {
      environment.stderr.write(`interrupted${leftBehind(doing, effect)}\n`);
      return CLI_EXIT.interrupted;
    }
    const trouble = troubleOf(error, doing);
    if (trouble === null) throw error;
    return report(trouble, environment);
  } finally {
    close();
  }
}

function report(trouble: Trouble, { stderr }: CliEnvironment): CliExit {
  stderr.write(troubleText(trouble, stderr.isTty ? stderr.columns : null));
  return trouble.exit;
}

function leftBehind({ what }: Doing, effect: Effect): string {
  switch (effect) {
    case 'none':
      return '';
    case 'write':
      return `: whether ${what} took effect is unknown`;
    case 'change':
      return `: what the group has decided stays. The same command goes on,
\`mq-raft member list\` shows where it is, \`mq-raft unlock\` gives it up`;
  }
}

function doingOf(command: Command, environment: CliEnvironment, effect: Effect): Doing {
  const name = command.name();
  const parent = command.parent?.parent ? `${command.parent.name()} ` : '';
  const words = command.processedArgs.filter((each) => typeof each === 'string');
  const subject = words.length === 0 ? '' : ` ${words[0]}`;
  const topic = words.length === 0 ? {} : { topic: String(words[0]) };
  const findTodo = findTodoOf(command.optsWithGlobals(), environment);
  return { what: `${parent}${name}${subject}`, isWrite: effect !== 'none', ...topic, findTodo };
}

/** For what reads the tree of commands: completion, tests. */
export function buildProgram(environment: CliEnvironment, run: Run): Command {
  const { stdout, stderr, version } = environment;
  const program = new Command('mq-raft')
    .description('A message store with the RocketMQ model on a Raft-replicated commit log.')
    .version(version.mqRaft, '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => stdout.columns,
      getErrHelpWidth: () => stderr.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows what there is)')
    .addOption(
      new Option('-o, --output <form>', 'form of the result')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--context <name>', 'a cluster by name, see `mq-raft context` (or MQ_RAFT_CONTEXT)')
    .option('--namesrv <addresses>', 'name servers, host:port,... (or MQ_RAFT_NAMESRV)')
    .option('--endpoints <addresses>', 'nodes by their raft port (or MQ_RAFT_ENDPOINTS)')
    .option('--timeout <duration>', 'of a request: 500ms, 5s, 2m (default: 5s)', parseDurationMs)
    .addHelpText('after', PROGRAM_HELP);
  const added = [
    ...inGroup('Membership and operations:', [
      ...addMemberCommand(program, run),
      ...addNodeCommand(program, run),
      ...addClusterCommand(program, run),
      addBackupCommand(program, run),
      addVerifyCommand(program, run),
    ]),
    ...inGroup('Messages:', [
      addTopicCommand(program, run),
      addSendCommand(program, run),
      addConsumeCommand(program, run),
    ]),
    ...inGroup(LOCAL, [
      addDevCommand(program, run),
      addRestoreCommand(program, run),
      addLogCommand(program, run),
      addRecoverCommand(program, run),
      addUnsafeRecoverCommand(program, run),
      ...addConfigCommand(program, run),
      ...addContextCommand(program, run),
      addCompletionCommand(program, run),
      addVersionCommand(program, run),
    ]),
  ];
  program.addHelpCommand(
    new Command('help').argument('[command]').description('help for a command').helpGroup(LOCAL),
  );
  for (const command of added) inheritSettings(command, program);
  return program;
}

function inGroup(heading: string, commands: readonly Command[]): readonly Command[] {
  for (const command of commands) command.helpGroup(heading);
  return commands;
}

/** Commands are made before their parent is configured in no order that matters. */
function inheritSettings(command: Command, from: Command): void {
  command.copyInheritedSettings(from);
  command.helpCommand(false);
  for (const child of command.commands) inheritSettings(child, command);
}

const LOCAL = 'On this machine:';

const EXIT_LINES = EXIT_MEANINGS.map(
  ([code, meaning]) => `${String(code).padStart(5)}  ${meaning}`,
);

const PROGRAM_HELP = `
Short forms: status, members, check, add, catchup, promote, remove, replace,
transfer, drain, undrain, rolling-restart, snapshot, scrub, repair, events,
features, unlock, init.

Examples:
  mq-raft status
  mq-raft member replace n3 n4 --addr 10.0.0.4:10912 --dry-run
  mq-raft dev                        # a cluster of three on this machine
  mq-raft topic create orders --queues 8
  mq-raft send orders "hello" --key A-1 --tag paid
  mq-raft consume orders --group demo --max 1
  mq-raft log verify ./.mq-raft/n1   # offline: checks every byte

Exit codes:
${EXIT_LINES.join('\n')}`;
