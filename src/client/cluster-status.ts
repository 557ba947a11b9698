/**
 * The state of all groups as their nodes tell it themselves. Members that name servers do not know
 * (never started, or silent for long) are found through the peers of those that answer, so that a
 * node which is down is shown as down instead of missing.
 */
import type { NodeReport } from '../protocol/verbs.ts';
import type { MqClient } from './mq-client.ts';
import type { KnownGroup, KnownNode, NameServerReport } from './node-directory.ts';

export interface ClusterStatus {
  readonly groups: readonly GroupStatus[];
  readonly nameServers: readonly NameServerReport[];
}

export interface GroupStatus {
  readonly cluster: string;
  readonly group: string;
  /** The node that serves as leader by its own word; of several the one with the highest term. */
  readonly leader: string | null;
  readonly nodes: readonly MemberStatus[];
}

export interface MemberStatus {
  readonly nodeId: string;
  readonly raft: string;
  readonly grpc: string | null;
  readonly http: string | null;
  /** null: it does not answer, and `why` says so. */
  readonly report: NodeReport | null;
  readonly why: string;
}

/** @throws NoNodesKnown when nobody can tell where a node is. */
export async function clusterStatus(
  client: MqClient,
  signal?: AbortSignal,
): Promise<ClusterStatus> {
  const known = await client.directory.groups();
  const groups = await Promise.all(known.map((group) => groupStatus(client, group, signal)));
  return { groups, nameServers: client.directory.nameServerReports };
}

async function groupStatus(
  client: MqClient,
  known: KnownGroup,
  signal?: AbortSignal,
): Promise<GroupStatus> {
  const asked = await Promise.all(known.nodes.map((node) => memberStatus(client, node, signal)));
  const unasked = peersBeyond(asked);
  const found = await Promise.all(unasked.map((node) => memberStatus(client, node, signal)));
  const nodes = withAddresses([...asked, ...found]);
  const some = nodes.find(({ report }) => report !== null)?.report;
  const leaders = nodes
    .filter(({ report }) => report?.serving === true)
    .sort((a, b) => (b.report?.term ?? 0) - (a.report?.term ?? 0));
  return {
    cluster: some?.clusterId ?? known.cluster,
    group: some?.groupId ?? known.group,
    leader: leaders[0]?.nodeId ?? null,
    nodes: [...nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
  };
}

async function memberStatus(
  client: MqClient,
  node: KnownNode,
  signal?: AbortSignal,
): Promise<MemberStatus> {
  const { raft, grpc, http } = node;
  if (raft === '') {
    const why = 'No other node has met it, so its address is unknown';
    return { nodeId: node.nodeId ?? '', raft, grpc, http, report: null, why };
  }
  const answer = await client.nodeReport(node, signal);
  if (typeof answer === 'string') {
    return { nodeId: node.nodeId ?? raft, raft, grpc, http, report: null, why: answer };
  }
  return { nodeId: answer.nodeId, raft, grpc, http, report: answer, why: '' };
}

function peersBeyond(asked: readonly MemberStatus[]): readonly KnownNode[] {
  const [ids, addresses] = [asked.map(({ nodeId }) => nodeId), asked.map(({ raft }) => raft)];
  const beyond = new Map<string, KnownNode>();
  for (const peer of asked.flatMap(({ report }) => report?.peers ?? [])) {
    if (ids.includes(peer.nodeId) || addresses.includes(peer.raftAddress ?? '')) continue;
    const known = beyond.get(peer.nodeId);
    if (known !== undefined && known.raft !== '') continue;
    beyond.set(peer.nodeId, {
      nodeId: peer.nodeId,
      raft: peer.raftAddress ?? '',
      grpc: peer.grpcAddress,
      http: peer.httpAddress,
    });
  }
  return [...beyond.values()];
}

/** A node that was given by its address alone is known better by its peers. */
function withAddresses(nodes: readonly MemberStatus[]): readonly MemberStatus[] {
  const peers = nodes.flatMap(({ report }) => report?.peers ?? []);
  return nodes.map((node) => {
    const views = peers.filter(
      ({ nodeId, raftAddress }) => nodeId === node.nodeId || raftAddress === node.raft,
    );
    return {
      ...node,
      nodeId: views[0]?.nodeId ?? node.nodeId,
      grpc: node.grpc ?? views.find((view) => view.grpcAddress)?.grpcAddress ?? null,
      http: node.http ?? views.find((view) => view.httpAddress)?.httpAddress ?? null,
    };
  });
}
