/** A clock that stands still until a test moves it: an implementation of the port, not a mock. */
import type { Clock, Timer } from '../io/clock.ts';

interface Pending {
  readonly atMs: number;
  readonly onFire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #wallStartMs: number;
  readonly #pending = new Set<Pending>();

  constructor(wallStartMs = 1_700_000_000_000) {
    this.#wallStartMs = wallStartMs;
  }

  get timerCount(): number {
    return this.#pending.size;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const pending = { atMs: this.#nowMs + Math.max(0, delayMs), onFire };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Fires what falls due, in order, and lets promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      await settled();
      const due = [...this.#pending]
        .filter(({ atMs }) => atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#pending.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.onFire();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

/** After a whole turn of the event loop no promise of in-memory code is left waiting. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
