/**
 * Where the processes of a local cluster listen and keep their data. Ports of the last run are kept
 * where they are free: members of a group are known by their addresses.
 */
import { isAbsolute, join, relative } from 'node:path';
import type { DevNodeRecord, DevRecord } from '../../cli/dev-record.ts';

export const HOST = '127.0.0.1';
export const CLUSTER_ID = 'dev';
export const GROUP_ID = 'broker-a';
export const NODE_COUNT_DEFAULT = 3;
const NAME_SERVER_COUNT = 2;

export const WELL_KNOWN = { nameServer: 9876, grpc: 8081, raft: 10912, http: 9910 } as const;
/** Raft ports lie ten apart: room for the classic protocol's ports beside each. */
const RAFT_PORT_STEP = 10;

export interface DevPlan {
  readonly nodes: readonly DevNodeRecord[];
  readonly nameServers: readonly string[];
  /** Ports that were wished for and are taken. */
  readonly moves: readonly { readonly what: string; readonly from: number; readonly to: number }[];
}

export interface PlanOptions {
  readonly directory: string;
  readonly nodeCount: number;
  readonly basePort: number | null;
  readonly record: DevRecord | null;
  readonly choosePorts: (wishes: readonly number[]) => Promise<readonly number[]>;
}

export async function planDev(options: PlanOptions): Promise<DevPlan> {
  const wishes = wishedPorts(options);
  const ports = await options.choosePorts(wishes.map(({ port }) => port));
  const at = (i: number): string => `${HOST}:${ports[i]}`;
  const moves = wishes.flatMap(({ what, port }, i) => {
    const to = ports[i] ?? port;
    return to === port ? [] : [{ what, from: port, to }];
  });
  const nodes = nodeIds(options.nodeCount).map((id, i) => {
    const first = NAME_SERVER_COUNT + 3 * i;
    const dir = join(options.directory, id);
    return { id, grpc: at(first), raft: at(first + 1), http: at(first + 2), dir };
  });
  return { nodes, nameServers: [at(0), at(1)], moves };
}

export function nodeIds(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `n${i + 1}`);
}

export function brokerArgs(
  plan: DevPlan,
  node: DevNodeRecord,
  { segmentSizeBytes, autoCreateTopics }: { segmentSizeBytes: number; autoCreateTopics: boolean },
): readonly string[] {
  const members = plan.nodes.map(({ id, raft }) => `${id}=${raft}`).join(',');
  return [
    ...['--node-id', node.id, '--cluster-id', CLUSTER_ID, '--group-id', GROUP_ID],
    ...['--members', members, '--dir', node.dir],
    ...['--grpc', node.grpc, '--raft', node.raft, '--http', node.http],
    ...['--namesrv', plan.nameServers.join(','), '--segment-size-bytes', String(segmentSizeBytes)],
    ...(autoCreateTopics ? ['--auto-create-topics'] : []),
    '--supervised',
  ];
}

/** As a user would write it, from where they are. */
export function shownDirectory(directory: string, from: string): string {
  const path = relative(from, directory);
  if (path === '') return '.';
  return path.startsWith('..') || isAbsolute(path) ? directory : `./${path}`;
}

interface Wish {
  readonly what: string;
  readonly port: number;
}

function wishedPorts({ nodeCount, basePort, record }: PlanOptions): readonly Wish[] {
  const kept = basePort === null ? record : null;
  const names = Array.from({ length: NAME_SERVER_COUNT }, (_, i) => ({
    what: `name server ${i + 1}`,
    port: portOf(kept?.nameServers[i]) ?? (basePort ?? WELL_KNOWN.nameServer) + i,
  }));
  const nodes = nodeIds(nodeCount).flatMap((id, i) => {
    const old = kept?.nodes.find((node) => node.id === id);
    const base = basePort === null ? null : basePort + NAME_SERVER_COUNT + 3 * i;
    return [
      { what: `${id} gRPC`, port: portOf(old?.grpc) ?? base ?? WELL_KNOWN.grpc + i },
      {
        what: `${id} raft`,
        port:
          portOf(old?.raft) ?? (base === null ? WELL_KNOWN.raft + RAFT_PORT_STEP * i : base + 1),
      },
      {
        what: `${id} http`,
        port: portOf(old?.http) ?? (base === null ? WELL_KNOWN.http + i : base + 2),
      },
    ];
  });
  return [...names, ...nodes];
}

function portOf(address: string | undefined): number | null {
  const port = Number(/:(\d{1,5})$/.exec(address ?? '')?.[1] ?? 0);
  return port >= 1 && port <= 65_535 ? port : null;
}
