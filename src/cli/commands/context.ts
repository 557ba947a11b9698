/** `mq-raft context list|use|add|remove`: clusters by name. */
import type { Command } from 'commander';
import { usageError } from '../cli-error.ts';
import { type Context, contextNamed, readContexts, writeContexts } from '../contexts.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { jsonLine } from '../render/json.ts';
import { cell, tableLines } from '../render/text.ts';
import { parseAddresses } from '../target.ts';
import { addNoun, type Verb } from '../verb.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const list: Verb = {
  name: 'list',
  short: null,
  description: 'list the contexts; the one in use has a star',
  help: 'Examples:\n  mq-raft context list',
  build: (command, run) =>
    void command.action((_options, self: Command) => run(self, async (each) => showList(each))),
};

const use: Verb = {
  name: 'use',
  short: null,
  description: 'use a context from now on, where nothing else is said',
  help: 'Examples:\n  mq-raft context use prod',
  build: (command, run) =>
    void command
      .argument('<name>', 'a context')
      .action((name: string, _options, self: Command) =>
        run(self, async (invocation) => useContext(invocation, name)),
      ),
};

interface AddOptions {
  readonly protected?: true;
}

const add: Verb = {
  name: 'add',
  short: null,
  description: 'add or replace a context',
  help: `A command takes the first of these that is given: --endpoints, --namesrv,
--context, MQ_RAFT_ENDPOINTS, MQ_RAFT_NAMESRV, MQ_RAFT_CONTEXT, the local
cluster of this directory, the context in use.

Examples:
  mq-raft context add prod --namesrv mq1:9876,mq2:9876 --protected
  mq-raft context add lab --endpoints 10.0.0.1:10912,10.0.0.2:10912`,
  build: (command, run) =>
    void command
      .argument('<name>', 'a context')
      .option('--protected', 'destroying needs the typed name, whatever --yes says')
      .action((name: string, options: AddOptions, self: Command) =>
        run(self, async (invocation) => addContext(invocation, name, options, self)),
      ),
};

const remove: Verb = {
  name: 'remove',
  short: null,
  description: 'forget a context; the cluster knows nothing of it',
  help: 'Examples:\n  mq-raft context remove lab',
  build: (command, run) =>
    void command
      .argument('<name>', 'a context')
      .action((name: string, _options, self: Command) =>
        run(self, async (invocation) => removeContext(invocation, name)),
      ),
};

export function addContextCommand(program: Command, run: Run): readonly Command[] {
  const description = 'clusters by name, kept in ~/.config/mq-raft/contexts.json';
  return addNoun(program, { name: 'context', description, verbs: [list, use, add, remove] }, run);
}

function showList({ environment, output, paint, print, note }: Invocation): CliExit {
  const { current, contexts } = readContexts(environment);
  if (output === 'json') {
    print(jsonLine({ kind: 'contextList', current, contexts: contexts.map(contextJson) }));
    return CLI_EXIT.ok;
  }
  if (contexts.length === 0) {
    note('no context yet; add one with: mq-raft context add prod --namesrv host:port,...');
    return CLI_EXIT.ok;
  }
  const columns = ['', 'context', 'by', 'addresses', ''].map((title) => ({
    title,
    align: 'left' as const,
  }));
  const rows = contexts.map(({ name, kind, addresses, isProtected }) => [
    cell(name === current ? '*' : '', 'good'),
    cell(name, 'bold'),
    cell(kind === 'endpoints' ? 'endpoints' : 'name servers'),
    cell(addresses.join(',')),
    cell(isProtected ? 'protected' : '', 'accent'),
  ]);
  print(`${tableLines(columns, rows, paint).join('\n')}\n`);
  return CLI_EXIT.ok;
}

function useContext({ environment, output, print }: Invocation, name: string): CliExit {
  const context = contextNamed(environment, name);
  writeContexts(environment, { ...readContexts(environment), current: name });
  const text = `using ${name}: ${context.addresses.join(',')}\n`;
  print(output === 'json' ? jsonLine({ kind: 'context', ...contextJson(context) }) : text);
  return CLI_EXIT.ok;
}

function addContext(
  { environment, output, print }: Invocation,
  name: string,
  options: AddOptions,
  command: Command,
): CliExit {
  if (!NAME.test(name)) throw usageError(`'${name}' is no name of a context`, 'for example prod');
  const context = { ...givenContext(name, command), isProtected: options.protected === true };
  const { current, contexts } = readContexts(environment);
  const others = contexts.filter((each) => each.name !== name);
  writeContexts(environment, { current: current ?? name, contexts: [...others, context] });
  const inUse = current === null || current === name ? ', in use' : '';
  const text = `context ${name}: ${context.addresses.join(',')}${inUse}\n`;
  print(output === 'json' ? jsonLine({ kind: 'context', ...contextJson(context) }) : text);
  return CLI_EXIT.ok;
}

function givenContext(name: string, command: Command): Omit<Context, 'isProtected'> {
  const { namesrv, endpoints }: { namesrv?: string; endpoints?: string } =
    command.optsWithGlobals();
  if (namesrv !== undefined && endpoints === undefined) {
    return { name, kind: 'nameServers', addresses: parseAddresses('--namesrv', namesrv) };
  }
  if (endpoints !== undefined && namesrv === undefined) {
    return { name, kind: 'endpoints', addresses: parseAddresses('--endpoints', endpoints) };
  }
  throw usageError('A context has either --namesrv or --endpoints', 'give one of them');
}

function removeContext({ environment, output, print }: Invocation, name: string): CliExit {
  contextNamed(environment, name);
  const { current, contexts } = readContexts(environment);
  writeContexts(environment, {
    current: current === name ? null : current,
    contexts: contexts.filter((each) => each.name !== name),
  });
  const text = `context ${name} is forgotten\n`;
  print(output === 'json' ? jsonLine({ kind: 'contextRemoved', name }) : text);
  return CLI_EXIT.ok;
}

function contextJson({ name, kind, addresses, isProtected }: Context): object {
  return { name, [kind]: addresses, protected: isProtected };
}
