/**
 * Which cluster a command talks to. The first of these that is given counts: --endpoints,
 * --namesrv, MQ_RAFT_ENDPOINTS, MQ_RAFT_NAMESRV, the local cluster of this directory, the defaults.
 */
import { usageError } from './cli-error.ts';
import type { CliEnvironment } from './environment.ts';

export const DEFAULT_NAME_SERVERS: readonly string[] = ['127.0.0.1:9876', '127.0.0.1:9877'];

export type Target =
  | { readonly kind: 'nameServers'; readonly addresses: readonly string[] }
  /** Ports for peers and administration. */
  | { readonly kind: 'endpoints'; readonly addresses: readonly string[] };

export interface TargetOptions {
  readonly endpoints?: string | undefined;
  readonly namesrv?: string | undefined;
}

export function targetOf(
  options: TargetOptions,
  { variables, devRecord }: Pick<CliEnvironment, 'variables' | 'devRecord'>,
): Target {
  const given = givenOf(options, variables);
  if (given !== null) {
    return { kind: given.kind, addresses: parseAddresses(given.name, given.value) };
  }
  const dev = devRecord();
  return { kind: 'nameServers', addresses: dev?.nameServers ?? DEFAULT_NAME_SERVERS };
}

/** What helps when nobody is there. */
export function findTodoOf(
  options: TargetOptions,
  { variables, devRecord }: Pick<CliEnvironment, 'variables' | 'devRecord'>,
): string {
  const given = givenOf(options, variables);
  if (given !== null) return `see whether ${given.name} is right and the cluster runs`;
  const dev = devRecord();
  if (dev === null) {
    return 'start a cluster here with `npx mq-raft dev`, or name one with --namesrv host:port';
  }
  const state = dev.pid === null ? 'is stopped' : 'does not answer';
  return `the cluster in ./.mq-raft ${state}: start it with \`npx mq-raft dev\``;
}

interface Given {
  readonly name: string;
  readonly kind: Target['kind'];
  readonly value: string;
}

function givenOf(options: TargetOptions, variables: CliEnvironment['variables']): Given | null {
  const places: readonly (readonly [string, Target['kind'], string | undefined])[] = [
    ['--endpoints', 'endpoints', options.endpoints],
    ['--namesrv', 'nameServers', options.namesrv],
    ['MQ_RAFT_ENDPOINTS', 'endpoints', variables['MQ_RAFT_ENDPOINTS']],
    ['MQ_RAFT_NAMESRV', 'nameServers', variables['MQ_RAFT_NAMESRV']],
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
