/**
 * Who may talk to whom (hazards H21 to H23). A group trusts a node only together with the directory it
 * was first seen with: a wiped node comes back with another store uuid and has forgotten what it
 * promised, so it is refused, loudly, until an operator replaces it. The same goes for a node whose
 * directory is older than it was (peer-history.ts).
 *
 * Both ends judge: the called one on Hello, the caller on Welcome. They may know different
 * memberships, because one of them is behind. So a node we do not know is admitted when a config entry
 * made it a member, which it says by the index of its membership: it may lead a group that has gone on
 * without us. A node that was founded, or started, without us knowing it cannot be one of those. A
 * node that we know as removed is refused for ever.
 */
import { assert } from '../base/assert.ts';
import { NodeId } from '../base/units.ts';
import {
  PEER_PROTOCOL_VERSION,
  type PeerHello,
  type PeerIdentity,
} from '../protocol/peer-codec.ts';
import {
  isMember,
  type LoggedMembership,
  type Member,
  type Membership,
} from '../raft/membership.ts';
import type { CommitLog, DurableClaim } from '../store/commit-log.ts';
import { NO_PROMISE, type RememberedPeer } from '../store/remembered-peer.ts';
import { STRANGERS_MAX } from './limits.ts';
import { recoveredMembership } from './membership-in-force.ts';
import { judgeHistory, withPromise } from './peer-history.ts';
import { PeerMemories } from './peer-memories.ts';
import type { PeerEvent, PeerMemory } from './peer-transport.ts';
import { olderStore, type Refusal, refusal } from './refusals.ts';
import type { NodeAddresses } from './replica.ts';
import type { GroupMember } from './replica-options.ts';

export type { Refusal, RefusalCode } from './refusals.ts';

/** What the other side of a stream is. */
type Part = 'caller' | 'called';

/** What a node says of itself for as long as its process lives. */
export type FixedIdentity = Omit<PeerIdentity, 'membershipIndex' | 'voters' | keyof DurableClaim>;

export interface RosterOptions {
  readonly self: FixedIdentity;
  /** Of ourselves, at this moment. */
  readonly claim: () => DurableClaim;
  /** With whom the group was founded. */
  readonly founders: readonly NodeId[];
  readonly membership: LoggedMembership;
  readonly memory: PeerMemory;
  readonly onEvent: (event: PeerEvent) => void;
}

export interface LocalRosterOptions {
  readonly log: Pick<
    CommitLog,
    'identity' | 'recovered' | 'durable' | 'peers' | 'rememberPeer' | 'notePeer' | 'forgetPeer'
  >;
  /** With whom the group was founded. */
  readonly members: readonly GroupMember[];
  readonly addresses: NodeAddresses;
}

/** The roster of the node that owns a log. */
export function createRoster(
  { log, members, addresses }: LocalRosterOptions,
  onEvent: RosterOptions['onEvent'],
): PeerRoster {
  const { identity, recovered } = log;
  const membership = recoveredMembership(recovered, members);
  if (membership.index <= recovered.provenCommitIndex) forgetReplaced(log, membership.membership);
  const self: FixedIdentity = {
    protocolVersion: PEER_PROTOCOL_VERSION,
    clusterId: identity.clusterId,
    groupId: identity.groupId,
    nodeId: identity.nodeId,
    storeUuid: identity.storeUuid,
    bootCount: recovered.bootCount,
    bootIds: recovered.bootIds,
    segmentSizeBytes: identity.segmentSizeBytes,
    addresses,
  };
  return new PeerRoster({
    ...{ self, membership, onEvent },
    claim: () => log.durable,
    founders: members.map(({ nodeId }) => nodeId),
    memory: log,
  });
}

/** What is proven committed is never rolled back: those nodes, and those stores, do not come back. */
function forgetReplaced(
  log: Pick<CommitLog, 'peers' | 'forgetPeer'>,
  { members, removed }: Membership,
): void {
  for (const nodeId of removed) log.forgetPeer(nodeId);
  for (const { nodeId, storeUuid } of members) {
    const known = log.peers.get(nodeId);
    if (storeUuid !== null && known !== undefined && known.storeUuid !== storeUuid) {
      log.forgetPeer(nodeId);
    }
  }
}

