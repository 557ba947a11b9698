/** How a server process comes to its configuration: reads the file, settles, or says what is wrong and ends. */
import { readFileSync } from 'node:fs';
import { EXIT_CODE } from '../base/errors.ts';
import { parseCommandLine } from '../config/command-line.ts';
import { type ConfigFile, parseConfigFile } from '../config/config-file.ts';
import { type Problem, problem, problemText } from '../config/problem.ts';
import { type ServerSettings, type SettingTable, variableOf } from '../config/setting.ts';
import { type Settled, settle } from '../config/settle.ts';

export type ServerStart<Table extends SettingTable> =
  | { readonly kind: 'help'; readonly text: string }
  | Settled<Table>;

export function settleServer<Table extends SettingTable>(
  server: ServerSettings<Table>,
  argv: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): ServerStart<Table> {
  const line = parseCommandLine(server, argv, variables);
  if (line.kind !== 'flags') return line;
  const { configPath: path, flags } = line;
  if (path === null) return settle(server, { flags, variables, file: null });
  const file = readConfigFile(path);
  if ('where' in file) return { kind: 'refused', problems: [file] };
  return settle(server, { flags, variables, file });
}

/** Ends the process when there is nothing to start. */
export function settledOrEnd<Table extends SettingTable>(
  server: ServerSettings<Table>,
  check: (settled: Extract<Settled<Table>, { kind: 'settled' }>) => readonly Problem[],
): Extract<Settled<Table>, { kind: 'settled' }> {
  const start = settleServer(server, process.argv.slice(2), process.env);
  if (start.kind === 'help') {
    process.stdout.write(start.text);
    process.exit(0);
  }
  const problems = start.kind === 'refused' ? start.problems : check(start);
  if (start.kind === 'refused' || problems.length > 0) {
    const lines = problems.map((each) => `  ${problemText(each)}\n`);
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    const help = `mq-raft config explain KEY tells more; ${variableOf(server, 'config')} may name a file`;
    process.stderr.write(`${server.program} cannot start, ${count}:\n${lines.join('')}${help}\n`);
    process.exit(EXIT_CODE.badConfiguration);
  }
  return start;
}

function readConfigFile(path: string): ConfigFile | Problem {
  try {
    return parseConfigFile(path, readFileSync(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return problem(path, `it cannot be read: ${String(error.code)}`);
  }
}
