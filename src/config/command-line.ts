/** Flags of a server process, made from its table. */
import { Command, CommanderError } from 'commander';
import { nearestWord } from './nearest.ts';
import { type Problem, problem } from './problem.ts';
import {
  CONFIG_FILE_KEY,
  flagOf,
  type ServerSettings,
  type Setting,
  settingText,
  variableOf,
} from './setting.ts';

export type CommandLine =
  | {
      readonly kind: 'flags';
      readonly flags: Readonly<Record<string, string | true>>;
      /** Where the file is, by flag or variable. */
      readonly configPath: string | null;
    }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

const HELP_COLUMNS = 100;

export function parseCommandLine(
  server: ServerSettings,
  argv: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): CommandLine {
  let text = '';
  const command = commandOf(server).configureOutput({
    writeOut: (part) => {
      text += part;
    },
    writeErr: () => {},
    getOutHelpWidth: () => HELP_COLUMNS,
    getErrHelpWidth: () => HELP_COLUMNS,
  });
  const unknown: Problem[] = [];
  const extra: string[] = [];
  try {
    const { unknown: rest, operands } = command.parseOptions([...argv]);
    extra.push(...operands);
    unknown.push(...rest.filter((word) => !isHelp(word)).map((each) => unknownFlag(server, each)));
    if (rest.some(isHelp)) {
      command.outputHelp();
      return { kind: 'help', text };
    }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const what = error.message.replace(/^error: /, '');
    return { kind: 'refused', problems: [problem('command line', what), ...unknown] };
  }
  if (unknown.length > 0 || extra.length > 0) {
    const idle = extra.map((each) => problem('command line', `'${each}' belongs to no flag`));
    return { kind: 'refused', problems: [...unknown, ...idle] };
  }
  const { [CONFIG_FILE_KEY]: configPath, ...flags } = byKey(server, command);
  const fromVariable = variables[variableOf(server, CONFIG_FILE_KEY)];
  const path = typeof configPath === 'string' ? configPath : (fromVariable ?? '');
  return { kind: 'flags', flags, configPath: path === '' ? null : path };
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

function byKey(server: ServerSettings, command: Command): Record<string, string | true> {
  const given: Record<string, string | true> = {};
  for (const key of [CONFIG_FILE_KEY, ...Object.keys(server.table)]) {
    const value: unknown = command.getOptionValue(nameInCommander(key));
    if (value === true || typeof value === 'string') given[key] = value;
  }
  return given;
}

function nameInCommander(key: string): string {
  return key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function unknownFlag({ table }: ServerSettings, word: string): Problem {
  const name = word.replace(/^--?/, '').replace(/=.*$/, '');
  if (!word.startsWith('-')) return problem('command line', `'${word}' belongs to no flag`);
  const near = nearestWord(name, [CONFIG_FILE_KEY, ...Object.keys(table)]);
  return problem(
    word,
    'there is no such flag',
    near === null ? null : `did you mean ${flagOf(near)}?`,
  );
}

function commandOf(server: ServerSettings): Command {
  const { program, description, table } = server;
  const command = new Command(program)
    .description(description)
    .exitOverride()
    .option('--config <file>', 'YAML file with any of the settings below, named as the flags');
  for (const [key, line] of Object.entries(table)) {
    const value = line.form === 'switch' ? `[${line.value}]` : `<${line.value}>`;
    command.option(`${flagOf(key)} ${value}`, `${line.help} ${standardInHelp(line)}`);
  }
  const example = variableOf(server, Object.keys(table)[0] ?? '');
  command.addHelpText(
    'after',
    `
A flag counts before its variable (as ${example}), a variable before the file, the file
before the default. More on each: mq-raft config explain <key>`,
  );
  return command;
}

function standardInHelp({ standard, standardText }: Setting): string {
  if (standard === undefined) return '(must be given)';
  return `(default: ${standardText ?? settingText(standard)})`;
}
