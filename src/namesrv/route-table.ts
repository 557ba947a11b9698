/**
 * Who leads which group, and where its nodes are: what brokers said, made into routes. Pure: time
 * is an argument, nothing is kept beyond the process.
 *
 * Invariants:
 * - The master of a group is the node that made the highest leader claim, as long as it is
 *   registered and has not taken the claim back. Raft elects one leader per term (Raft 5.2), so a
 *   claim of a lower term is out of date however recently it was said.
 * - Of two nodes that claim one term the first stays and the second is refused: something is very
 *   wrong (a cloned directory, two clusters under one name), and changing masters would hide it.
 * - What one node says is taken in the order of its sequence numbers: a late call changes nothing.
 * - The memory of the highest claim lives as long as the group has a registered node.
 *
 * Not here: time and sockets (namesrv-server.ts).
 */

import type { NodeId } from '../base/units.ts';
import { Term } from '../base/units.ts';
import type {
  GroupRoute,
  NodeName,
  RegisterOutcome,
  Registration,
  Routes,
  TopicRoute,
  Unregistration,
} from '../protocol/namesrv-codec.ts';
import { SILENCE_MS_MAX } from './limits.ts';

interface Group {
  readonly cluster: string;
  readonly group: string;
  readonly nodes: Map<NodeId, RegisteredNodeState>;
  /** Highest leader claim ever accepted; outlives the node that made it. */
  claim: { readonly term: Term; readonly nodeId: NodeId; readonly storeUuid: string } | null;
}

interface RegisteredNodeState {
  readonly registration: Registration;
  readonly heardAtMs: number;
}

export class RouteTable {
  readonly #groups = new Map<string, Group>();
  #nodeCount = 0;

  get nodeCount(): number {
    return this.#nodeCount;
  }

  knows(name: NodeName): boolean {
    return this.#groups.get(keyOf(name))?.nodes.has(name.nodeId) === true;
  }

  /** Addresses and topics of a refused claim count all the same: the node is there and serves. */
  register(registration: Registration, nowMs: number): RegisterOutcome {
    const group = this.#groupFor(registration);
    const known = group.nodes.get(registration.nodeId);
    if (known !== undefined && registration.sequence <= known.registration.sequence) {
      return { kind: 'stale', sequenceSeen: known.registration.sequence };
    }
    if (known === undefined) this.#nodeCount++;
    const outcome = registration.claimsLeadership ? considerClaim(group, registration) : RECORDED;
    group.nodes.set(registration.nodeId, { registration, heardAtMs: nowMs });
    return outcome;
  }

  /** @returns false when there is nothing to remove, or something newer was registered since. */
  unregister(unregistration: Unregistration): boolean {
    const group = this.#groups.get(keyOf(unregistration));
    const known = group?.nodes.get(unregistration.nodeId)?.registration;
    if (group === undefined || known === undefined) return false;
    if (known.storeUuid !== unregistration.storeUuid) return false;
    if (known.term > unregistration.term) return false;
    if (known.sequence >= unregistration.sequence) return false;
    this.#remove(group, unregistration.nodeId);
    return true;
  }

  /** Drops nodes that were silent for too long. @returns their names */
  expire(nowMs: number): readonly NodeName[] {
    const expired: NodeName[] = [];
    for (const group of this.#groups.values()) {
      for (const [nodeId, node] of group.nodes) {
        if (nowMs - node.heardAtMs < SILENCE_MS_MAX) continue;
        this.#remove(group, nodeId);
        expired.push({ cluster: group.cluster, group: group.group, nodeId });
      }
    }
    return expired;
  }

  groups(nowMs: number): readonly GroupRoute[] {
    return [...this.#groups.values()]
      .map((group) => routeOf(group, nowMs))
      .sort((a, b) => compare(a.cluster, b.cluster) || compare(a.group, b.group));
  }

  /** @param topics none: all of them */
  routes(topics: readonly string[], nowMs: number): Routes {
    const groups = this.groups(nowMs);
    const topicSets = groups.map((route) => this.#topicsOf(route));
    const asked = topics.length > 0 ? [...new Set(topics)] : allOf(topicSets);
    const topicRoutes: TopicRoute[] = asked.map((topic) => ({
      topic,
      groups: groups.filter((_, i) => topicSets[i]?.has(topic) === true),
    }));
    const named = new Set(topicRoutes.flatMap((route) => route.groups));
    const shown = topics.length > 0 ? groups.filter((group) => named.has(group)) : groups;
    return { topics: topicRoutes, groups: shown };
  }

  /** Of the node that has applied most: topics are a function of the log. */
  #topicsOf(route: GroupRoute): ReadonlySet<string> {
    const newest = newestTopics(this.#groups.get(keyOf(route)));
    return new Set(newest?.topics ?? []);
  }

  #groupFor(name: NodeName): Group {
    const key = keyOf(name);
    const existing = this.#groups.get(key);
    if (existing !== undefined) return existing;
    const group = { cluster: name.cluster, group: name.group, nodes: new Map(), claim: null };
    this.#groups.set(key, group);
    return group;
  }

  #remove(group: Group, nodeId: NodeId): void {
    group.nodes.delete(nodeId);
    this.#nodeCount--;
    if (group.nodes.size === 0) this.#groups.delete(keyOf(group));
  }
}

const RECORDED: RegisterOutcome = { kind: 'recorded' };

function considerClaim(group: Group, { term, nodeId, storeUuid }: Registration): RegisterOutcome {
  const highest = group.claim;
  if (highest === null || term > highest.term) {
    group.claim = { term, nodeId, storeUuid };
    return RECORDED;
  }
  const ofTheSame = nodeId === highest.nodeId && storeUuid === highest.storeUuid;
  if (term === highest.term && ofTheSame) return RECORDED;
  return {
    kind: 'claimRefused',
    why: term === highest.term ? 'sameTerm' : 'lowerTerm',
    highestTerm: highest.term,
    highestNodeId: highest.nodeId,
  };
}

function masterOf(group: Group): NodeId | null {
  if (group.claim === null) return null;
  const claimant = group.nodes.get(group.claim.nodeId)?.registration;
  if (claimant?.claimsLeadership !== true) return null;
  if (claimant.storeUuid !== group.claim.storeUuid) return null;
  return claimant.term === group.claim.term ? claimant.nodeId : null;
}

function routeOf(group: Group, nowMs: number): GroupRoute {
  const nodes = [...group.nodes.values()].map(({ registration, heardAtMs }) => ({
    nodeId: registration.nodeId,
    storeUuid: registration.storeUuid,
    term: registration.term,
    addresses: registration.addresses,
    silentMs: Math.max(0, Math.floor(nowMs - heardAtMs)),
  }));
  return {
    cluster: group.cluster,
    group: group.group,
    master: masterOf(group),
    claimTerm: group.claim?.term ?? Term(0),
    topicsVersion: newestTopics(group)?.topicsVersion ?? 0,
    nodes: nodes.sort((a, b) => compare(a.nodeId, b.nodeId)),
  };
}

function newestTopics(group: Group | undefined): Registration | null {
  let newest: Registration | null = null;
  for (const { registration } of group?.nodes.values() ?? []) {
    if (newest === null || registration.topicsVersion > newest.topicsVersion) newest = registration;
  }
  return newest;
}

function allOf(topicSets: readonly ReadonlySet<string>[]): readonly string[] {
  return [...new Set(topicSets.flatMap((topics) => [...topics]))].sort();
}

/** Names may hold any character, so the parts need a separator that survives: JSON. */
function keyOf(name: { readonly cluster: string; readonly group: string }): string {
  return JSON.stringify([name.cluster, name.group]);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
