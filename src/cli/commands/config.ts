/** `mq-raft config explain|validate|show`: configuration of the servers, without a server. */
import { type Command, Option } from 'commander';
import { BROKER_SETTINGS, brokerProblems } from '../../config/broker-settings.ts';
import { parseConfigFile } from '../../config/config-file.ts';
import { explained } from '../../config/configuration-page.ts';
import { NAMESRV_SETTINGS } from '../../config/namesrv-settings.ts';
import { nearestWord } from '../../config/nearest.ts';
import { type Problem, problemText } from '../../config/problem.ts';
import { type ServerSettings, settingText, variableOf } from '../../config/setting.ts';
import { type Origin, type Settled, settle } from '../../config/settle.ts';
import { CliError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { jsonLine } from '../render/json.ts';
import { labelled } from '../render/log-words.ts';
import { cell, tableLines } from '../render/text.ts';
import { addNoun, type Verb } from '../verb.ts';

type ServerName = 'broker' | 'namesrv';

interface ServerOptions {
  readonly server: ServerName;
}

const explain: Verb = {
  name: 'explain',
  short: null,
  description: 'what a setting means, and every way to give it',
  help: `Examples:
  mq-raft config explain segment-size-bytes
  mq-raft config explain listen --server namesrv`,
  build: (command, run) =>
    void command
      .argument('[key]', 'a setting; all are listed without it')
      .addOption(serverOption())
      .action((key: string | undefined, options: ServerOptions, self: Command) =>
        run(self, async (invocation) =>
          key === undefined
            ? listSettings(invocation, options)
            : explainSetting(invocation, key, options),
        ),
      ),
};

const validate: Verb = {
  name: 'validate',
  short: null,
  description: 'check a configuration file; all problems are told at once, with their lines',
  help: `Exit code 4 when it has problems.

Examples:
  mq-raft config validate /etc/mq-raft/broker.yaml`,
  build: (command, run) =>
    void command
      .argument('<file>', 'YAML')
      .addOption(serverOption())
      .action((path: string, options: ServerOptions, self: Command) =>
        run(self, async (invocation) => validateFile(invocation, path, options)),
      ),
};

const show: Verb = {
  name: 'show',
  short: null,
  description: 'what is in effect with a file and the variables of this shell, and where from',
  help: `Examples:
  mq-raft config show /etc/mq-raft/broker.yaml
  mq-raft config show --server namesrv -o json`,
  build: (command, run) =>
    void command
      .argument('[file]', 'YAML')
      .addOption(serverOption())
      .action((path: string | undefined, options: ServerOptions, self: Command) =>
        run(self, async (invocation) => showSettings(invocation, path ?? null, options)),
      ),
};

export function addConfigCommand(program: Command, run: Run): readonly Command[] {
  const description = 'configuration of the servers: explain, validate, show';
  return addNoun(program, { name: 'config', description, verbs: [explain, validate, show] }, run);
}

function serverOption(): Option {
  return new Option('--server <which>', 'whose configuration')
    .choices(['broker', 'namesrv'])
    .default('broker');
}

const SERVERS: Readonly<Record<ServerName, ServerSettings>> = {
  broker: BROKER_SETTINGS,
  namesrv: NAMESRV_SETTINGS,
};

function listSettings(invocation: Invocation, { server }: ServerOptions): CliExit {
  const { output, paint, print } = invocation;
  const settings = Object.entries(SERVERS[server].table);
  if (output === 'json') {
    const facts = settings.map(([key, { help, value }]) => ({ key, value, help }));
    print(jsonLine({ kind: 'settings', server, settings: facts }));
    return CLI_EXIT.ok;
  }
  const columns = ['setting', 'value', 'what'].map((title) => ({ title, align: 'left' as const }));
  const rows = settings.map(([key, { help, value }]) => [
    cell(key, 'bold'),
    cell(value, 'dim'),
    cell(help),
  ]);
  print(`${tableLines(columns, rows, paint).join('\n')}\n`);
  return CLI_EXIT.ok;
}

const EXPLAIN_LABELS_AT = 13;

function explainSetting(
  { environment, output, paint, print }: Invocation,
  key: string,
  options: ServerOptions,
): CliExit {
  const server = SERVERS[options.server];
  const line = server.table[key];
  if (line === undefined) {
    const near = nearestWord(key, Object.keys(server.table));
    throw new CliError({
      exit: CLI_EXIT.notFound,
      what: `${server.program} has no setting ${key}`,
      why: null,
      todo: near === null ? '`mq-raft config explain` lists them' : `did you mean ${near}?`,
    });
  }
  if (output === 'json') {
    const { help, more, value, example, standard } = line;
    const standardValue = standard === undefined ? null : standard;
    const variable = variableOf(server, key);
    const facts = { key, flag: `--${key}`, variable, value, default: standardValue, example };
    print(jsonLine({ kind: 'setting', server: options.server, ...facts, help, more }));
    return CLI_EXIT.ok;
  }
  const { columns } = environment.stdout;
  const lines = explained(server, key, line).flatMap(([label, text]) =>
    labelled(`  ${label}`, text, EXPLAIN_LABELS_AT + 2, columns),
  );
  print(`${[paint(key, 'bold'), ...lines].join('\n')}\n`);
  return CLI_EXIT.ok;
}

function validateFile(invocation: Invocation, path: string, options: ServerOptions): CliExit {
  const { output, print } = invocation;
  const problems = problemsOf(settledFile(invocation, path, options, {}));
  if (output === 'json') {
    print(jsonLine({ kind: 'configProblems', valid: problems.length === 0, problems }));
    return problems.length === 0 ? CLI_EXIT.ok : CLI_EXIT.refused;
  }
  if (problems.length > 0) throw notValid(path, problems);
  print(`${path} is valid\n`);
  return CLI_EXIT.ok;
}

function showSettings(
  invocation: Invocation,
  path: string | null,
  options: ServerOptions,
): CliExit {
  const { environment, output, paint, print, note } = invocation;
  const settled = settledFile(invocation, path, options, environment.variables);
  const problems = problemsOf(settled);
  if (settled.kind === 'refused' || problems.length > 0) {
    throw notValid(path ?? 'the configuration', problems);
  }
  const { table } = SERVERS[options.server];
  const rows = Object.entries(settled.values).map(([key, value]) => ({
    key,
    value: table[key]?.isSecret === true && value !== null ? '(set)' : value,
    origin: originText(settled.origins.get(key)),
  }));
  for (const each of settled.notes) note(each);
  if (output === 'json') {
    print(jsonLine({ kind: 'config', server: options.server, settings: rows }));
    return CLI_EXIT.ok;
  }
  const columns = ['setting', 'value', 'from'].map((title) => ({ title, align: 'left' as const }));
  const cells = rows.map(({ key, value, origin }) => [
    cell(key),
    cell(settingText(value)),
    cell(origin, origin === 'default' ? 'dim' : 'plain'),
  ]);
  print(`${tableLines(columns, cells, paint).join('\n')}\n`);
  return CLI_EXIT.ok;
}

type AnySettled = Settled<ServerSettings['table']>;

function settledFile(
  { environment }: Invocation,
  path: string | null,
  { server }: ServerOptions,
  variables: Readonly<Record<string, string | undefined>>,
): AnySettled & { readonly crossed: readonly Problem[] } {
  const text = path === null ? '' : environment.files.read(path);
  if (text === null) {
    const todo = 'give the path of a YAML file';
    throw new CliError({ exit: CLI_EXIT.notFound, what: `There is no ${path}`, why: null, todo });
  }
  const sources = { flags: {}, variables, file: parseConfigFile(path ?? '', text) };
  if (server === 'namesrv') return { ...settle(NAMESRV_SETTINGS, sources), crossed: [] };
  const settled = settle(BROKER_SETTINGS, sources);
  return { ...settled, crossed: settled.kind === 'settled' ? brokerProblems(settled.values) : [] };
}

function problemsOf(
  settled: AnySettled & { readonly crossed: readonly Problem[] },
): readonly Problem[] {
  return settled.kind === 'refused' ? settled.problems : settled.crossed;
}

function notValid(path: string, problems: readonly Problem[]): CliError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new CliError({
    exit: CLI_EXIT.refused,
    what: `${path} is not valid, ${count}`,
    why: problems.map(problemText).join('\n'),
    todo: 'mq-raft config explain KEY tells more',
  });
}

function originText(origin: Origin | undefined): string {
  switch (origin?.kind) {
    case 'variable':
      return origin.name;
    case 'file':
      return `${origin.path}:${origin.line}`;
    case 'flag':
      return 'flag';
    case 'default':
    case undefined:
      return 'default';
  }
}
