/**
 * Carries out a fault script on a world, and heals. What a node must do next on a damaged or foreign
 * directory is noted as its standing; whoever does otherwise is found there.
 */
import { unreachable } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import type { StackFault, StackFaultKind, Target } from './fault-script.ts';
import { EAGERNESS_DEFAULT, type Edge } from './faulty-network.ts';
import { IdentityFaults } from './identity-faults.ts';
import { DISK_SPEED_DEFAULT, type StackNode } from './stack-node.ts';
import { ROUNDS_PER_STEP, STEP_MS, type StackWorld } from './stack-world.ts';

interface Healing {
  readonly atMs: number;
  readonly heal: () => void | Promise<void>;
}

/** So long a machine is off before its disk is lost: nobody counts on it by then. */
const LOSS_MS = 5_500;

export class FaultEngine {
  readonly #world: StackWorld;
  readonly #identity: IdentityFaults;
  readonly #due: StackFault[];
  #healings: Healing[] = [];
  /** Nodes that are about to lose their power, and in which round. */
  #trapped: { readonly round: number; readonly fall: () => Promise<void> }[] = [];
  readonly counts = new Map<StackFaultKind, number>();

  constructor(world: StackWorld, faults: readonly StackFault[]) {
    this.#world = world;
    this.#due = [...faults];
    this.#identity = new IdentityFaults(world, (afterMs, heal) => this.#later(afterMs, heal));
  }

  /** Between any two moves of the world. */
  async run(): Promise<void> {
    const nowMs = this.#world.clock.monotonicMs();
    const ready = this.#healings.filter(({ atMs }) => atMs <= nowMs);
    this.#healings = this.#healings.filter(({ atMs }) => atMs > nowMs);
    for (const { heal } of ready) await heal();
    const { round } = this.#world;
    const falling = this.#trapped.filter((trap) => trap.round <= round);
    this.#trapped = this.#trapped.filter((trap) => trap.round > round);
    for (const { fall } of falling) await fall();
    for (;;) {
      const next = this.#due[0];
      if (next === undefined) return;
      const roundOf = next.round + (next.atMs / STEP_MS) * ROUNDS_PER_STEP;
      if (roundOf > round) return;
      this.#due.shift();
      if (await this.#strike(next)) {
        this.counts.set(next.kind, (this.counts.get(next.kind) ?? 0) + 1);
      }
    }
  }

  /**
   * The members of `core` are well and hear each other from now on. Of the others no fault ends any
   * more.
   */
  async healOnly(core: readonly StackNode[]): Promise<void> {
    this.#due.length = 0;
    this.#healings = [];
    this.#trapped = [];
    for (const node of this.#world.nodes) node.onMoment = null;
    this.#healNetwork(core);
    for (const node of core) await this.#healNode(node);
  }

  async healAll(): Promise<void> {
    this.#healNetwork(this.#world.nodes);
    this.#world.network.eagerness = EAGERNESS_DEFAULT;
    for (const node of this.#world.nodes) await this.#healNode(node);
  }

  #healNetwork(core: readonly StackNode[]): void {
    const { network } = this.#world;
    network.eagerness = EAGERNESS_DEFAULT;
    network.flipsPer10000 = 0;
    network.unblockAmong(core.map(({ nodeId }) => nodeId));
  }

  async #healNode(node: StackNode): Promise<void> {
    node.diskSpeed = DISK_SPEED_DEFAULT;
    node.machine.isFull = false;
    node.clockRate = 1;
    node.isHeld = false;
    await this.#identity.restore(node);
    // One that is being stopped in order may never get there by itself.
    if (node.isStopping) await node.kill();
    node.start();
  }

