/** Observed sync times in fixed buckets, so that observing costs an increment and no memory grows. */
import { assert } from '../base/assert.ts';
import type { DiskStats } from './commit-log.ts';

const MICROS_PER_MS = 1000;
const MICROS_PER_SECOND = 1e6;
/**
 * Upper bounds: from a fast NVMe sync to the point where a leader gives up (H11). In whole
 * microseconds, so that a bound in seconds prints without the dust of a binary fraction.
 */
const BOUNDS_MICROS = [
  50, 70, 100, 140, 200, 300, 400, 500, 700, 1000, 1400, 2000, 3000, 5000, 7000, 10_000, 14_000,
  20_000, 30_000, 50_000, 70_000, 100_000, 200_000, 500_000, 1_000_000,
] as const;
const BOUNDS_MS = BOUNDS_MICROS.map((bound) => bound / MICROS_PER_MS);

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
    return BOUNDS_MICROS.map((bound, bucket) => {
      seen += this.#counts[bucket]!; // one count per bound
      return [bound / MICROS_PER_SECOND, seen] as const;
    });
  }
}

/** What the log says of its disk: the times, and what only the log knows. */
export function diskStatsOf(
  times: DiskTimes,
  log: {
    readonly writtenBytes: () => number;
    readonly oldestPendingMs: () => number;
    readonly waitsForRoom: () => boolean;
  },
): DiskStats {
  return {
    get syncCount() {
      return times.count;
    },
    get writtenBytes() {
      return log.writtenBytes();
    },
    oldestPendingMs: log.oldestPendingMs,
    waitsForRoom: log.waitsForRoom,
    syncMsAt: (quantile) => times.atQuantile(quantile),
    syncSecondsBuckets: () => times.buckets(),
    get syncSecondsSum() {
      return times.sumSeconds;
    },
  };
}
