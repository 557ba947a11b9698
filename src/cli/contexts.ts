/**
 * Clusters by name, in a file of the user: `~/.config/mq-raft/contexts.json`. Written whole; unknown fields
 * of a later version are refused rather than lost.
 */
import { CliError } from './cli-error.ts';
import type { CliEnvironment } from './environment.ts';
import { CLI_EXIT } from './exit-codes.ts';
import { API_VERSION } from './render/json.ts';

export interface Context {
  readonly name: string;
  /** Exactly one of the two is given. */
  readonly kind: 'nameServers' | 'endpoints';
  readonly addresses: readonly string[];
  /** Changes of the group ask for confirmation that --yes does not give. */
  readonly isProtected: boolean;
}

export interface Contexts {
  /** null: none is in use. */
  readonly current: string | null;
  /** By name. */
  readonly contexts: readonly Context[];
}

type World = Pick<CliEnvironment, 'files' | 'configDirectory'>;

const NO_CONTEXTS: Contexts = { current: null, contexts: [] };
const FILE_MODE = 0o600;

export function contextsPath({ configDirectory }: World): string {
  return `${configDirectory}/contexts.json`;
}

export function readContexts(world: World): Contexts {
  const path = contextsPath(world);
  const text = world.files.read(path);
  if (text === null) return NO_CONTEXTS;
  const contexts = parseContexts(text);
  if (contexts !== null) return contexts;
  throw new CliError({
    exit: CLI_EXIT.failure,
    what: `${path} is no list of contexts`,
    why: `it is not what \`mq-raft context\` of ${API_VERSION} writes`,
    todo: 'mend it, or remove it and add the contexts again',
  });
}

export function writeContexts(world: World, { current, contexts }: Contexts): void {
  const clusters = contexts
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, kind, addresses, isProtected }) => [
      name,
      { [kind]: addresses, protected: isProtected },
    ]);
  const value = { apiVersion: API_VERSION, current, contexts: Object.fromEntries(clusters) };
  world.files.write(contextsPath(world), `${JSON.stringify(value, null, 2)}\n`, FILE_MODE);
}

export function contextNamed(world: World, name: string): Context {
  const { contexts } = readContexts(world);
  const found = contexts.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = contexts.map((each) => each.name).join(', ');
  throw new CliError({
    exit: CLI_EXIT.notFound,
    what: `There is no context ${name}`,
    why: names === '' ? `${contextsPath(world)} has none` : `there are ${names}`,
    todo: `mq-raft context add ${name} --namesrv host:port,...`,
  });
}

function parseContexts(text: string): Contexts | null {
  const value = parsedJson(text);
  if (!isRecord(value) || value['apiVersion'] !== API_VERSION) return null;
  const { current, contexts } = value;
  if (!(current === null || typeof current === 'string') || !isRecord(contexts)) return null;
  const parsed = Object.entries(contexts).map(([name, each]) => parseContext(name, each));
  const good = parsed.filter((each) => each !== null);
  return good.length === parsed.length ? { current, contexts: good } : null;
}

function parseContext(name: string, value: unknown): Context | null {
  if (!isRecord(value)) return null;
  const { nameServers, endpoints, protected: isProtected, ...others } = value;
  if (Object.keys(others).length > 0 || typeof isProtected !== 'boolean') return null;
  const kind = nameServers === undefined ? 'endpoints' : 'nameServers';
  const addresses = nameServers ?? endpoints;
  const isList = Array.isArray(addresses) && addresses.every((each) => typeof each === 'string');
  return isList ? { name, kind, addresses, isProtected } : null;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