  /** @returns whether there was anything to strike */
  async #strike(fault: StackFault): Promise<boolean> {
    const { network, nodes, observer } = this.#world;
    observer.note('fault', fault.kind);
    const random = new Prng(fault.salt, 'fault');
    switch (fault.kind) {
      case 'kill':
      case 'stop':
      case 'powerCut':
      case 'killThenPowerCut':
        return this.#down(this.#node(fault.target), fault.kind, fault.downMs, random);
      case 'killAll':
      case 'powerCutAll': {
        const kind = fault.kind === 'killAll' ? 'kill' : 'powerCut';
        for (const [place, node] of nodes.entries()) {
          const { downMs } = fault;
          await this.#down(node, kind, downMs[place % downMs.length] ?? 0, random);
        }
        return true;
      }
      case 'trap':
        return this.#setTrap(this.#node(fault.target), fault, random);
      case 'isolate':
      case 'deaf':
      case 'mute':
      case 'cutPair':
      case 'cutOneWay':
        this.#later(fault.forMs, network.block(this.#edgesOf(fault.kind, fault.target, random)));
        return true;
      case 'breakStream': {
        const [node, other] = this.#pair(fault.target, random);
        network.breakStream(node.nodeId, other.nodeId);
        return true;
      }
      case 'slowNetwork':
        network.eagerness = fault.eagerness;
        this.#later(fault.forMs, () => {
          network.eagerness = EAGERNESS_DEFAULT;
        });
        return true;
      case 'bitFlips':
        network.flipsPer10000 = fault.per10000;
        this.#later(fault.forMs, () => {
          network.flipsPer10000 = 0;
        });
        return true;
      case 'slowDisk':
      case 'hungDisk':
        return this.#slow(this.#node(fault.target), fault.kind === 'slowDisk' ? 1 : 0, fault.forMs);
      case 'fullDisk': {
        const { machine } = this.#node(fault.target);
        machine.isFull = true;
        this.#later(fault.forMs, () => {
          machine.isFull = false;
        });
        return true;
      }
      case 'syncError':
      case 'writeError':
      case 'readError': {
        const operations = { syncError: 'sync', writeError: 'write', readError: 'read' } as const;
        this.#node(fault.target).failDisk(operations[fault.kind], fault.after);
        return true;
      }
      case 'deleteDerived': {
        const node = this.#node(fault.target);
        await node.kill();
        node.mount({ ...node.store, kv: null });
        this.#later(fault.downMs, () => node.start());
        return true;
      }
      case 'clockRate': {
        const node = this.#node(fault.target);
        node.clockRate = fault.tenths / 10;
        this.#later(fault.forMs, () => {
          node.clockRate = 1;
        });
        return true;
      }
      case 'loseDisk':
        return this.#loseDisk(this.#node(fault.target));
      case 'superblock':
      case 'base':
      case 'rot':
      case 'wipe':
      case 'olderImage':
      case 'clone':
      case 'swap':
      case 'wrongCluster':
        return this.#identity.strike(fault, random);
      default:
        return unreachable(fault);
    }
  }

  async #down(
    node: StackNode,
    how: 'kill' | 'stop' | 'powerCut' | 'killThenPowerCut',
    downMs: number,
    random: Prng,
  ): Promise<boolean> {
    if (how === 'stop') {
      node.stop();
    } else {
      // A note of what was durable lies in the page cache, until a start has refused on it.
      const spares = node.isLost && !node.hasRefused;
      if (how !== 'powerCut' || spares) await node.kill();
      if (how !== 'kill' && !spares) await node.powerCut(random);
    }
    this.#later(downMs, async () => {
      if (node.isStopping) await node.kill();
      node.start();
    });
    return true;
  }

  async #loseDisk(node: StackNode): Promise<boolean> {
    const { group, nodes } = this.#world;
    const isSpent = nodes.some(({ isLost, isHeld }) => isLost || isHeld);
    if (group === null || isSpent || !group.canSpare(node, 'sound')) return false;
    await node.kill();
    node.isHeld = true;
    this.#later(LOSS_MS, () => {
      node.isHeld = false;
      if (group.canSpare(node, 'sound') && this.#identity.isKnownToAll(node))
        this.#identity.lose(node);
      node.start();
    });
    return true;
  }

  /** One at a time: the last one set counts. */
  #setTrap(
    node: StackNode,
    { moment, afterRounds, downMs }: Extract<StackFault, { kind: 'trap' }>,
    random: Prng,
  ): boolean {
    node.onMoment = (what) => {
      if (what !== moment) return;
      node.onMoment = null;
      const fall = async () => {
        await this.#down(node, 'powerCut', downMs, random);
      };
      this.#trapped.push({ round: this.#world.round + afterRounds, fall });
    };
    return true;
  }

  #slow(node: StackNode, speed: number, forMs: number): boolean {
    node.diskSpeed = speed;
    this.#later(forMs, () => {
      node.diskSpeed = DISK_SPEED_DEFAULT;
    });
    return true;
  }

  #edgesOf(
    kind: 'isolate' | 'deaf' | 'mute' | 'cutPair' | 'cutOneWay',
    target: Target,
    random: Prng,
  ): readonly Edge[] {
    const [node, other] = this.#pair(target, random);
    const rest = this.#world.nodeIds.filter((id) => id !== node.nodeId);
    const outgoing = rest.map((id) => [node.nodeId, id] as const);
    const incoming = rest.map((id) => [id, node.nodeId] as const);
    switch (kind) {
      case 'isolate':
        return [...outgoing, ...incoming];
      case 'deaf':
        return incoming;
      case 'mute':
        return outgoing;
      case 'cutPair':
        return [
          [node.nodeId, other.nodeId],
          [other.nodeId, node.nodeId],
        ];
      case 'cutOneWay':
        return [[node.nodeId, other.nodeId]];
    }
  }

  #pair(target: Target, random: Prng): readonly [StackNode, StackNode] {
    const node = this.#node(target);
    const others = this.#world.nodes.filter((other) => other !== node);
    return [node, random.pick(others)];
  }

  /** Without a leader the first node is as good as any. */
  #node(target: Target): StackNode {
    const { nodes } = this.#world;
    const isLeading = ({ running }: StackNode) => running?.replica?.leadership() != null;
    const place = target === 'leader' ? Math.max(0, nodes.findIndex(isLeading)) : target;
    return nodes[place % nodes.length]!; // below the length
  }

  #later(afterMs: number, heal: () => void | Promise<void>): void {
    const atMs = this.#world.clock.monotonicMs() + afterMs;
    this.#healings.push({ atMs, heal });
  }
}
