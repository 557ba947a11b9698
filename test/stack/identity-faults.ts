/**
 * Faults of directories: damaged, gone, older than they were, in the wrong place, twice there. Each
 * strikes a node that runs as a member, and says what must come of it.
 */
import type { Prng } from '../../src/base/prng.ts';
import { type DamageOutcome, damageBase, damageSuperblock, peerBootIn, rot } from './damage.ts';
import type { StackFault } from './fault-script.ts';
import { MEMBER, type NodeStore, StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

type IdentityFault = Extract<
  StackFault,
  {
    kind: 'superblock' | 'base' | 'rot' | 'wipe' | 'olderImage' | 'clone' | 'swap' | 'wrongCluster';
  }
>;

const RETRY_MS = 50;

type Later = (afterMs: number, heal: () => void | Promise<void>) => void;

export class IdentityFaults {
  readonly #world: StackWorld;
  readonly #later: Later;
  /** Run on an older image of their directory. */
  readonly #imaged = new Set<StackNode>();
  /** The right directories of nodes that run on another one. */
  readonly #away = new Map<StackNode, NodeStore>();
  #lineageCount = 0;

  constructor(world: StackWorld, later: Later) {
    this.#world = world;
    this.#later = later;
  }

  /** @returns whether there was anything to strike */
  async strike(fault: IdentityFault, random: Prng): Promise<boolean> {
    const node = this.#world.nodes[fault.target]!; // drawn below the length
    if (!this.#isMember(node)) return false;
    switch (fault.kind) {
      case 'superblock':
      case 'base':
      case 'rot':
        return this.#damage(node, fault, random);
      case 'wipe':
        return this.#wipe(node, fault);
      case 'olderImage':
        return this.#takeImage(node, fault);
      case 'clone':
        return this.#clone(node, fault.forMs);
      case 'swap': {
        const other = this.#world.nodes[fault.with]!; // drawn below the length
        return this.#isMember(other) && this.#swap(node, other, fault.forMs);
      }
      case 'wrongCluster':
        return this.#wrongCluster(node, fault);
    }
  }

  /** Back on its own directory and configuration, if that is still possible. */
  async restore(node: StackNode): Promise<void> {
    for (const clone of [...this.#world.clones]) {
      if (clone.nodeId !== node.nodeId) continue;
      await this.#endClone(clone);
      await node.kill();
      node.isRetired = true;
    }
    // Who remembers what the image has forgotten refuses it, who does not lets it in, and even follows
    // it: then the first is cut off. An operator has to take it away (docs/failure-modes.md).
    if (this.#imaged.has(node)) {
      await node.kill();
      node.isRetired = true;
    }
    const own = this.#away.get(node);
    if (own !== undefined) {
      this.#away.delete(node);
      await node.kill();
      node.mount(own);
    }
    if (node.clusterId !== 'c') {
      await node.kill();
      node.clusterId = 'c';
    }
    if (!node.isLost) node.standing = MEMBER;
  }

  /** Whom somebody has not met he cannot miss, unless the group has told him who it is. */
  isKnownToAll(node: StackNode): boolean {
    const { group, soundNodes } = this.#world;
    return soundNodes.every((other) => {
      if (other === node || group?.isMember(other) !== true) return true;
      const { members } = other.running?.replica?.status().membership.membership ?? { members: [] };
      const isPinned = members.some((one) => one.nodeId === node.nodeId && one.storeUuid !== null);
      return isPinned || peerBootIn(other.disk, node.nodeId) >= 1;
    });
  }

  /** For good; its node is off, and comes back under its old id with nothing. */
  lose(node: StackNode): void {
    node.isLost = true;
    node.mount({ disk: node.emptyDisk(), kv: null, lineage: ++this.#lineageCount });
    node.standing = { kind: 'impostor', refusedAs: ['otherStore', 'removedNode'] };
    this.#world.allowRefusals(['otherStore']);
  }

  #isMember(node: StackNode): boolean {
    if (node.running?.replica == null || node.isStopping) return false;
    return node.standing.kind === 'member' && !node.isLost && !this.#away.has(node);
  }

  async #end(node: StackNode, random: Prng): Promise<void> {
    if (random.chance(1, 2)) await node.kill();
    else await node.powerCut(random);
  }

  async #damage(
    node: StackNode,
    fault: Extract<IdentityFault, { kind: 'superblock' | 'base' | 'rot' }>,
    random: Prng,
  ): Promise<boolean> {
    await this.#end(node, random);
    const outcome = damageOf(fault, node, random);
    this.#later(fault.downMs, () => node.start());
    if (outcome !== 'mustRefuse') return outcome !== null;
    node.isLost = true;
    const reason = fault.kind === 'superblock' ? 'identityRefused' : 'logDamaged';
    node.standing = { kind: 'refusesToStart', reason };
    return true;
  }

  async #wipe(
    node: StackNode,
    { downMs, remountAfterMs }: Extract<IdentityFault, { kind: 'wipe' }>,
  ): Promise<boolean> {
    // Whom nobody has met nobody can miss.
    if (!this.#isBootKnown(node, 1)) return false;
    await node.kill();
    if (remountAfterMs === null) node.isLost = true;
    else this.#away.set(node, node.store);
    node.mount({ disk: node.emptyDisk(), kv: null, lineage: ++this.#lineageCount });
    node.standing = { kind: 'impostor', refusedAs: ['otherStore'] };
    this.#world.allowRefusals(['otherStore']);
    this.#later(downMs, () => node.start());
    if (remountAfterMs !== null) this.#later(downMs + remountAfterMs, () => this.#return(node));
    return true;
  }

  async #takeImage(
    node: StackNode,
    fault: Extract<IdentityFault, { kind: 'olderImage' }>,
  ): Promise<boolean> {
    const image = await node.imageFor(node, ++this.#lineageCount);
    const bootCount = node.running?.log?.recovered.bootCount ?? 0;
    const restoreWhenDue = async (): Promise<void> => {
      if (node.isLost) return;
      // One boot is the restart on the image itself; of a second one the peers must have heard.
      const isOutdone = this.#isMember(node) && this.#isBootKnown(node, bootCount + 2);
      const isHarmless = this.#isMember(node) && this.#isHarmlessWithout(node);
      if (isOutdone || (isHarmless && !fault.isOutdone)) {
        await this.#restoreImage(node, image, isOutdone);
        this.#later(fault.downMs, () => node.start());
      } else {
        this.#later(RETRY_MS, restoreWhenDue);
      }
    };
    this.#later(fault.restoreAfterMs, restoreWhenDue);
    return true;
  }

  async #restoreImage(node: StackNode, image: NodeStore, isOutdone: boolean): Promise<void> {
    await node.kill();
    node.mount(image);
    this.#world.allowRefusals(['olderStore']);
    // Its leader remembers more of it.
    this.#world.expectAlarm('followerLostLog');
    // It may be let in again and need not be.
    node.isLost = true;
    if (!isOutdone) this.#imaged.add(node);
    if (isOutdone) node.standing = { kind: 'impostor', refusedAs: ['olderStore'] };
  }

  async #clone(node: StackNode, forMs: number): Promise<boolean> {
    const image = await node.imageFor(node, ++this.#lineageCount);
    const clone = new StackNode(this.#world, node.number, image);
    this.#world.clones.add(clone);
    this.#world.allowRefusals(['olderStore']);
    clone.start();
    // A peer that has met the clone lets the original in no more, one that has not still does: an
    // operator has to take both away.
    node.isLost = true;
    this.#later(forMs, async () => {
      if (!this.#world.clones.has(clone)) return;
      await this.#endClone(clone);
      await node.kill();
      node.isRetired = true;
    });
    return true;
  }

  async #swap(node: StackNode, other: StackNode, forMs: number): Promise<boolean> {
    for (const each of [node, other]) await each.kill();
    const [first, second] = [node.store, other.store];
    const images = [await node.imageFor(other, 0), await other.imageFor(node, 0)] as const;
    this.#away.set(node, first).set(other, second);
    other.mount(images[0]);
    node.mount(images[1]);
    for (const each of [node, other]) {
      each.standing = { kind: 'refusesToStart', reason: 'identityRefused' };
      each.start();
      this.#later(forMs, () => this.#return(each));
    }
    return true;
  }

  async #wrongCluster(
    node: StackNode,
    { isEmpty, forMs }: Extract<IdentityFault, { kind: 'wrongCluster' }>,
  ): Promise<boolean> {
    await node.kill();
    node.clusterId = 'other';
    node.standing = { kind: 'refusesToStart', reason: 'identityRefused' };
    if (isEmpty) {
      this.#away.set(node, node.store);
      node.mount({ disk: node.emptyDisk(), kv: null, lineage: ++this.#lineageCount });
      node.standing = { kind: 'impostor', refusedAs: ['otherCluster'] };
      this.#world.allowRefusals(['otherCluster']);
    }
    node.start();
    this.#later(forMs, () => this.#return(node));
    return true;
  }

  async #return(node: StackNode): Promise<void> {
    if (node.standing.kind === 'member') return;
    await this.restore(node);
    node.start();
  }

  async #endClone(clone: StackNode): Promise<void> {
    await clone.kill();
    this.#world.clones.delete(clone);
  }

  /** Both peers have it on their disks that this directory has been opened so often. */
  #isBootKnown(node: StackNode, bootCount: number): boolean {
    return this.#others(node).every(({ disk, nodeId }) => {
      const standing = this.#world.isImpostor(nodeId);
      return !standing && peerBootIn(disk, node.nodeId) >= bootCount;
    });
  }

  /** All that this node has promised is outdone, or is also with both others, who are well. */
  #isHarmlessWithout(node: StackNode): boolean {
    const own = node.running?.replica?.status();
    if (own === undefined) return false;
    const headerCrc = node.running?.log?.headerCrcAt(own.lastIndex);
    return this.#others(node).every((other) => {
      const status = this.#isMember(other) ? other.running?.replica?.status() : undefined;
      if (status === undefined || status.leader === null) return false;
      const hasAll = other.running?.log?.headerCrcAt(own.lastIndex) === headerCrc;
      return hasAll && status.term === own.term && status.durableIndex >= own.lastIndex;
    });
  }

  #others(node: StackNode): readonly StackNode[] {
    return this.#world.nodes.filter((other) => other !== node);
  }
}

function damageOf(
  fault: Extract<IdentityFault, { kind: 'superblock' | 'base' | 'rot' }>,
  { disk }: StackNode,
  random: Prng,
): DamageOutcome {
  switch (fault.kind) {
    case 'rot':
      return rot(disk, fault.how, random);
    case 'superblock':
      return damageSuperblock(disk, fault.slots, random);
    case 'base':
      return damageBase(disk, fault.copies, random);
  }
}
