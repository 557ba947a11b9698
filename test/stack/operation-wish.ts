/** What an operator means by a line of the script, given the group as it is. */
import { unreachable } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import type { AdminChange } from '../../src/protocol/admin.ts';
import type { GroupWatch } from './group-watch.ts';
import type { OperationKind } from './operation-script.ts';
import { addressOf } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

/** Ids are few, so that they are used again. */
const NODE_NUMBER_MAX = 12;

export interface Typed {
  readonly change: AdminChange;
  readonly ifConfig: LogIndex | null;
}

/** @returns null: it makes no sense now, not even a wrong one */
export function wishOf(
  kind: Exclude<OperationKind, 'same' | 'again' | 'rogueJoin'>,
  world: StackWorld,
  group: GroupWatch,
  random: Prng,
): Typed | null {
  const { index, membership } = group.ledger.current;
  const { learners, removed, members } = membership;
  const voters: readonly NodeId[] = membership.voters;
  const ids = members.map(({ nodeId }) => nodeId);
  const fresh = freshId(group, world, random);
  const dead = voters.filter((id) => world.nodeOf(id)?.running == null);
  const gone = removed.length === 0 ? null : random.pick(removed);
  const leader = world.nodes.find(({ running }) => running?.replica?.leadership() != null)?.nodeId;
  const plain = (change: AdminChange): Typed => ({ change, ifConfig: null });
  const replace = (oldNodeId: NodeId, newNodeId: NodeId): Typed =>
    plain({ kind: 'replace', oldNodeId, newNodeId, raftAddress: addressOf(newNodeId) });
  const add = (nodeId: NodeId, at = nodeId): Typed =>
    plain({ kind: 'add', nodeId, raftAddress: addressOf(at) });
  const newcomer = learners.length > 0 && random.chance(2, 3) ? random.pick(learners) : fresh;
  switch (kind) {
    case 'add':
      return add(fresh);
    case 'promote':
      return plain({ kind, nodeIds: someOf(learners, newcomer, random) });
    case 'remove':
      return plain({ kind, nodeIds: someOf(ids, random.pick(ids), random) });
    case 'removeDead':
      return dead.length === 0 ? null : plain({ kind: 'remove', nodeIds: [random.pick(dead)] });
    case 'replace':
      return replace(random.pick(voters), newcomer);
    case 'replaceDead':
      return dead.length === 0 ? null : replace(random.pick(dead), newcomer);
    case 'replaceLeader':
      return leader === undefined ? null : replace(leader, newcomer);
    case 'transfer':
      return plain({ kind, to: random.chance(1, 3) ? null : random.pick(members).nodeId });
    case 'drain':
      return plain({ kind, nodeId: random.pick(members).nodeId });
    case 'undrain': {
      const [drained] = group.ledger.drained;
      return plain({ kind, nodeId: drained ?? random.pick(voters) });
    }
    case 'unlock':
      return plain({ kind });
    case 'unknown': {
      const nodeId = NodeId('n77');
      const kinds = ['promote', 'remove', 'transfer', 'drain'] as const;
      const what = random.pick(kinds);
      if (what === 'transfer') return plain({ kind: what, to: nodeId });
      return plain(what === 'drain' ? { kind: what, nodeId } : { kind: what, nodeIds: [nodeId] });
    }
    case 'tombstoned':
      if (gone === null) return null;
      return random.chance(1, 2) ? add(gone) : replace(random.pick(voters), gone);
    case 'itself': {
      const self = random.pick(voters);
      return replace(self, self);
    }
    case 'usedAddress':
      return add(fresh, random.pick(members).nodeId);
    case 'staleConfig': {
      const { change } = random.chance(1, 2) ? add(fresh) : replace(random.pick(voters), newcomer);
      const isStale = random.chance(1, 2);
      return { change, ifConfig: LogIndex(isStale ? Math.max(0, index - 1) : index) };
    }
    default:
      return unreachable(kind);
  }
}

/** Mostly the one; now and then others with it. */
function someOf(all: readonly NodeId[], one: NodeId, random: Prng): readonly NodeId[] {
  if (random.chance(3, 4)) return [one];
  const others = all.filter((id) => id !== one && random.chance(1, 3));
  return [one, ...others];
}

/** Mostly one that nobody has used. */
function freshId(group: GroupWatch, world: StackWorld, random: Prng): NodeId {
  const all = Array.from({ length: NODE_NUMBER_MAX }, (_, i) => NodeId(`n${i + 1}`));
  const { removed } = group.ledger;
  const used = [...removed, ...group.ledger.current.membership.members.map((one) => one.nodeId)];
  const unused = all.filter((id) => !used.includes(id) && world.nodeOf(id) === null);
  const isCareful = unused.length > 0 && random.chance(9, 10);
  return random.pick(isCareful ? unused : all);
}
