/**
 * Who may talk to whom (hazards H21, H22). A group trusts a node only together with the directory it
 * was first seen with: a wiped node comes back with another store uuid and has forgotten what it
 * promised, so it is refused, loudly, until an operator replaces it.
 *
 * Both ends judge: the called one on Hello, the caller on Welcome.
 */
import type { NodeId } from '../base/units.ts';
import {
  PEER_PROTOCOL_VERSION,
  type PeerHello,
  type PeerIdentity,
} from '../protocol/peer-codec.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { PeerPins } from './peer-transport.ts';
import type { NodeAddresses } from './replica.ts';
import type { GroupMember } from './replica-options.ts';

export type RefusalCode =
  | 'protocolVersion'
  | 'otherCluster'
  | 'otherGroup'
  /** The peer uses our node id: a typo, a clone, or we called ourselves. */
  | 'sameNode'
  | 'strangerNode'
  /** The caller wanted, or the called one is, somebody else. */
  | 'wrongNode'
  | 'otherConstants'
  | 'otherStore'
  | 'olderStore';

export interface Refusal {
  readonly code: RefusalCode;
  readonly sentence: string;
}

export interface RosterOptions {
  readonly self: PeerIdentity;
  /** All members, this node included. */
  readonly members: readonly NodeId[];
  readonly pins: PeerPins;
}

export interface LocalRosterOptions {
  readonly log: Pick<CommitLog, 'identity' | 'recovered' | 'peerStores' | 'pinPeerStore'>;
  readonly members: readonly GroupMember[];
  readonly addresses: NodeAddresses;
}

/** The roster of the node that owns a log. */
export function createRoster({ log, members, addresses }: LocalRosterOptions): PeerRoster {
  const nodeIds = members.map((member) => member.nodeId).sort();
  const { identity, recovered } = log;
  const self: PeerIdentity = {
    protocolVersion: PEER_PROTOCOL_VERSION,
    clusterId: identity.clusterId,
    groupId: identity.groupId,
    nodeId: identity.nodeId,
    storeUuid: identity.storeUuid,
    bootCount: recovered.bootCount,
    segmentSizeBytes: identity.segmentSizeBytes,
    voters: nodeIds,
    addresses,
  };
  return new PeerRoster({ self, members: nodeIds, pins: log });
}

/** Knows the members, the stores they are pinned to, and what they said about themselves. */
export class PeerRoster {
  readonly self: PeerIdentity;
  readonly #members: readonly NodeId[];
  readonly #pins: PeerPins;
  readonly #seen = new Map<NodeId, PeerIdentity>();
  readonly #pinning = new Map<NodeId, Promise<void>>();

  constructor(options: RosterOptions) {
    this.self = options.self;
    this.#members = options.members;
    this.#pins = options.pins;
  }

  /** As the called one. @returns the caller, or why it is refused */
  admit(hello: PeerHello): Promise<NodeId | Refusal> {
    if (hello.toNodeId === this.self.nodeId) return this.#judge(hello.from);
    const from = this.#strangeness(hello.from);
    if (typeof from !== 'string') return Promise.resolve(from);
    return Promise.resolve(
      refusal(
        'wrongNode',
        `Node ${from} calls for node ${hello.toNodeId}, but this is node ${this.self.nodeId}`,
      ),
    );
  }

  /** As the caller. @returns the called node, or why it is refused */
  recognise(expected: NodeId, welcome: PeerIdentity): Promise<NodeId | Refusal> {
    if (welcome.nodeId !== expected && welcome.nodeId !== this.self.nodeId) {
      return Promise.resolve(
        refusal('wrongNode', `Node ${welcome.nodeId} answers at the address of node ${expected}`),
      );
    }
    return this.#judge(welcome);
  }

  addressesOf(peer: NodeId): NodeAddresses | null {
    return this.#seen.get(peer)?.addresses ?? null;
  }

