/** The clock of one process: it stops for ever when the process dies. Wall clocks disagree. */
import type { Clock, Timer } from '../../src/io/clock.ts';

export class NodeClock implements Clock {
  readonly #clock: Clock;
  readonly #skewMs: number;
  readonly #timers = new Set<Timer>();
  #isDead = false;

  constructor(clock: Clock, skewMs: number) {
    this.#clock = clock;
    this.#skewMs = skewMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs() + this.#skewMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    if (this.#isDead) return { cancel: () => {} };
    const timer = this.#clock.setTimer(delayMs, () => {
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
