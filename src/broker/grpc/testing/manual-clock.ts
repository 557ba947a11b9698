/** A clock that stands still until a test moves it; timers fire in order of time, then of setting. */
import type { Clock, Timer } from '../../../io/clock.ts';

interface PendingTimer {
  readonly atMs: number;
  readonly onFire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<PendingTimer>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, onFire };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = due.atMs;
      due.onFire();
    }
    this.#nowMs = endMs;
  }
}
