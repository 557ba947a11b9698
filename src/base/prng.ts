/**
 * Seeded pseudo-random numbers on 32-bit integers only, so that a seed means the same run on every
 * engine: splitmix32 for seeding, xoshiro128** for drawing. Never for secrets.
 */

/** Draws a 32-bit unsigned integer; the only randomness a pure layer ever sees. */
export interface RandomSource {
  nextU32(): number;
}

export class Prng implements RandomSource {
  readonly #state: Uint32Array;

  /** Independent streams come from one seed and different names. */
  constructor(seed: number, streamName = '') {
    let mixed = seed >>> 0;
    for (let i = 0; i < streamName.length; i++) {
      mixed = Math.imul(mixed ^ streamName.charCodeAt(i), 0x01000193) >>> 0;
    }
    this.#state = new Uint32Array(4);
    for (let i = 0; i < 4; i++) {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed;
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
      this.#state[i] = (word ^ (word >>> 16)) >>> 0;
    }
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  nextU32(): number {
    const s = this.#state;
    const s1 = s[1]!; // four words, fixed above
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  /** @returns an integer in [0, bound). */
  below(bound: number): number {
    return intBelow(this, bound);
  }

  /** True with probability `numerator / denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!; // below the length
  }
}

/** @returns an integer in [0, bound), bound at most 2^32. The modulo bias is below bound / 2^32. */
export function intBelow(source: RandomSource, bound: number): number {
  return source.nextU32() % bound;
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
