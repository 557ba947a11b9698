/** A clock that moves only when told to. */
import type { Clock, Timer } from '../../src/io/clock.ts';

interface Waiting {
  readonly dueAtMs: number;
  readonly number: number;
  readonly onFire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #waiting: Waiting[] = [];
  #nextNumber = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const waiting = { dueAtMs: this.#nowMs + delayMs, number: this.#nextNumber++, onFire };
    this.#waiting.push(waiting);
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
      },
    };
  }

  get timerCount(): number {
    return this.#waiting.length;
  }

  /** Fires what is due, in order of time; a timer set meanwhile without delay fires next time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    const numberMax = this.#nextNumber;
    for (;;) {
      const due = this.#waiting
        .filter((w) => w.dueAtMs <= untilMs && (w.number < numberMax || w.dueAtMs > this.#nowMs))
        .sort((a, b) => a.dueAtMs - b.dueAtMs || a.number - b.number)[0];
      if (due === undefined) break;
      this.#waiting = this.#waiting.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.dueAtMs);
      due.onFire();
    }
    this.#nowMs = untilMs;
  }

  /** The process stood still: everything is late at once. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }
}
