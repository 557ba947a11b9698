/**
 * The name server protocol (proto/mqraft/namesrv.proto): wire shapes, the words the code uses, and
 * the way between them. Bytes come from brokers of any version, so decoding checks what the rest of
 * the code relies on: names are present and short, numbers are exact.
 */
import { NodeId, Term } from '../base/units.ts';
import { CodecError, type MethodDefinition, serviceDefinition } from './schema.ts';

/** Where a node can be reached; empty strings where it does not listen. */
export interface RegisteredAddresses {
  readonly raft: string;
  readonly grpc: string;
  readonly http: string;
}

export interface NodeName {
  readonly cluster: string;
  readonly group: string;
  readonly nodeId: NodeId;
}

export interface Registration extends NodeName {
  readonly storeUuid: string;
  readonly term: Term;
  readonly claimsLeadership: boolean;
  readonly addresses: RegisteredAddresses;
  readonly topics: readonly string[];
  /** Applied index that `topics` belongs to. */
  readonly topicsVersion: number;
  /** Rises with everything that one node says. */
  readonly sequence: number;
}

export interface Unregistration extends NodeName {
  readonly storeUuid: string;
  readonly term: Term;
  readonly sequence: number;
}

/** `lowerTerm`: another claim has a higher term. `sameTerm`: another node claimed this very term. */
export type ClaimRefusal = 'lowerTerm' | 'sameTerm';

export type RegisterOutcome =
  | { readonly kind: 'recorded' }
  | {
      readonly kind: 'claimRefused';
      readonly why: ClaimRefusal;
      readonly highestTerm: Term;
      readonly highestNodeId: NodeId;
    }
  | { readonly kind: 'stale'; readonly sequenceSeen: number };

export interface RegisteredNode {
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  readonly term: Term;
  readonly addresses: RegisteredAddresses;
  readonly silentMs: number;
}

export interface GroupRoute {
  readonly cluster: string;
  readonly group: string;
  readonly master: NodeId | null;
  readonly claimTerm: Term;
  readonly topicsVersion: number;
  readonly nodes: readonly RegisteredNode[];
}

export interface TopicRoute {
  readonly topic: string;
  readonly groups: readonly GroupRoute[];
}

/** `groups`: each group that `topics` names, once. */
export interface Routes {
  readonly topics: readonly TopicRoute[];
  readonly groups: readonly GroupRoute[];
}

export type NameServerMethod = 'register' | 'unregister' | 'routes' | 'groups';

/** RocketMQ allows 127 characters in a topic and 255 in a group; namespaces are folded in. */
const NAME_LENGTH_MAX = 512;

export function nameServerMethods(): Readonly<Record<NameServerMethod, MethodDefinition>> {
  const methods = serviceDefinition('mqraft.NameServer');
  const method = (name: NameServerMethod): MethodDefinition => {
    const definition = methods[name];
    if (definition === undefined) throw new CodecError(`namesrv.proto has no method ${name}`);
    return definition;
  };
  return {
    register: method('register'),
    unregister: method('unregister'),
    routes: method('routes'),
    groups: method('groups'),
  };
}

interface RegistrationWire {
  readonly cluster: string;
  readonly group: string;
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly term: number;
  readonly claimsLeadership: boolean;
  readonly addresses?: RegisteredAddresses | null;
  readonly topics: readonly string[];
  readonly topicsVersion: number;
  readonly sequence: number;
}

export const registrationToWire = (registration: Registration): object => ({ ...registration });

export function registrationFromWire(message: object): Registration {
  const wire = message as RegistrationWire;
  return {
    ...nodeNameFromWire(wire),
    storeUuid: short(wire.storeUuid, 'store_uuid'),
    term: Term(exact(wire.term, 'term')),
    claimsLeadership: wire.claimsLeadership,
    addresses: addressesFromWire(wire.addresses),
    topics: wire.topics.map((topic) => name(topic, 'topic')),
    topicsVersion: exact(wire.topicsVersion, 'topics_version'),
    sequence: exact(wire.sequence, 'sequence'),
  };
}

export const unregistrationToWire = (unregistration: Unregistration): object => ({
  ...unregistration,
});

export function unregistrationFromWire(message: object): Unregistration {
  const wire = message as RegistrationWire;
  return {
    ...nodeNameFromWire(wire),
    storeUuid: short(wire.storeUuid, 'store_uuid'),
    term: Term(exact(wire.term, 'term')),
    sequence: exact(wire.sequence, 'sequence'),
  };
}

interface RegisterReplyWire {
  readonly claimRefusal: string;
  readonly highestClaimTerm: number;
  readonly highestClaimNodeId: string;
  readonly staleSequenceSeen: number;
}

export function registerOutcomeToWire(outcome: RegisterOutcome): object {
  switch (outcome.kind) {
    case 'recorded':
      return {};
    case 'claimRefused':
      return {
        claimRefusal: outcome.why,
        highestClaimTerm: outcome.highestTerm,
        highestClaimNodeId: outcome.highestNodeId,
      };
    case 'stale':
      return { staleSequenceSeen: outcome.sequenceSeen };
  }
}

