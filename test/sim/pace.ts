/** How long things take on each node: ticks of its clock, flushes of its disk, its state machine. */
import { Prng } from '../../src/base/prng.ts';
import { nodeIdAt } from './host.ts';
import { keyedU32 } from './keyed-random.ts';
import type { Profile } from './profile.ts';
import { TICK_MS } from './timing.ts';

const SALT = { disk: 11, apply: 12, snapshot: 15 } as const;
/** One persist in three shares the flush of the one before it: group commit. */
const GROUP_COMMIT_ONE_IN = 3;
const LATENCY_STEPS_PER_MS = 8;
/** Clocks run at 96 to 104 %. */
const SKEW_PERCENT_MAX = 4;

export class Pace {
  readonly #seed: number;
  readonly #profile: Profile;
  /** The following have one element per place. */
  readonly #tickMs: readonly number[];
  readonly #persistCounts: Uint32Array;
  readonly #applyDoneAtMs: Float64Array;

  constructor(seed: number, profile: Profile, placeCount: number) {
    this.#seed = seed;
    this.#profile = profile;
    this.#tickMs = Array.from({ length: placeCount }, (_, place) => tickMsOf(seed, place));
    this.#persistCounts = new Uint32Array(placeCount);
    this.#applyDoneAtMs = new Float64Array(placeCount);
  }

  tickMs(place: number): number {
    return this.#tickMs[place]!; // one per place
  }

  persistMs(place: number): number {
    const number = this.#persistCounts[place]!++; // one per place
    const word = keyedU32(this.#seed, place, number, SALT.disk);
    const isGrouped = number > 0 && word % GROUP_COMMIT_ONE_IN === 0;
    if (isGrouped) return 0;
    const steps = (word >>> 8) % (this.#profile.diskMsMax * LATENCY_STEPS_PER_MS);
    return (steps + 1) / LATENCY_STEPS_PER_MS;
  }

  /** Applies end in order; the one before may still be running. */
  applyDoneMs(place: number, index: number, nowMs: number): number {
    const word = keyedU32(this.#seed, place, index, SALT.apply);
    const steps = word % (this.#profile.applyMsMax * LATENCY_STEPS_PER_MS);
    const startMs = Math.max(nowMs, this.#applyDoneAtMs[place]!); // one per place
    const doneMs = startMs + steps / LATENCY_STEPS_PER_MS;
    this.#applyDoneAtMs[place] = doneMs;
    return doneMs;
  }

  snapshotMs(place: number, index: number): number {
    return keyedU32(this.#seed, place, index, SALT.snapshot) % this.#profile.snapshotMsMax;
  }
}

function tickMsOf(seed: number, place: number): number {
  const random = new Prng(seed, `timers:${nodeIdAt(place)}`);
  const percent = 100 - SKEW_PERCENT_MAX + random.below(2 * SKEW_PERCENT_MAX + 1);
  return (TICK_MS * percent) / 100;
}
