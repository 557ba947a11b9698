/** What goes wrong, drawn from the seed. Each fault heals by itself after a while. */
import type { Prng } from '../../src/base/prng.ts';
import type { StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

/** Of 10,000 rounds so many bring a fault: about one in 400 ms. */
const FAULTS_PER_10000_ROUNDS = 60;

const KINDS = [
  'kill',
  'kill',
  'powerCut',
  'powerCut',
  'powerCutTwo',
  'powerCutAll',
  'killThenPowerCut',
  'killAll',
  'isolate',
  'cutPair',
  'cutOneWay',
  'cutOneWay',
  'breakStream',
  'breakStream',
  'slowNetwork',
  'slowDisk',
  'hungDisk',
  'syncError',
  'syncError',
  'writeError',
] as const;

export type FaultKind = (typeof KINDS)[number];

export class Faults {
  readonly #world: StackWorld;
  readonly #random: Prng;
  readonly counts = new Map<FaultKind, number>();
  /** What puts things right again, and when. */
  #healings: { readonly atMs: number; readonly heal: () => void }[] = [];

  constructor(world: StackWorld) {
    this.#world = world;
    this.#random = world.random;
  }

  /** Between any two moves of the world. */
  async perhaps(): Promise<void> {
    const nowMs = this.#world.clock.monotonicMs();
    const due = this.#healings.filter(({ atMs }) => atMs <= nowMs);
    this.#healings = this.#healings.filter(({ atMs }) => atMs > nowMs);
    for (const { heal } of due) heal();
    if (this.#random.chance(FAULTS_PER_10000_ROUNDS, 10_000)) await this.#strike();
  }

  healAll(): void {
    this.#healings = [];
    this.#world.network.heal();
    this.#world.network.eagerness = 8;
    for (const node of this.#world.nodes) {
      node.diskSpeed = 6;
      node.start();
    }
  }

  async #strike(): Promise<void> {
    const { nodes, network } = this.#world;
    const kind = this.#random.pick(KINDS);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const [victim, second, third] = this.#shuffled();
    switch (kind) {
      case 'kill':
        return this.#down([victim], (node) => node.kill());
      case 'powerCut':
        return this.#down([victim], (node) => node.powerCut());
      case 'powerCutTwo':
        return this.#down([victim, second], (node) => node.powerCut());
      case 'powerCutAll':
        return this.#down(nodes, (node) => node.powerCut());
      case 'killAll':
        return this.#down(nodes, (node) => node.kill());
      case 'killThenPowerCut':
        await victim.kill();
        return this.#down([victim], (node) => node.powerCut());
      case 'isolate':
        network.cut(victim.nodeId, second.nodeId);
        network.cut(victim.nodeId, third.nodeId);
        return this.#heals(() => network.heal());
      case 'cutPair':
        network.cut(victim.nodeId, second.nodeId);
        return this.#heals(() => network.heal());
      case 'cutOneWay':
        network.cutOneWay(victim.nodeId, second.nodeId);
        if (this.#random.chance(1, 2)) network.cutOneWay(victim.nodeId, third.nodeId);
        return this.#heals(() => network.heal());
      case 'breakStream':
        return network.breakStream(victim.nodeId, second.nodeId);
      case 'slowNetwork':
        network.eagerness = 1 + this.#random.below(3);
        return this.#heals(() => {
          network.eagerness = 8;
        });
      case 'slowDisk':
        return this.#disk(victim, 1);
      case 'syncError':
        return victim.failDisk('sync');
      case 'writeError':
        return victim.failDisk('write');
      case 'hungDisk':
        return this.#disk(victim, 0);
    }
  }

  #disk(node: StackNode, speed: number): void {
    node.diskSpeed = speed;
    this.#heals(() => {
      node.diskSpeed = 6;
    });
  }

  async #down(
    victims: readonly StackNode[],
    end: (node: StackNode) => Promise<void>,
  ): Promise<void> {
    for (const node of victims) {
      await end(node);
      this.#heals(() => node.start());
    }
  }

  #heals(heal: () => void): void {
    const atMs = this.#world.clock.monotonicMs() + 20 + this.#random.below(1_200);
    this.#healings.push({ atMs, heal });
  }

  #shuffled(): readonly [StackNode, StackNode, StackNode] {
    const rest = [...this.#world.nodes];
    const draw = (): StackNode => rest.splice(this.#random.below(rest.length), 1)[0]!; // three
    return [draw(), draw(), draw()];
  }
}