  async #judge(other: PeerIdentity): Promise<NodeId | Refusal> {
    const member = this.#strangeness(other);
    if (typeof member !== 'string') return member;
    const before = this.#history(member, other);
    if (before !== null) return before;
    // A pin that is not durable yet may be forgotten: nobody is trusted on its strength.
    while (!this.#pins.peerStores.has(member) || this.#pinning.has(member)) {
      await this.#pin(member, other.storeUuid);
      // Another stream may have pinned or seen the peer meanwhile.
      const after = this.#history(member, other);
      if (after !== null) return after;
    }
    this.#seen.set(member, other);
    return member;
  }

  /** One pin per peer at a time; whoever comes second waits for the first and judges again. */
  #pin(member: NodeId, storeUuid: string): Promise<void> {
    const running = this.#pinning.get(member);
    if (running !== undefined) return running;
    const pinning = this.#pins
      .pinPeerStore(member, storeUuid)
      .finally(() => this.#pinning.delete(member));
    this.#pinning.set(member, pinning);
    return pinning;
  }

  /** What can be said without memory of the peer. */
  #strangeness(other: PeerIdentity): NodeId | Refusal {
    const self = this.self;
    if (other.protocolVersion !== PEER_PROTOCOL_VERSION) {
      return refusal(
        'protocolVersion',
        `Node ${other.nodeId} speaks peer protocol ${other.protocolVersion}, this node ${PEER_PROTOCOL_VERSION}`,
      );
    }
    if (other.clusterId !== self.clusterId) {
      return refusal(
        'otherCluster',
        `Node ${other.nodeId} is of cluster ${other.clusterId}, this node of ${self.clusterId}`,
      );
    }
    if (other.groupId !== self.groupId) {
      return refusal(
        'otherGroup',
        `Node ${other.nodeId} is of group ${other.groupId}, this node of ${self.groupId}`,
      );
    }
    if (other.nodeId === self.nodeId) {
      return refusal(
        'sameNode',
        `Store ${other.storeUuid} uses node id ${self.nodeId}, which is store ${self.storeUuid} here`,
      );
    }
    const member = this.#members.find((candidate) => candidate === other.nodeId);
    if (member === undefined) {
      return refusal(
        'strangerNode',
        `Node ${other.nodeId} is not a member of this group, whose members are ${this.#members.join()}`,
      );
    }
    return this.#differences(other) ?? member;
  }

  #differences(other: PeerIdentity): Refusal | null {
    const self = this.self;
    if (other.segmentSizeBytes !== self.segmentSizeBytes) {
      return refusal(
        'otherConstants',
        `Node ${other.nodeId} has segments of ${other.segmentSizeBytes} bytes, this node of ${self.segmentSizeBytes}`,
      );
    }
    if (other.voters.join() !== self.voters.join()) {
      return refusal(
        'otherConstants',
        `Node ${other.nodeId} counts the members ${other.voters.join()}, this node ${self.voters.join()}`,
      );
    }
    if (other.storeUuid === self.storeUuid) {
      return refusal(
        'otherStore',
        `Node ${other.nodeId} runs on a copy of the directory of this node, store ${self.storeUuid}`,
      );
    }
    return null;
  }

  #history(member: NodeId, other: PeerIdentity): Refusal | null {
    const pinned = this.#pins.peerStores.get(member);
    if (pinned !== undefined && pinned !== other.storeUuid) {
      return refusal(
        'otherStore',
        `Node ${member} comes with store ${other.storeUuid}, but this group knows it as store ${pinned}`,
      );
    }
    const seenBoot = this.#seen.get(member)?.bootCount ?? 0;
    if (other.bootCount < seenBoot) {
      return refusal(
        'olderStore',
        `Node ${member} comes with boot ${other.bootCount} of its store after boot ${seenBoot} was seen`,
      );
    }
    return null;
  }
}

function refusal(code: RefusalCode, sentence: string): Refusal {
  return { code, sentence };
}
