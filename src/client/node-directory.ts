/**
 * Where the nodes are: what all reachable name servers say, put together, or a fixed list.
 *
 * A name server that has just started may not have heard of every node yet, and they know nothing
 * of each other: hence all are asked, and the highest leader claim wins as it does in each of them.
 */
import type { Clock } from '../io/clock.ts';
import type { GroupRoute } from '../protocol/namesrv-codec.ts';
import { NAME_SERVER_TIMEOUT_MS, ROUTES_AGE_MS_MAX } from './limits.ts';
import { type NameServer, NameServerUnavailable } from './name-server-client.ts';

export interface KnownNode {
  /** null: only an address was given. */
  readonly nodeId: string | null;
  readonly raft: string;
  /** null: unknown. */
  readonly grpc: string | null;
  readonly http: string | null;
}

export interface KnownGroup {
  readonly cluster: string;
  readonly group: string;
  readonly master: string | null;
  readonly nodes: readonly KnownNode[];
}

export interface NameServerReport {
  readonly address: string;
  readonly isReachable: boolean;
}

/** Nobody could tell where a node is. `message` says who was asked and what came of it. */
export class NoNodesKnown extends Error {
  override readonly name = 'NoNodesKnown';
}

export interface NodeDirectoryOptions {
  readonly nameServers: readonly NameServer[];
  /** Fixed nodes: name servers are not asked. */
  readonly endpoints: readonly KnownNode[];
  readonly clock: Clock;
}

type Answer =
  | { readonly kind: 'groups'; readonly groups: readonly GroupRoute[] }
  | { readonly kind: 'away'; readonly why: string };

export class NodeDirectory {
  readonly #options: NodeDirectoryOptions;
  #known: { readonly groups: readonly KnownGroup[]; readonly atMs: number } | null = null;
  #asking: Promise<readonly KnownGroup[]> | null = null;
  #reports: readonly NameServerReport[] = [];

  constructor(options: NodeDirectoryOptions) {
    this.#options = options;
  }

  /** Of the last time they were asked. */
  get nameServerReports(): readonly NameServerReport[] {
    return this.#reports;
  }

  /** At least one group with at least one node. @throws NoNodesKnown */
  async groups(): Promise<readonly KnownGroup[]> {
    const { endpoints, clock } = this.#options;
    if (endpoints.length > 0) return [{ cluster: '', group: '', master: null, nodes: endpoints }];
    if (this.#known !== null && clock.monotonicMs() - this.#known.atMs < ROUTES_AGE_MS_MAX) {
      return this.#known.groups;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** Ask again the next time: what was known led nowhere. */
  forget(): void {
    this.#known = null;
  }

  /** The group that has the topic, else the first: it will say that there is no such topic. */
  async groupOf(topic: string | null): Promise<KnownGroup> {
    const groups = await this.groups();
    const first = groups[0] as KnownGroup; // groups() throws rather than answer none
    if (topic === null || groups.length === 1) return first;
    for (const nameServer of this.#options.nameServers) {
      const routes = await this.#orAway(nameServer.routes([topic], NAME_SERVER_TIMEOUT_MS));
      if (typeof routes === 'string') continue;
      const route = routes.topics[0]?.groups[0];
      const found = groups.find((each) => route !== undefined && isSame(each, route));
      if (found !== undefined) return found;
    }
    return first;
  }

  close(): void {
    for (const nameServer of this.#options.nameServers) nameServer.close();
  }

  async #ask(): Promise<readonly KnownGroup[]> {
    const { nameServers, clock } = this.#options;
    const answers = await Promise.all(nameServers.map((each) => this.#askOne(each)));
    this.#reports = nameServers.map(({ address }, i) => ({
      address,
      isReachable: answers[i]?.kind === 'groups',
    }));
    const routes = answers.flatMap((answer) => (answer.kind === 'groups' ? answer.groups : []));
    const groups = mergedGroups(routes);
    if (groups.length === 0) throw new NoNodesKnown(whyNone(this.#reports, answers));
    this.#known = { groups, atMs: clock.monotonicMs() };
    return groups;
  }

  async #askOne(nameServer: NameServer): Promise<Answer> {
    const groups = await this.#orAway(nameServer.groups(NAME_SERVER_TIMEOUT_MS));
    if (typeof groups === 'string') return { kind: 'away', why: groups };
    return { kind: 'groups', groups };
  }

  /** @returns a sentence instead of the answer when the name server is away. */
  async #orAway<T extends object>(answer: Promise<T>): Promise<T | string> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof NameServerUnavailable)) throw error;
      return error.message;
    }
  }
}

/** One group from what several name servers say about it. */
function mergedGroups(routes: readonly GroupRoute[]): readonly KnownGroup[] {
  const groups: KnownGroup[] = [];
  for (const route of routes) {
    if (groups.some((group) => isSame(group, route))) continue;
    const views = routes.filter((each) => isSame(each, route));
    const highest = views.reduce((a, b) => (b.claimTerm > a.claimTerm ? b : a));
    const ofHighest = views.filter(({ claimTerm }) => claimTerm === highest.claimTerm);
    const nodes = new Map<string, { readonly node: KnownNode; readonly silentMs: number }>();
    for (const { nodeId, addresses, silentMs } of views.flatMap((view) => view.nodes)) {
      if (addresses.raft === '' || (nodes.get(nodeId)?.silentMs ?? Infinity) <= silentMs) continue;
      const { raft, grpc, http } = addresses;
      const node = { nodeId, raft, grpc: grpc || null, http: http || null };
      nodes.set(nodeId, { node, silentMs });
    }
    if (nodes.size === 0) continue;
    groups.push({
      cluster: route.cluster,
      group: route.group,
      master: ofHighest.find(({ master }) => master !== null)?.master ?? null,
      nodes: [...nodes.values()].map(({ node }) => node).sort(byNodeId),
    });
  }
  return groups.sort((a, b) => (a.group < b.group ? -1 : 1));
}

function whyNone(reports: readonly NameServerReport[], answers: readonly Answer[]): string {
  if (reports.length === 0) return 'No name server and no endpoint is configured';
  if (answers.every(({ kind }) => kind === 'away')) {
    const whys = answers.map((answer) => (answer.kind === 'away' ? answer.why : ''));
    return `No name server answers: ${whys.join('; ')}`;
  }
  const asked = reports.filter(({ isReachable }) => isReachable).map(({ address }) => address);
  return `No broker is registered at ${asked.join(', ')}`;
}

interface GroupName {
  readonly cluster: string;
  readonly group: string;
}

function isSame(a: GroupName, b: GroupName): boolean {
  return a.cluster === b.cluster && a.group === b.group;
}

function byNodeId(a: KnownNode, b: KnownNode): number {
  return (a.nodeId ?? '') < (b.nodeId ?? '') ? -1 : 1;
}