export function registerOutcomeFromWire(message: object): RegisterOutcome {
  const wire = message as RegisterReplyWire;
  if (wire.staleSequenceSeen !== 0) {
    const sequenceSeen = exact(wire.staleSequenceSeen, 'stale_sequence_seen');
    return { kind: 'stale', sequenceSeen };
  }
  if (wire.claimRefusal === '') return { kind: 'recorded' };
  if (wire.claimRefusal !== 'lowerTerm' && wire.claimRefusal !== 'sameTerm') {
    throw new CodecError(`Cannot decode RegisterReply: claim_refusal is '${wire.claimRefusal}'`);
  }
  return {
    kind: 'claimRefused',
    why: wire.claimRefusal,
    highestTerm: Term(exact(wire.highestClaimTerm, 'highest_claim_term')),
    highestNodeId: nodeId(wire.highestClaimNodeId),
  };
}

export const unregisterReplyToWire = (removed: boolean): object => ({ removed });
export const unregisterReplyFromWire = (message: object): boolean =>
  (message as { readonly removed: boolean }).removed;

export const routesRequestToWire = (topics: readonly string[]): object => ({ topics });
export const routesRequestFromWire = (message: object): readonly string[] =>
  (message as { readonly topics: readonly string[] }).topics;

interface GroupRouteWire {
  readonly cluster: string;
  readonly group: string;
  readonly masterNodeId: string;
  readonly claimTerm: number;
  readonly topicsVersion: number;
  readonly nodes: readonly {
    readonly nodeId: string;
    readonly storeUuid: string;
    readonly term: number;
    readonly addresses?: RegisteredAddresses | null;
    readonly silentMs: number;
  }[];
}

interface RoutesReplyWire {
  readonly topics: readonly {
    readonly topic: string;
    readonly groupPositions: readonly number[];
  }[];
  readonly groups: readonly GroupRouteWire[];
}

export function routesToWire(routes: Routes): object {
  const positions = new Map(routes.groups.map((group, position) => [group, position]));
  return {
    topics: routes.topics.map(({ topic, groups }) => ({
      topic,
      groupPositions: groups.map((group) => positions.get(group)),
    })),
    groups: routes.groups.map(groupToWire),
  };
}

export function routesFromWire(message: object): Routes {
  const wire = message as RoutesReplyWire;
  const groups = wire.groups.map(groupFromWire);
  const at = (position: number): GroupRoute => {
    const group = groups[position];
    if (group === undefined) {
      throw new CodecError(`Cannot decode RoutesReply: group ${position} of ${groups.length}`);
    }
    return group;
  };
  const topics = wire.topics.map(({ topic, groupPositions }) => ({
    topic,
    groups: groupPositions.map(at),
  }));
  return { topics, groups };
}

export const groupsToWire = (groups: readonly GroupRoute[]): object => ({
  groups: groups.map(groupToWire),
});
export const groupsFromWire = (message: object): readonly GroupRoute[] =>
  (message as { readonly groups: readonly GroupRouteWire[] }).groups.map(groupFromWire);

function groupToWire(route: GroupRoute): object {
  return { ...route, masterNodeId: route.master ?? '' };
}

function groupFromWire(wire: GroupRouteWire): GroupRoute {
  return {
    cluster: wire.cluster,
    group: wire.group,
    master: wire.masterNodeId === '' ? null : nodeId(wire.masterNodeId),
    claimTerm: Term(exact(wire.claimTerm, 'claim_term')),
    topicsVersion: exact(wire.topicsVersion, 'topics_version'),
    nodes: wire.nodes.map((node) => ({
      nodeId: nodeId(node.nodeId),
      storeUuid: node.storeUuid,
      term: Term(exact(node.term, 'term')),
      addresses: addressesFromWire(node.addresses),
      silentMs: exact(node.silentMs, 'silent_ms'),
    })),
  };
}

function nodeNameFromWire(wire: RegistrationWire): NodeName {
  return {
    cluster: name(wire.cluster, 'cluster'),
    group: name(wire.group, 'group'),
    nodeId: nodeId(wire.nodeId),
  };
}

function addressesFromWire(wire: RegisteredAddresses | null | undefined): RegisteredAddresses {
  // An absent message is null or undefined to protobufjs, depending on how it was made.
  if (wire === null || wire === undefined) return { raft: '', grpc: '', http: '' };
  return {
    raft: short(wire.raft, 'raft address'),
    grpc: short(wire.grpc, 'grpc address'),
    http: short(wire.http, 'http address'),
  };
}

/** May be empty, but is kept for every node. */
function short(value: string, field: string): string {
  if (value.length <= NAME_LENGTH_MAX) return value;
  throw new CodecError(`Cannot decode ${field}: ${value.length} characters, not 0 to 512`);
}

function name(value: string, field: string): string {
  if (value.length > 0 && value.length <= NAME_LENGTH_MAX) return value;
  throw new CodecError(`Cannot decode ${field}: ${value.length} characters, not 1 to 512`);
}

function nodeId(value: string): NodeId {
  // The rule of NodeId(), which asserts and is therefore not for what others send.
  if (/^[A-Za-z0-9_-]{1,64}$/.test(value)) return NodeId(value);
  throw new CodecError(`Cannot decode node_id: '${value.slice(0, 80)}' is not a short plain word`);
}

function exact(value: number, field: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new CodecError(`Cannot decode ${field}: ${value} is not an exact number`);
}
