/**
 * A configuration file: YAML, one map of settings. Every key is remembered with its line, so that each
 * problem can be found; what YAML itself objects to is a problem like any other.
 */
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { type Problem, problem } from './problem.ts';

/** More is a slip: a data file instead of a configuration. */
const FILE_SIZE_CHARACTERS_MAX = 256 * 1024;

export interface FileEntry {
  readonly key: string;
  readonly line: number;
  /** As YAML has it. */
  readonly value: unknown;
}

export interface ConfigFile {
  readonly path: string;
  readonly entries: readonly FileEntry[];
  readonly problems: readonly Problem[];
}

export function parseConfigFile(path: string, text: string): ConfigFile {
  if (text.length > FILE_SIZE_CHARACTERS_MAX) {
    const what = `it has ${text.length} characters, at most ${FILE_SIZE_CHARACTERS_MAX} make sense`;
    return { path, entries: [], problems: [problem(path, what)] };
  }
  const lines = new LineCounter();
  // Core schema and unique keys: `no` stays a word, and the second of two equal keys is an error.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const whereOf = (offset: number): string => `${path}:${lines.linePos(offset).line}`;
  const problems = document.errors.map(({ pos, message }) =>
    problem(whereOf(pos[0]), `not valid YAML: ${firstLine(message)}`),
  );
  if (problems.length > 0) return { path, entries: [], problems };
  const { contents } = document;
  if (contents === null) return { path, entries: [], problems };
  if (!isMap(contents)) {
    const what = 'it must be a map of settings, one `key: value` a line';
    return { path, entries: [], problems: [problem(whereOf(contents.range?.[0] ?? 0), what)] };
  }
  const entries: FileEntry[] = [];
  for (const { key, value } of contents.items) {
    const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
    const line = lines.linePos(offset).line;
    const name = isScalar(key) ? String(key.value) : '';
    if (name === '') problems.push(problem(whereOf(offset), 'a key must be a word'));
    else entries.push({ key: name, line, value: plainOf(value, document) });
  }
  return { path, entries, problems };
}

function plainOf(value: unknown, document: ReturnType<typeof parseDocument>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return 'toJS' in value && typeof value.toJS === 'function' ? value.toJS(document) : null;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
