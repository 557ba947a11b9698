/**
 * Settles a configuration from its four sources: flag before variable before file before default.
 * A value is judged even where another one overrides it: a file with a mistake in it is a trap for
 * the day on which the flag is left out.
 */
import type { ConfigFile } from './config-file.ts';
import { nearestWord } from './nearest.ts';
import { type Problem, problem } from './problem.ts';
import {
  CONFIG_FILE_KEY,
  type Form,
  flagOf,
  type ServerSettings,
  type Setting,
  type SettingTable,
  type ValuesOf,
  variableOf,
} from './setting.ts';

export type Origin =
  | { readonly kind: 'flag' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string; readonly line: number }
  | { readonly kind: 'default' };

export interface Sources {
  /** By key; `true` for a switch without a value. */
  readonly flags: Readonly<Record<string, string | true>>;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile | null;
}

export type Settled<Table extends SettingTable> =
  | {
      readonly kind: 'settled';
      readonly values: ValuesOf<Table>;
      readonly origins: ReadonlyMap<keyof Table & string, Origin>;
      /** Not wrong, but probably not meant. */
      readonly notes: readonly string[];
    }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

interface Found {
  readonly origin: Origin;
  readonly where: string;
  readonly value: unknown;
}

export function settle<Table extends SettingTable>(
  server: ServerSettings<Table>,
  sources: Sources,
): Settled<Table> {
  const problems: Problem[] = [...(sources.file?.problems ?? []), ...unknownKeys(server, sources)];
  const values: Record<string, unknown> = {};
  const origins = new Map<keyof Table & string, Origin>();
  for (const [key, line] of Object.entries(server.table)) {
    const found = foundFor(server, key, line, sources);
    const judged = found.map((each) => judge(key, line, each));
    problems.push(...judged.flatMap(({ problems: own }) => own));
    const counting = found[0];
    if (counting !== undefined) {
      values[key] = judged[0]?.value;
      origins.set(key, counting.origin);
    } else if (line.standard === undefined) {
      problems.push(missing(server, key, line));
    } else {
      values[key] = line.standard;
      origins.set(key, { kind: 'default' });
    }
  }
  if (problems.length > 0) return { kind: 'refused', problems };
  // Every key of the table has been judged by its own schema above.
  return {
    kind: 'settled',
    values: values as ValuesOf<Table>,
    origins,
    notes: unknownVariables(server, sources.variables),
  };
}

/** In order of precedence. */
function foundFor(server: ServerSettings, key: string, line: Setting, sources: Sources): Found[] {
  const found: Found[] = [];
  const flag = sources.flags[key];
  if (flag !== undefined) {
    const value = flag === true ? true : valueOfText(flag, line.form);
    found.push({ origin: { kind: 'flag' }, where: flagOf(key), value });
  }
  const name = variableOf(server, key);
  const variable = sources.variables[name];
  // An empty variable is how a start script says "not set".
  if (variable !== undefined && variable !== '') {
    const value = valueOfText(variable, line.form);
    found.push({ origin: { kind: 'variable', name }, where: name, value });
  }
  const { file } = sources;
  const entry = file?.entries.find((each) => each.key === key);
  if (file !== null && entry !== undefined) {
    const origin = { kind: 'file' as const, path: file.path, line: entry.line };
    const value = valueOfYaml(entry.value, line.form);
    found.push({ origin, where: `${file.path}:${entry.line}`, value });
  }
  return found;
}

function judge(
  key: string,
  { schema, isSecret }: Setting,
  { where, value }: Found,
): { readonly value: unknown; readonly problems: readonly Problem[] } {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data, problems: [] };
  const problems = parsed.error.issues.map(({ path, message }) => {
    const part = path.length === 0 ? key : `${key}, ${path.map(partText).join(' ')}`;
    const seen = isSecret === true ? 'what was given' : shown(value);
    return problem(where, `${part}: ${message}, not ${seen}`);
  });
  return { value: undefined, problems };
}

function partText(part: PropertyKey): string {
  return typeof part === 'number' ? `number ${part + 1}` : String(part);
}

function shown(value: unknown): string {
  return typeof value === 'number' && Number.isNaN(value) ? 'a word' : JSON.stringify(value);
}

/** Text of a flag or variable. What has not the form is left for the schema to object to. */
function valueOfText(text: string, form: Form): unknown {
  switch (form) {
    case 'text':
      return text;
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
    case 'switch':
      if (text === 'true') return true;
      return text === 'false' ? false : text;
    case 'list':
      return partsOf(text);
    case 'members':
      return partsOf(text).map((part) => {
        const cut = part.indexOf('=');
        if (cut < 0) return { nodeId: '', raftAddress: part };
        return { nodeId: part.slice(0, cut), raftAddress: part.slice(cut + 1) };
      });
  }
}

/** `a,b`, or as RocketMQ has it `a;b`. */
function partsOf(text: string): string[] {
  return text
    .split(/[,;]/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function valueOfYaml(value: unknown, form: Form): unknown {
  const isShort = typeof value === 'string' && (form === 'list' || form === 'members');
  if (isShort) return valueOfText(value, form);
  if (form !== 'members' || typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value;
  }
  return Object.entries(value).map(([nodeId, raftAddress]) => ({ nodeId, raftAddress }));
}

function missing(server: ServerSettings, key: string, line: Setting): Problem {
  const hint = `${flagOf(key)} ${line.example}, ${variableOf(server, key)}, or \`${key}:\` in the file`;
  return problem(key, `it must be given: ${line.help}`, hint);
}

function unknownKeys({ table }: ServerSettings, { file }: Sources): Problem[] {
  const known = Object.keys(table);
  const unknown = file?.entries.filter(({ key }) => !known.includes(key)) ?? [];
  return unknown.map(({ key, line }) => {
    const near = nearestWord(key, known);
    const hint = near === null ? null : `did you mean ${near}?`;
    return problem(`${file?.path}:${line}`, `${key} is no setting`, hint);
  });
}

/**
 * Only a note: whoever runs a service of our name in Kubernetes finds variables like
 * MQ_RAFT_BROKER_SERVICE_HOST, which nobody has set by hand.
 */
function unknownVariables(
  server: ServerSettings,
  variables: Sources['variables'],
): readonly string[] {
  const { variablePrefix, table } = server;
  const keys = [...Object.keys(table), CONFIG_FILE_KEY];
  const known = keys.map((key) => variableOf(server, key));
  return Object.keys(variables)
    .filter((name) => name.startsWith(variablePrefix) && !known.includes(name))
    .filter((name) => !/_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/.test(name))
    .sort()
    .map((name) => {
      const near = nearestWord(name, known);
      return `${name} is no setting and has no effect${near === null ? '' : `: did you mean ${near}?`}`;
    });
}
