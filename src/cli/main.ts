/**
 * `mq-raft`: from arguments to an exit code. Commands print through ports; nothing here touches the
 * process, so tests run whole commands in memory.
 */
import { Command, CommanderError, Option } from 'commander';
import { CliError, type Doing, type Trouble, troubleOf, troubleText } from './cli-error.ts';
import { addConsumeCommand } from './commands/consume.ts';
import { addDevCommand } from './commands/dev.ts';
import { addLogCommand } from './commands/log.ts';
import { addSendCommand } from './commands/send.ts';
import { addStatusCommand } from './commands/status.ts';
import { addTopicCommand } from './commands/topic.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { addVersionCommand } from './commands/version.ts';
import { type CliEnvironment, Interrupted } from './environment.ts';
import { CLI_EXIT, type CliExit } from './exit-codes.ts';
import { openInvocation, parseDurationMs, type Run } from './invocation.ts';
import { findTodoOf } from './target.ts';

/** @param args without the program's own name. Rejects only for bugs. */
export async function runCli(
  args: readonly string[],
  environment: CliEnvironment,
): Promise<number> {
  let exit: number = CLI_EXIT.ok;
  const program = buildProgram(environment, async (command, work) => {
    exit = await runCommand(command, environment, work);
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
): Promise<number> {
  const { invocation, close } = openInvocation(command, environment);
  try {
    return await work(invocation);
  } catch (error) {
    const doing = doingOf(command, environment);
    if (error instanceof Interrupted) {
      const outcome = doing.isWrite ? `: whether ${doing.what} took effect is unknown` : '';
      environment.stderr.write(`interrupted${outcome}\n`);
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

const WRITES = ['create', 'send'];

function doingOf(command: Command, environment: CliEnvironment): Doing {
  const name = command.name();
  const parent = command.parent?.parent ? `${command.parent.name()} ` : '';
  const first = command.processedArgs[0];
  const subject = typeof first === 'string' ? ` ${first}` : '';
  const isWrite = WRITES.includes(name);
  const topic = subject === '' ? {} : { topic: String(first) };
  const findTodo = findTodoOf(command.optsWithGlobals(), environment);
  return { what: `${parent}${name}${subject}`, isWrite, ...topic, findTodo };
}

function buildProgram(environment: CliEnvironment, run: Run): Command {
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
    .option('--namesrv <addresses>', 'name servers, host:port,... (or MQ_RAFT_NAMESRV)')
    .option('--endpoints <addresses>', 'nodes by their raft port (or MQ_RAFT_ENDPOINTS)')
    .option('--timeout <duration>', 'of a request: 500ms, 5s, 2m (default: 5s)', parseDurationMs)
    .addHelpText('after', PROGRAM_HELP);
  const added = [
    addDevCommand(program, run),
    addStatusCommand(program, run),
    addTopicCommand(program, run),
    addSendCommand(program, run),
    addConsumeCommand(program, run),
    addVerifyCommand(program, run),
    addLogCommand(program, run),
    addVersionCommand(program, run),
  ];
  for (const command of added) inheritSettings(command, program);
  return program;
}

/** Commands are made before their parent is configured in no order that matters. */
function inheritSettings(command: Command, from: Command): void {
  command.copyInheritedSettings(from);
  for (const child of command.commands) inheritSettings(child, command);
}

const PROGRAM_HELP = `
Examples:
  mq-raft dev                        # a cluster of three on this machine
  mq-raft topic create orders --queues 8
  mq-raft send orders "hello" --key A-1 --tag paid
  mq-raft consume orders --group demo --max 1
  mq-raft status
  mq-raft log verify ./.mq-raft/n1   # offline: checks every byte

Exit codes:
  0 ok   1 failure   2 usage   3 not found   4 refused, nothing changed
  6 unreachable or out of time: whether a write took effect is unknown
  8 unhealthy or damaged   10 declined   130 interrupted`;
