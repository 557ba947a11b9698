/**
 * Which cluster a command talks to. The first of these that is given counts: --endpoints, --namesrv,
 * --context, MQ_RAFT_ENDPOINTS, MQ_RAFT_NAMESRV, MQ_RAFT_CONTEXT, the local cluster of this directory, the
 * context in use, the defaults.
 *
 * The directory goes before the context in use: who stands in the directory of a trial cluster means that one,
 * and has chosen the context on another day.
 */
import { usageError } from './cli-error.ts';
import { type Context, contextNamed, readContexts } from './contexts.ts';
import type { CliEnvironment } from './environment.ts';

export const DEFAULT_NAME_SERVERS: readonly string[] = ['127.0.0.1:9876', '127.0.0.1:9877'];

export type Target =
  | { readonly kind: 'nameServers'; readonly addresses: readonly string[] }
  /** Ports for peers and administration. */
  | { readonly kind: 'endpoints'; readonly addresses: readonly string[] };

export interface TargetOptions {
  readonly endpoints?: string | undefined;
  readonly namesrv?: string | undefined;
  readonly context?: string | undefined;
}

type World = Pick<CliEnvironment, 'variables' | 'devRecord' | 'files' | 'configDirectory'>;

export interface ChosenTarget {
  readonly target: Target;
  /** Who says so: `--namesrv`, `context prod`, `the cluster in ./.mq-raft`. */
  readonly source: string;
  readonly context: Context | null;
}

export function chosenTarget(options: TargetOptions, world: World): ChosenTarget {
  const given = givenOf(options, world.variables);
  if (given !== null) {
    if (given.kind === 'context') return ofContext(contextNamed(world, given.value));
    const { kind, name, value } = given;
    const addresses = parseAddresses(name, value);
    return { target: { kind, addresses }, source: name, context: null };
  }
  const dev = world.devRecord();
  if (dev !== null) {
    const target = { kind: 'nameServers' as const, addresses: dev.nameServers };
    return { target, source: 'the cluster in ./.mq-raft', context: null };
  }
  const { current } = readContexts(world);
  if (current !== null) return ofContext(contextNamed(world, current));
  const target = { kind: 'nameServers' as const, addresses: DEFAULT_NAME_SERVERS };
  return { target, source: 'the default name servers', context: null };
}

function ofContext(context: Context): ChosenTarget {
  const { kind, addresses, name } = context;
  return { target: { kind, addresses }, source: `context ${name}`, context };
}

/** What helps when nobody is there. */
export function findTodoOf(options: TargetOptions, world: World): string {
  const given = givenOf(options, world.variables);
  if (given !== null) return `see whether ${given.name} is right and the cluster runs`;
  const dev = world.devRecord();
  if (dev !== null) {
    const state = dev.pid === null ? 'is stopped' : 'does not answer';
    return `the cluster in ./.mq-raft ${state}: start it with \`npx mq-raft dev\``;
  }
  const { current } = readContexts(world);
  if (current !== null) return `see whether context ${current} is right and the cluster runs`;
  return 'start a cluster here with `npx mq-raft dev`, or name one with --namesrv host:port';
}

interface Given {
  readonly name: string;
  readonly kind: Target['kind'] | 'context';
  readonly value: string;
}

function givenOf(options: TargetOptions, variables: CliEnvironment['variables']): Given | null {
  const places: readonly (readonly [string, Given['kind'], string | undefined])[] = [
    ['--endpoints', 'endpoints', options.endpoints],
    ['--namesrv', 'nameServers', options.namesrv],
    ['--context', 'context', options.context],
    ['MQ_RAFT_ENDPOINTS', 'endpoints', variables['MQ_RAFT_ENDPOINTS']],
    ['MQ_RAFT_NAMESRV', 'nameServers', variables['MQ_RAFT_NAMESRV']],
    ['MQ_RAFT_CONTEXT', 'context', variables['MQ_RAFT_CONTEXT']],
  ];
  for (const [name, kind, value] of places) {
    if (value !== undefined && value !== '') return { name, kind, value };
  }
  return null;
}

/** `host:port` separated by commas or, as RocketMQ has it, semicolons. */
export function parseAddresses(name: string, text: string): readonly string[] {
  const addresses = text
    .split(/[,;]/)
    .map((address) => address.trim())
    .filter((address) => address !== '');
  if (addresses.length === 0) throw usageError(`${name} names no address`, 'give host:port');
  for (const address of addresses) {
    const port = Number(/:(\d{1,5})$/.exec(address)?.[1] ?? 0);
    if (port >= 1 && port <= 65_535 && address.lastIndexOf(':') > 0) continue;
    throw usageError(`${name}: '${address}' is not host:port`, 'for example 127.0.0.1:9876');
  }
  return addresses;
}
