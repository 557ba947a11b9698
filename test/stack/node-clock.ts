/** The clock of one process: it stops for ever when the process dies. Wall clocks disagree, and rates too. */
import type { Clock, Timer } from '../../src/io/clock.ts';

export class NodeClock implements Clock {
  readonly #clock: Clock;
  readonly #skewMs: number;
  readonly #timers = new Set<Timer>();
  #isDead = false;
  /** Of its own time since `#sinceMs` so much passes in one of true time. */
  #rate: number;
  #sinceMs: number;
  #ownMs: number;

  constructor(clock: Clock, skewMs: number, rate = 1) {
    this.#clock = clock;
    this.#skewMs = skewMs;
    this.#rate = rate;
    this.#sinceMs = clock.monotonicMs();
    this.#ownMs = this.#sinceMs;
  }

  /** From now on; timers that are set already keep their time. */
  set rate(rate: number) {
    this.#ownMs = this.monotonicMs();
    this.#sinceMs = this.#clock.monotonicMs();
    this.#rate = rate;
  }

  monotonicMs(): number {
    return this.#ownMs + (this.#clock.monotonicMs() - this.#sinceMs) * this.#rate;
  }

  wallMs(): number {
    return this.#clock.wallMs() + this.#skewMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    if (this.#isDead) return { cancel: () => {} };
    const timer = this.#clock.setTimer(delayMs / this.#rate, () => {
      this.#timers.delete(timer);
      onFire();
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }

  die(): void {
    this.#isDead = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
