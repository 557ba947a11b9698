/**
 * Who talks to whom (hazards H21 to H23), as the handshake of the peer service decides it: a node is
 * known by its directory, by what the membership says of it or else by what it was met with first,
 * and a directory that does not remember the start in which it was met last is an older copy, and refused. Both ends judge. What a node remembers of
 * others is durable.
 *
 * The budget: a voter may lose its memory when all others would notice, and when those that are left
 * are a majority of every membership that anybody still goes by.
 */
import { holdsQuorum } from './members.ts';
import type { SimNode } from './node.ts';
import type { IdentityBug } from './planted-bugs.ts';

export type Refusal = 'otherStore' | 'olderStore';

interface Acquaintance {
  readonly fromStamp: number;
  readonly toStamp: number;
  readonly refusal: Refusal | null;
}

export class Handshakes {
  readonly #bug: IdentityBug | null;
  /** By edge of places; what both ends said when they were last judged. */
  readonly #known = new Map<number, Acquaintance>();

  constructor(bug: IdentityBug | null) {
    this.#bug = bug;
  }

  /** @returns why the two do not talk, null when they do. */
  refusal(from: SimNode, to: SimNode, edge: number): Refusal | null {
    const known = this.#known.get(edge);
    const fromStamp = from.handshakeStamp;
    const toStamp = to.handshakeStamp;
    if (known?.fromStamp === fromStamp && known.toStamp === toStamp) return known.refusal;
    const refusal = this.#judge(to, from) ?? this.#judge(from, to);
    this.#known.set(edge, { fromStamp, toStamp, refusal });
    return refusal;
  }

  #judge(judge: SimNode, other: SimNode): Refusal | null {
    const { peers } = judge.disk.image;
    const pin = peers.get(other.id);
    const trusted = trustedStoreOf(judge, other);
    if (trusted !== null && trusted !== other.storeUuid && !this.#takesAnyStore(other)) {
      return 'otherStore';
    }
    const isSameStore = pin?.storeUuid === other.storeUuid;
    const isOlder = isSameStore && !other.bootIds.includes(pin.bootId);
    if (isOlder && this.#bug !== 'oldImageAccepted') return 'olderStore';
    const { storeUuid, bootIds, bootCount } = other;
    const [bootId = ''] = bootIds;
    if (!isSameStore || bootId !== pin.bootId)
      peers.set(other.id, { storeUuid, bootId, bootCount });
    return null;
  }

  #takesAnyStore(other: SimNode): boolean {
    if (this.#bug === 'storeNotChecked') return true;
    return this.#bug === 'wipedVoterVotes' && other.isWiped;
  }
}

function trustedStoreOf(judge: SimNode, other: SimNode): string | null {
  const { members } = judge.membership.membership;
  const pinned = members.find(({ nodeId }) => nodeId === other.id)?.storeUuid ?? null;
  return pinned ?? judge.disk.image.peers.get(other.id)?.storeUuid ?? null;
}

/** What an operator hands to a node that joins: whom the leader knows (the join token). */
export function introduce(leader: SimNode, joining: SimNode): void {
  const own = joining.disk.image.peers;
  for (const [id, pin] of leader.disk.image.peers) {
    if (id === joining.id) continue;
    const known = own.get(id);
    const isNewer = known?.storeUuid === pin.storeUuid && known.bootCount < pin.bootCount;
    if (known === undefined || isNewer) own.set(id, pin);
  }
  joining.handshakeStamp++;
}

/**
 * Whether the group is sure to survive when `node` forgets what it has promised. Those who have
 * forgotten believe each other: together they must not be a majority of any membership there was.
 *
 * @param smallestSetSize of all sets of voters that ever decided
 * @param cloned the node that has a clone beside it, which knows as little
 * @returns the starts in which the others have met it last, null when it must not forget
 */
export function bootsSeenByOthers(
  node: SimNode,
  nodes: readonly SimNode[],
  smallestSetSize: number,
  cloned: SimNode | null,
): readonly string[] | null {
  if (node.hasLostMemory || node === cloned) return null;
  const lostCount = nodes.filter((other) => other.hasLostMemory || other === cloned).length;
  if (lostCount + 1 >= smallestSetSize / 2) return null;
  const memberships = nodes.map(({ membership }) => membership.membership);
  const isKnown = (id: SimNode['id']): boolean => {
    return memberships.some(({ members }) => members.some(({ nodeId }) => nodeId === id));
  };
  if (!isKnown(node.id)) return null;
  const isSound = (id: SimNode['id']): boolean => {
    return nodes.some((other) => {
      return other.id === id && other !== node && other !== cloned && !other.hasLostMemory;
    });
  };
  if (!memberships.every((membership) => holdsQuorum(membership, isSound))) return null;
  const seen: string[] = [];
  for (const other of nodes) {
    const isBystander = !isKnown(other.id) && other.disk.image.peers.size === 0;
    if (other === node || other.hasLostMemory || isBystander) continue;
    const pin = other.disk.image.peers.get(node.id);
    if (pin?.storeUuid !== node.storeUuid) return null;
    seen.push(pin.bootId);
  }
  return seen;
}