/** Knows the members, what is remembered of them, and what they said about themselves. */
export class PeerRoster {
  readonly #options: RosterOptions;
  readonly #self: FixedIdentity;
  readonly #founders: string;
  readonly #memories: PeerMemories;
  #current: LoggedMembership;
  /** Who was admitted or recognised last under each name: members and strangers. */
  readonly #seen = new Map<NodeId, PeerIdentity>();

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#self = options.self;
    this.#founders = options.founders.toSorted().join();
    this.#memories = new PeerMemories(options.memory);
    this.#current = options.membership;
  }

  get self(): PeerIdentity {
    const { index, membership } = this.#current;
    return {
      ...this.#self,
      ...this.#options.claim(),
      membershipIndex: index,
      voters: membership.voters.toSorted(),
    };
  }

  get membership(): Membership {
    return this.#current.membership;
  }

  /**
   * Holds for what is judged from now on. A stranger that becomes a member is remembered with the
   * store it is here with: durable when this resolves.
   */
  async setMembership(current: LoggedMembership): Promise<void> {
    this.#current = current;
    const writes: Promise<void>[] = [];
    for (const { nodeId, storeUuid } of current.membership.members) {
      const seen = this.#seen.get(nodeId);
      if (seen === undefined || this.#memories.durable(nodeId) !== null) continue;
      if (storeUuid !== null && storeUuid !== seen.storeUuid) continue;
      const known = this.#memories.of(nodeId, seen.storeUuid);
      writes.push(this.#memories.write(nodeId, memoryAfter(known, seen)));
    }
    await Promise.all(writes);
  }

  isMember(nodeId: NodeId): boolean {
    return isMember(this.membership, nodeId);
  }

  /** Peers that we talk to, and whose store the membership now says is another one. */
  mistrusted(): readonly NodeId[] {
    return [...this.#seen.keys()].filter((nodeId) => {
      const agreed = this.#member(nodeId)?.storeUuid ?? null;
      return agreed !== null && agreed !== this.#seen.get(nodeId)?.storeUuid;
    });
  }

  /** Nobody talks to the node any more. What members said is kept: others ask for their addresses. */
  forget(nodeId: NodeId): void {
    if (this.isMember(nodeId)) return;
    this.#seen.delete(nodeId);
    this.#memories.forgetInPassing(nodeId);
  }

  /** As the called one. @returns the caller, or why it is refused */
  admit(hello: PeerHello): Promise<NodeId | Refusal> {
    if (hello.toNodeId === this.#self.nodeId) return this.#judge(hello.from, 'caller');
    const from = this.#strangeness(hello.from, 'caller');
    if (typeof from !== 'string') return Promise.resolve(from);
    return Promise.resolve(
      refusal(
        'wrongNode',
        `Node ${from} calls for node ${hello.toNodeId}, but this is node ${this.#self.nodeId}`,
      ),
    );
  }

  /** As the caller. @returns the called node, or why it is refused */
  recognise(expected: NodeId, welcome: PeerIdentity): Promise<NodeId | Refusal> {
    if (welcome.nodeId !== expected && welcome.nodeId !== this.#self.nodeId) {
      return Promise.resolve(
        refusal('wrongNode', `Node ${welcome.nodeId} answers at the address of node ${expected}`),
      );
    }
    // We call a node that was removed only to tell it so.
    return this.#judge(welcome, 'called');
  }

  addressesOf(peer: NodeId): NodeAddresses | null {
    return this.#seen.get(peer)?.addresses ?? null;
  }

  /** What the peer said of itself when it was trusted last. */
  seen(peer: NodeId): PeerIdentity | null {
    return this.#seen.get(peer) ?? null;
  }

  async #judge(other: PeerIdentity, part: Part): Promise<NodeId | Refusal> {
    for (;;) {
      const peer = this.#strangeness(other, part);
      if (typeof peer !== 'string') return peer;
      const wrongStore = this.#judgeStore(peer, other);
      if (wrongStore !== null) return wrongStore;
      const known = this.#memories.of(peer, other.storeUuid);
      const verdict = known === null ? null : judgeHistory(known, other);
      const memory =
        verdict?.kind === 'older'
          ? memoryOfRefused(known, other, verdict)
          : memoryAfter(known, other);
      // A memory that is not durable yet may be forgotten: nobody is trusted on its strength.
      // Afterwards all is judged again, because another stream may have met the peer meanwhile.
      if (this.#mustWrite(peer, known, memory)) {
        if (verdict?.kind === 'laterStart' && !verdict.isProven)
          this.#tellUnproven(peer, known, other);
        await this.#memories.write(peer, memory);
        continue;
      }
      if (verdict?.kind === 'older') return olderStore(peer, verdict.clause);
      if (this.#isDurable(peer, memory)) this.#memories.note(peer, memory);
      else this.#memories.keepInPassing(peer, memory);
      this.#seen.set(peer, other);
      return peer;
    }
  }

  #mustWrite(peer: NodeId, known: RememberedPeer | null, memory: RememberedPeer): boolean {
    if (!this.#isDurable(peer, memory)) return false;
    return (
      this.#memories.isWriting(peer) ||
      known?.bootId !== memory.bootId ||
      known.refusedBootId !== memory.refusedBootId
    );
  }

  /** Strangers are known in passing: nobody counts on what they promised us. */
  #isDurable(peer: NodeId, { storeUuid }: RememberedPeer): boolean {
    const durable = this.#memories.durable(peer);
    return this.isMember(peer) && (durable === null || durable.storeUuid === storeUuid);
  }

  #tellUnproven(peer: NodeId, known: RememberedPeer | null, other: PeerIdentity): void {
    const { storeUuid, bootCount } = other;
    const bootCountSeen = known?.bootCount ?? 0;
    this.#options.onEvent({ kind: 'unprovenStart', peer, storeUuid, bootCount, bootCountSeen });
  }

  #member(nodeId: NodeId): Member | null {
    return this.membership.members.find((member) => member.nodeId === nodeId) ?? null;
  }

  /** What can be said without memory of the peer. */
  #strangeness(other: PeerIdentity, part: Part): NodeId | Refusal {
    const self = this.#self;
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
    const nodeId = NodeId(other.nodeId);
    if (part === 'caller' && this.membership.removed.includes(nodeId)) {
      return refusal(
        'removedNode',
        `Node ${nodeId} was removed from this group, and a node id is used only once: ` +
          'start it with an empty directory under a new id, and add that one as a learner',
      );
    }
    const different = this.#differences(other);
    if (different !== null) return different;
    return this.isMember(nodeId) ? nodeId : this.#judgeStranger(other);
  }

  #judgeStranger({ nodeId, membershipIndex }: PeerIdentity): NodeId | Refusal {
    const strangers = [...this.#seen.keys()].filter((seen) => !this.isMember(seen));
    const stranger = NodeId(nodeId);
    if (membershipIndex > 0 && (strangers.includes(stranger) || strangers.length < STRANGERS_MAX)) {
      return stranger;
    }
    const members = this.membership.members.map((member) => member.nodeId).join();
    return refusal(
      'strangerNode',
      membershipIndex > 0
        ? `Node ${nodeId} is not known here, and ${strangers.length} such nodes talk to this one already`
        : `Node ${nodeId} is not a member of this group, whose members are ${members}: add it first`,
    );
  }

  #differences(other: PeerIdentity): Refusal | null {
    const self = this.self;
    if (other.segmentSizeBytes !== self.segmentSizeBytes) {
      return refusal(
        'otherConstants',
        `Node ${other.nodeId} has segments of ${other.segmentSizeBytes} bytes, this node of ${self.segmentSizeBytes}`,
      );
    }
    const { index, membership } = this.#current;
    const voters = other.voters.join();
    // Founders are voters until they are removed: this learner belongs to a group of its own making.
    const isLearner = membership.learners.some((learner) => learner === other.nodeId);
    if (other.membershipIndex === 0 && isLearner && other.voters.includes(other.nodeId)) {
      return refusal(
        'otherConstants',
        `Node ${other.nodeId} is a learner here, but was founded as a voter with ${voters}: ` +
          'start it with an empty directory and the members that this group was founded with',
      );
    }
    // A founder at index 0 still says who the others were, however far we have come.
    const { founders } = this.#options;
    const areFounders = [founders, other.voters].every((all) =>
      all.some((id) => id === other.nodeId),
    );
    const isComparable = other.membershipIndex === 0 && (index === 0 || areFounders);
    if (isComparable && voters !== this.#founders) {
      return refusal(
        'otherConstants',
        `Node ${other.nodeId} was founded with the members ${voters}, this node with ${this.#founders}`,
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

  #judgeStore(member: NodeId, other: PeerIdentity): Refusal | null {
    // What the group has agreed on stands above what this node has seen.
    const agreed = this.#member(member)?.storeUuid ?? null;
    const durable = this.#memories.durable(member)?.storeUuid;
    const expected = agreed ?? durable ?? this.#seen.get(member)?.storeUuid;
    if (expected === undefined || expected === other.storeUuid) return null;
    return refusal(
      'otherStore',
      `Node ${member} comes with store ${other.storeUuid}, but this group knows it as store ${expected}`,
    );
  }
}

function memoryAfter(known: RememberedPeer | null, other: PeerIdentity): RememberedPeer {
  const { storeUuid, bootCount, bootIds, term } = other;
  return {
    storeUuid,
    bootCount,
    bootId: newestOf(bootIds),
    refusedBootId: known?.refusedBootId ?? null,
    promise: withPromise(known?.promise ?? NO_PROMISE, { ...NO_PROMISE, term }),
  };
}

/** @param known not null, or nothing could have been refused */
function memoryOfRefused(
  known: RememberedPeer | null,
  { bootIds }: PeerIdentity,
  { isLasting }: { readonly isLasting: boolean },
): RememberedPeer {
  assert(known !== null, 'who is refused for its past is known');
  return isLasting ? { ...known, refusedBootId: newestOf(bootIds) } : known;
}

function newestOf([bootId]: readonly string[]): string {
  assert(bootId !== undefined, 'an identity of our version names its start');
  return bootId;
}
