/**
 * Time that goes into the log: the wall clock, but never backwards while this process lives.
 * Deadlines of deliveries are compared with the same time, so a clock that is set back prolongs
 * them and one that is set forward ends them: both legal, neither loses a message.
 */
import type { Clock } from '../io/clock.ts';

export class LeaderTime {
  readonly #clock: Clock;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    this.#lastMs = Math.max(this.#lastMs, Math.floor(this.#clock.wallMs()));
    return this.#lastMs;
  }
}
