/** Who belongs to the group as it is now, and which of them could go on without the rest. */
import type { NodeId } from '../../src/base/units.ts';
import { isMember, isVoter, type Membership } from '../../src/raft/membership.ts';
import { keyedU32 } from './keyed-random.ts';
import type { SimNode } from './node.ts';

const CORE_SALT = 51;
const CORE_TRIES_MAX = 8;

/** Whoever leads in the highest term. */
export function leaderOf(nodes: readonly SimNode[]): SimNode | undefined {
  let best: SimNode | undefined;
  for (const node of nodes) {
    if (!node.isLeader) continue;
    if (best === undefined || node.status.term > best.status.term) best = node;
  }
  return best;
}

/** The nodes that `membership` names and that still are who they were. */
export function soundMembers(
  nodes: readonly SimNode[],
  membership: Membership,
): readonly SimNode[] {
  return nodes.filter((node) => isMember(membership, node.id) && !node.hasLostMemory);
}

export function decidingSetsOf(membership: Membership): readonly (readonly NodeId[])[] {
  const { voters, outgoing } = membership;
  return outgoing.length === 0 ? [voters] : [voters, outgoing];
}

export function holdsQuorum(membership: Membership, isThere: (id: NodeId) => boolean): boolean {
  return decidingSetsOf(membership).every((set) => {
    return set.filter(isThere).length > set.length / 2;
  });
}

/**
 * A random majority of voters that can go on alone: the node with the newest log among them is a
 * voter by its own membership, and they are a quorum of it.
 *
 * @returns null when a few draws find none
 */
export function chooseCore(nodes: readonly SimNode[], seed: number): ReadonlySet<SimNode> | null {
  const sound = nodes.filter((node) => !node.hasLostMemory);
  const newest = newestOf(sound);
  if (newest === undefined) return null;
  const { membership } = newest.membership;
  for (let draw = 0; draw < CORE_TRIES_MAX; draw++) {
    const chosen = new Set<SimNode>();
    for (const set of decidingSetsOf(membership)) {
      const count = Math.floor(set.length / 2) + 1;
      const drawn = sound
        .filter(({ id }) => set.includes(id))
        .map((node) => ({ node, key: keyedU32(seed, node.place, draw, CORE_SALT) }))
        .sort((a, b) => a.key - b.key)
        .slice(0, count);
      for (const { node } of drawn) chosen.add(node);
    }
    if (isCore(chosen)) return chosen;
  }
  return null;
}

function isCore(chosen: ReadonlySet<SimNode>): boolean {
  const ids = new Set([...chosen].map(({ id }) => id));
  const newest = newestOf([...chosen]);
  if (newest === undefined) return false;
  const { membership } = newest.membership;
  return isVoter(membership, newest.id) && holdsQuorum(membership, (id) => ids.has(id));
}

function newestOf(nodes: readonly SimNode[]): SimNode | undefined {
  return nodes.toSorted((a, b) => {
    const x = lastOf(a);
    const y = lastOf(b);
    return y.term - x.term || y.index - x.index;
  })[0];
}

function lastOf(node: SimNode): { readonly term: number; readonly index: number } {
  if (node.isUp) return node.log.at(-1) ?? node.base.last;
  return node.disk.image.entries.at(-1) ?? node.disk.image.base.last;
}
