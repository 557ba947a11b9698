/**
 * The tree is the architecture: this test reads every import under src/ and fails on one that goes
 * up, sideways, into the world from a pure layer, or round in a circle (design section 3).
 */
import { deepEqual, equal } from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

/** Folder -> folders it may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  io: ['base'],
  raft: ['base'],
  protocol: ['base', 'raft'],
  store: ['base', 'io', 'raft', 'protocol'],
  replica: ['base', 'io', 'raft', 'protocol', 'store'],
  client: ['base', 'io', 'protocol'],
  namesrv: ['base', 'io', 'protocol'],
  broker: ['base', 'io', 'raft', 'protocol', 'store', 'replica', 'client'],
  config: ['base', 'raft', 'protocol'],
  cli: ['base', 'io', 'raft', 'protocol', 'config', 'store', 'client'],
  bin: [
    'base',
    'io',
    'raft',
    'protocol',
    'config',
    'store',
    'replica',
    'client',
    'namesrv',
    'broker',
    'cli',
  ],
};

const WORLD_MODULES = [
  'fs',
  'fs/promises',
  'net',
  'tls',
  'http',
  'https',
  'worker_threads',
  'child_process',
  'os',
];
/** Who may touch the world directly, and with what. */
const WORLD_EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  'src/broker/http/': ['http', 'net'],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sourceFiles(path);
    return name.endsWith('.ts') && !name.endsWith('.test.ts') ? [path] : [];
  });
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8');
  const pattern = /^(?:import|export)\s+(type\s+)?[^;'"]*?(?:from\s+)?['"]([^'"]+)['"]/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    from: path,
    specifier: match[2]!,
    typeOnly: match[1] !== undefined,
  }));
}

const layerOf = (path: string): string => relative('src', path).split('/')[0]!;
const resolved = ({ from, specifier }: Import): string => normalize(join(dirname(from), specifier));
const isLocal = ({ specifier }: Import): boolean => specifier.startsWith('.');

const all = sourceFiles('src').flatMap(importsOf);

test('imports go downward only', () => {
  const upward = all
    .filter(isLocal)
    .filter((item) => {
      const [own, target] = [layerOf(item.from), layerOf(resolved(item))];
      return own !== target && !MAY_IMPORT[own]?.includes(target);
    })
    .map(({ from, specifier }) => `${from} imports ${specifier}`);
  deepEqual(upward, []);
});

test('every folder of src has a place in the layers', () => {
  const unknown = readdirSync('src').filter((name) => MAY_IMPORT[name] === undefined);
  deepEqual(unknown, []);
});

test('only bin imports io/node', () => {
  const offenders = all
    .filter((item) => isLocal(item) && resolved(item).startsWith('src/io/node/'))
    .filter(({ from }) => !from.startsWith('src/io/node/') && !from.startsWith('src/bin/'))
    .map(({ from, specifier }) => `${from} imports ${specifier}`);
  deepEqual(offenders, []);
});

test('the world is touched in io/node and bin only', () => {
  const offenders = all
    .filter(({ specifier }) => WORLD_MODULES.includes(specifier.replace(/^node:/, '')))
    .filter(({ from, specifier }) => {
      if (from.startsWith('src/io/node/') || from.startsWith('src/bin/')) return false;
      const exception = Object.entries(WORLD_EXCEPTIONS).find(([prefix]) =>
        from.startsWith(prefix),
      );
      return !exception?.[1].includes(specifier.replace(/^node:/, ''));
    })
    .map(({ from, specifier }) => `${from} imports ${specifier}`);
  deepEqual(offenders, []);
});

test('raft is pure: no clock, disk, network, promise or chance', () => {
  const forbidden =
    /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|Promise|process|performance|Buffer|crypto|async|await)\b|Math\.random|['"]node:/;
  const offenders = sourceFiles('src/raft').flatMap((path) =>
    withoutComments(readFileSync(path, 'utf8'))
      .split('\n')
      .flatMap((line, at) => (forbidden.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [])),
  );
  deepEqual(offenders, []);
});

test('there are no import cycles', () => {
  const edges = new Map<string, string[]>();
  for (const item of all.filter((each) => isLocal(each) && !each.typeOnly)) {
    edges.set(item.from, [...(edges.get(item.from) ?? []), resolved(item)]);
  }
  equal(firstCycle(edges), null);
});

/** Blanks comments but keeps line numbers. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/\/\/.*$/gm, '');
}

function firstCycle(edges: ReadonlyMap<string, readonly string[]>): string | null {
  const done = new Set<string>();
  const path: string[] = [];
  function visit(node: string): string | null {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node].join(' -> ');
    if (done.has(node)) return null;
    path.push(node);
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle !== null) return cycle;
    }
    path.pop();
    done.add(node);
    return null;
  }
  for (const node of edges.keys()) {
    const cycle = visit(node);
    if (cycle !== null) return cycle;
  }
  return null;
}

test('the cycle finder finds a cycle', () => {
  const cyclic = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  equal(firstCycle(cyclic), 'b -> c -> b');
});
