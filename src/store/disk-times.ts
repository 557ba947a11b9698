/** Observed sync times in fixed buckets, so that observing costs an increment and no memory grows. */
import { assert } from '../base/assert.ts';

/** Upper bounds in ms: from a fast NVMe sync to the point where a leader gives up (H11). */
const BOUNDS_MS = [
  0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100,
  200, 500, 1000,
] as const;

export class DiskTimes {
  /** One more than the bounds: the last counts everything above. */
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  observe(durationMs: number): void {
    const bucket = BOUNDS_MS.findIndex((bound) => durationMs <= bound);
    this.#counts[bucket === -1 ? BOUNDS_MS.length : bucket]! += 1; // a bucket that exists
    this.#count += 1;
    this.#sumMs += durationMs;
    this.#maxMs = Math.max(this.#maxMs, durationMs);
  }

  get count(): number {
    return this.#count;
  }

  get sumSeconds(): number {
    return this.#sumMs / 1000;
  }

  /** Upper bound of the bucket that holds the quantile, at most the largest value seen. */
  atQuantile(quantile: number): number | null {
    assert(quantile >= 0 && quantile <= 1, 'a quantile is in [0, 1]', () => ({ quantile }));
    if (this.#count === 0) return null;
    const rank = Math.max(1, Math.ceil(quantile * this.#count));
    let seen = 0;
    for (const [bucket, bound] of BOUNDS_MS.entries()) {
      seen += this.#counts[bucket]!; // one count per bound
      if (seen >= rank) return Math.min(bound, this.#maxMs);
    }
    return this.#maxMs;
  }

  /** [upper bound in seconds, count at or below], cumulative. */
  buckets(): readonly (readonly [number, number])[] {
    let seen = 0;
    return BOUNDS_MS.map((bound, bucket) => {
      seen += this.#counts[bucket]!; // one count per bound
      return [bound / 1000, seen] as const;
    });
  }
}
