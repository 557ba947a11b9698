/** `mq-raft completion <shell>`, and the hidden command that lists names for it. */
import { Argument, type Command } from 'commander';
import { clusterStatus } from '../../client/cluster-status.ts';
import { NoNodesKnown } from '../../client/node-directory.ts';
import { BrokerError } from '../../protocol/verbs.ts';
import { LIST_COMMAND, LISTS, type ListName } from '../command-nodes.ts';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import { readContexts } from '../contexts.ts';
import { CLI_EXIT } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';

const HELP = `
Examples:
  source <(mq-raft completion bash)        # in ~/.bashrc
  source <(mq-raft completion zsh)         # in ~/.zshrc, after compinit
  mq-raft completion fish | source         # in ~/.config/fish/config.fish`;

export function addCompletionCommand(program: Command, run: Run): Command {
  const command = program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: Shell, _options, self: Command) =>
      run(self, async ({ print }) => {
        print(completionScript(shell, program));
        return CLI_EXIT.ok;
      }),
    );
  program
    .command(LIST_COMMAND, { hidden: true })
    .addArgument(new Argument('<what>').choices(LISTS))
    .action((what: ListName, _options, self: Command) =>
      run(self, async (invocation) => {
        for (const name of await namesOf(invocation, what)) invocation.print(`${name}\n`);
        return CLI_EXIT.ok;
      }),
    );
  return command;
}

/** A shell asks while somebody types: who is away has no names, and that is no error. */
async function namesOf(invocation: Invocation, what: ListName): Promise<readonly string[]> {
  const { environment, signal } = invocation;
  if (what === 'contexts') return readContexts(environment).contexts.map(({ name }) => name);
  try {
    if (what === 'topics') {
      const topics = await invocation.client().topicList({ signal, timeoutMs: LIST_TIMEOUT_MS });
      return topics.map(({ topic }) => topic);
    }
    const { groups } = await clusterStatus(invocation.client(), signal);
    return groups.flatMap(({ nodes }) => nodes.map(({ nodeId }) => nodeId));
  } catch (error) {
    if (error instanceof NoNodesKnown || error instanceof BrokerError) return [];
    throw error;
  }
}

/** Longer, and the user has typed the name. */
const LIST_TIMEOUT_MS = 1_000;
