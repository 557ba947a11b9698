/**
 * Random numbers that are looked up by key and not drawn in order: the delay of the 7th message from
 * n1 to n2 stays what it was when a fault elsewhere is removed. Shrinking needs that
 * (docs/TESTING.md, "Minimising").
 */

/** @returns an unsigned 32-bit value that depends on all arguments. */
export function keyedU32(seed: number, ...key: readonly number[]): number {
  let h = (seed ^ 0x9e3779b9) >>> 0;
  for (const part of key) {
    h = Math.imul(h ^ part, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
  }
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Running digest of a trace: order matters, all bits of every value count. */
export function mixDigest(digest: number, value: number): number {
  const mixed = Math.imul((digest ^ value) >>> 0, 0x01000193);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
