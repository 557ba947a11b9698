/**
 * The network between simulated nodes: delay, loss, duplication, reordering, cut directions. What
 * happens to a message depends on (seed, from, to, its number on that edge) and on the faults in
 * force, never on what other messages did.
 */
import { assert } from '../../src/base/assert.ts';
import type { Edge } from './fault-script.ts';
import { keyedU32 } from './keyed-random.ts';
import type { NetworkProfile } from './profiles.ts';

const PERMILLE = 1000;
/** Delays are multiples of 1/8 ms: exact in floating point, and ties stay rare. */
const DELAY_STEPS_PER_MS = 8;
/** Salts keep the decisions about one message independent of each other. */
const SALT = { loss: 1, duplicate: 2, delay: 3, slow: 4 } as const;

export class SimNetwork {
  readonly #seed: number;
  readonly #nodeCount: number;
  readonly #base: NetworkProfile;
  /** Storms in force; the last one rules. */
  readonly #storms: NetworkProfile[] = [];
  /** How many faults cut each direction at present. */
  readonly #cuts: Uint16Array;
  readonly #sentCounts: Uint32Array;
  #isHealed = false;

  constructor(seed: number, nodeCount: number, base: NetworkProfile) {
    this.#seed = seed;
    this.#nodeCount = nodeCount;
    this.#base = base;
    this.#cuts = new Uint16Array(nodeCount * nodeCount);
    this.#sentCounts = new Uint32Array(nodeCount * nodeCount);
  }

  isCut(from: number, to: number): boolean {
    return !this.#isHealed && this.#cuts[from * this.#nodeCount + to]! > 0; // both < nodeCount
  }

  cut(edges: readonly Edge[]): void {
    for (const [from, to] of edges) this.#cuts[from * this.#nodeCount + to]! += 1;
  }

  mend(edges: readonly Edge[]): void {
    for (const [from, to] of edges) {
      const at = from * this.#nodeCount + to;
      assert(this.#cuts[at]! > 0, 'what is mended was cut'); // at < length
      this.#cuts[at]! -= 1;
    }
  }

  startStorm(network: NetworkProfile): void {
    this.#storms.push(network);
  }

  endStorm(network: NetworkProfile): void {
    const at = this.#storms.indexOf(network);
    assert(at >= 0, 'a storm that ends has begun');
    this.#storms.splice(at, 1);
  }

  /** No cut, no storm, no loss from now on: the liveness phase. */
  heal(): void {
    this.#isHealed = true;
  }

  /** @returns the delay of each copy that will arrive: none, one, or two. */
  send(from: number, to: number): readonly number[] {
    const edge = from * this.#nodeCount + to;
    const number = this.#sentCounts[edge]!++; // edge < nodeCount squared
    if (this.isCut(from, to)) return [];
    const weather = this.#weather();
    const chance = (salt: number) => keyedU32(this.#seed, edge, number, salt) % PERMILLE;
    if (chance(SALT.loss) < weather.lossPermille) return [];
    const first = this.#delayMs(edge, number, SALT.delay);
    if (chance(SALT.duplicate) >= weather.duplicatePermille) return [first];
    return [first, first + this.#delayMs(edge, number, SALT.delay + SALT.slow)];
  }

  #weather(): NetworkProfile {
    if (this.#isHealed) return { ...this.#base, lossPermille: 0, slowPermille: 0 };
    return this.#storms.at(-1) ?? this.#base;
  }

  #delayMs(edge: number, number: number, salt: number): number {
    const weather = this.#weather();
    const isSlow =
      keyedU32(this.#seed, edge, number, SALT.slow, salt) % PERMILLE < weather.slowPermille;
    const delayMsMax = isSlow ? weather.slowDelayMsMax : weather.delayMsMax;
    const steps = keyedU32(this.#seed, edge, number, salt) % (delayMsMax * DELAY_STEPS_PER_MS);
    return (steps + 1) / DELAY_STEPS_PER_MS;
  }
}
