/**
 * Style that linters do not know: sizes, forbidden words, module comments, cited decisions.
 * Exceptions are listed here with their current size and may only shrink.
 */
import { deepEqual } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const FILE_LINES_MAX = 400;
/** Test files are mostly tables and examples. */
const TEST_FILE_LINES_MAX = 650;
const FUNCTION_LINES_MAX = 70;
/** File -> allowed number of code lines. */
const LONG_FILES: Readonly<Record<string, number>> = {};

const COMMENTED_LAYERS = ['raft', 'store', 'protocol', 'replica', 'broker', 'namesrv', 'io'];

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly except: RegExp;
}
const BANS: readonly Ban[] = [
  { pattern: /\b(TODO|FIXME|XXX)\b/, instead: 'an issue', except: /^tools\// },
  {
    pattern: /phyOffset|physicOffset|offsetPy\b|commitLogOffset/,
    instead: 'physicalOffset',
    except: /^tools\//,
  },
  {
    pattern: /\bas any\b|: any\s*[;,)=>[|]|@ts-(ignore|expect-error|nocheck)/,
    instead: 'a type',
    except: /^tools\//,
  },
  {
    pattern: /\bprocess\.[a-z]/,
    instead: 'what bin/ passes down',
    except: /^(src\/bin\/|src\/io\/node\/|test\/|bench\/|tools\/|.*\.test\.ts$)/,
  },
  {
    pattern: /Math\.random/,
    instead: 'a RandomSource',
    except: /^(tools\/|src\/io\/node\/|test\/stack\/real-time-trap\.ts)/,
  },
  { pattern: /\.skip\(|\.only\(|\btodo: true/, instead: 'a test that runs', except: /^tools\// },
];

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name === 'generated') return [];
    if (statSync(path).isDirectory()) return filesBelow(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

const files = ['src', 'test', 'bench', 'tools'].flatMap(filesBelow);
const textOf = new Map(files.map((path) => [path, readFileSync(path, 'utf8')]));

/** Keeps line numbers. */
function withoutBlockComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''));
}

/** Lines that are neither blank nor only comment. */
function codeLines(text: string): string[] {
  const uncommented = text.replace(/\/\*[\s\S]*?\*\//g, '');
  return uncommented.split('\n').filter((line) => line.trim() !== '' && !/^\s*\/\//.test(line));
}

test(`no source file has more than ${FILE_LINES_MAX} lines of code`, () => {
  const tooLong = files
    .filter((path) => path.startsWith('src/'))
    .map((path) => ({ path, lines: codeLines(textOf.get(path)!).length }))
    .filter(({ path, lines }) => lines > (LONG_FILES[path] ?? linesMaxOf(path)));
  deepEqual(tooLong, []);
});

test(`no function in src has more than ${FUNCTION_LINES_MAX} lines`, () => {
  const tooLong = files
    .filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts'))
    .flatMap((path) => longFunctions(path, textOf.get(path)!));
  deepEqual(tooLong, []);
});

function linesMaxOf(path: string): number {
  return path.endsWith('.test.ts') ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
}

/** Functions and methods as the formatter prints them: opening line, body, brace at its indent. */
function longFunctions(path: string, text: string): string[] {
  const lines = text.split('\n');
  const found: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const opening =
      /^(\s*)(?:export )?(?:static )?(?:async )?(?:function |(?:get |set )?[#\w]+(?:<[^>]*>)?\()/.exec(
        lines[at]!,
      );
    if (opening === null || isStatement(lines[at]!)) continue;
    let bodyStart = at;
    while (bodyStart < lines.length && !/\{\s*$/.test(lines[bodyStart]!) && bodyStart - at < 15)
      bodyStart++;
    if (!/\{\s*$/.test(lines[bodyStart] ?? '')) continue;
    const close = lines.findIndex((line, i) => i > bodyStart && line === `${opening[1]}}`);
    if (close < 0) continue;
    const sizeLines = codeLines(lines.slice(at, close + 1).join('\n')).length;
    if (sizeLines > FUNCTION_LINES_MAX) found.push(`${path}:${at + 1}: ${sizeLines} lines`);
  }
  return found;
}

/** A call or a control statement looks like a method to the pattern above. */
function isStatement(line: string): boolean {
  return /^\s*(if|for|while|switch|return|catch|assert)\b/.test(line) || /;\s*$/.test(line);
}

test('forbidden words are absent', () => {
  const offences = files.flatMap((path) =>
    withoutBlockComments(textOf.get(path)!)
      .split('\n')
      .flatMap((line, at) =>
        BANS.filter(({ pattern, except }) => pattern.test(line) && !except.test(path)).map(
          ({ instead }) => `${path}:${at + 1}: ${line.trim()}: use ${instead}`,
        ),
      ),
  );
  deepEqual(offences, []);
});

test('every module of a commented layer says what it is for', () => {
  const silent = files.filter((path) => {
    const layer = path.split('/')[1]!;
    const isCovered = path.startsWith('src/') && COMMENTED_LAYERS.includes(layer);
    if (!isCovered || path.endsWith('.test.ts') || path.endsWith('/index.ts')) return false;
    return (
      !/^(#!.*\n)?\s*(\/\*\*|\/\/)/.test(textOf.get(path)!) && !/\n\/\*\*/.test(textOf.get(path)!)
    );
  });
  deepEqual(silent, []);
});

test('every cited ADR exists', () => {
  const known = existsSync('docs/adr') ? readdirSync('docs/adr') : [];
  const missing = files.flatMap((path) =>
    [...textOf.get(path)!.matchAll(/ADR-(\d+)/g)]
      .filter(([, number]) => !known.some((name) => Number(name.slice(0, 4)) === Number(number)))
      .map(([citation]) => `${path}: ${citation}`),
  );
  deepEqual(missing, excused(missing));
});

/** The example in this very file cites no decision; nothing else is excused. */
function excused(missing: readonly string[]): string[] {
  return missing.filter((entry) => entry.startsWith('tools/tidy.test.ts'));
}
