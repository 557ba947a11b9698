/**
 * Older copies of the nodes' directories: backups that are restored over a node (H23), and clones that
 * run beside it (H21). Copies are taken at every start; only those count as old that all
 * others will recognise: each has met the node in a start that the copy does not remember.
 */
import { type Checker, Switchboard } from './checkers/observers.ts';
import { copyImage, type DurableImage } from './disk.ts';
import { type Host, type NodeSetup, SimNode } from './node.ts';
import type { World } from './world.ts';

const COPIES_PER_NODE_MAX = 8;

export class Directories implements Checker {
  readonly #world: World;
  readonly #isKeeping: boolean;
  readonly #copies = new Map<SimNode, DurableImage[]>();
  readonly #setupOf: (node: SimNode) => NodeSetup;
  #clone: SimNode | null = null;
  #original: SimNode | null = null;

  constructor(world: World, isKeeping: boolean, setupOf: (node: SimNode) => NodeSetup) {
    this.#world = world;
    this.#isKeeping = isKeeping;
    this.#setupOf = setupOf;
  }

  /** Who else answers under the node's name; null: nobody. */
  cloneOf(node: SimNode): SimNode | null {
    return node === this.#original ? this.#clone : null;
  }

  /** The node that has a clone. */
  get cloned(): SimNode | null {
    return this.#original;
  }

  isClone(node: SimNode): boolean {
    return node === this.#clone;
  }

  started(node: SimNode): void {
    if (!this.#isKeeping) return;
    const copies = this.#copies.get(node) ?? [];
    this.#copies.set(node, copies);
    copies.push(copyImage(node.disk.image));
    if (copies.length > COPIES_PER_NODE_MAX) copies.shift();
  }

  wiped(node: SimNode): void {
    this.#copies.delete(node);
  }

  oldImageOf(node: SimNode, pick: number, bootsSeen: readonly string[]): DurableImage | null {
    const old = (this.#copies.get(node) ?? []).filter(({ bootIds }) => {
      return !bootsSeen.some((bootId) => bootIds.includes(bootId));
    });
    return old[pick % Math.max(1, old.length)] ?? null;
  }

  /** @returns false when there is no copy that is old enough, or a clone runs already. */
  startClone(node: SimNode, pick: number, bootsSeen: readonly string[]): boolean {
    const image = this.oldImageOf(node, pick, bootsSeen);
    if (image === null || this.#clone !== null) return false;
    const clone = new SimNode(this.#hostOfClone(), this.#setupOf(node));
    clone.storeUuid = node.storeUuid;
    clone.handshakeStamp = node.handshakeStamp;
    clone.disk.replace(copyImage(image));
    this.#clone = clone;
    this.#original = node;
    this.#world.restart(clone, 'applied');
    return true;
  }

  stopClone(): void {
    const clone = this.#clone;
    if (clone === null) return;
    this.#clone = null;
    this.#original = null;
    clone.crash({ downMs: 0, keepPersists: 0, keepParts: 0, memory: 'nothing', losesSent: true });
  }

  /** The world of a clone is the same, but nobody watches: it owes nothing to anybody. */
  #hostOfClone(): Host {
    const world = this.#world;
    return {
      observers: new Switchboard(),
      get nowMs() {
        return world.nowMs;
      },
      send: (from, to, message) => world.send(from, to, message),
      persistQueued: (node) => world.persistQueued(node),
      applyQueued: (node, to) => world.applyQueued(node, to),
      transferSnapshot: () => {
        // It has no followers to bring anything to: nobody talks to it.
      },
      snapshotBegun: (node, content) => world.snapshotBegun(node, content),
    };
  }
}
