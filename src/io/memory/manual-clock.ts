/**
 * A clock that stands still until it is told to move: the port in memory, for tests and simulation.
 * Timers fire in order of time, then of setting, and see the time they were due at, except those
 * that are late: after a jump, or put off by `advance`.
 */
import type { Clock, Timer } from '../clock.ts';

const WALL_START_MS = 1_700_000_000_000;

interface Waiting {
  readonly setAtMs: number;
  readonly dueAtMs: number;
  readonly number: number;
  readonly onFire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #nextNumber = 0;
  readonly #wallStartMs: number;
  /** In order of setting. */
  readonly #waiting = new Set<Waiting>();

  constructor(wallStartMs = WALL_START_MS) {
    this.#wallStartMs = wallStartMs;
  }

  get timerCount(): number {
    return this.#waiting.size;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const setAtMs = this.#nowMs;
    const dueAtMs = setAtMs + Math.max(0, delayMs);
    const waiting = { setAtMs, dueAtMs, number: this.#nextNumber++, onFire };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /**
   * Fires what falls due. A timer set meanwhile without delay fires next time, as the event loop
   * turns between the two.
   */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    const numberMax = this.#nextNumber;
    const mayFire = ({ setAtMs, dueAtMs, number }: Waiting) =>
      number < numberMax || dueAtMs > setAtMs;
    while (this.#fireNext(untilMs, mayFire));
    this.#nowMs = untilMs;
  }

  /**
   * Fires what falls due and lets promises settle before and after each. The event loop turns
   * between two timers, so one set meanwhile without delay fires too.
   */
  async advanceSettling(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    do await settled();
    while (this.#fireNext(untilMs, () => true));
    this.#nowMs = untilMs;
    await settled();
  }

  /** The process stood still: nothing fires now, and everything is late at once. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** @returns whether there was a timer to fire */
  #fireNext(untilMs: number, mayFire: (waiting: Waiting) => boolean): boolean {
    let next: Waiting | null = null;
    for (const waiting of this.#waiting) {
      if (waiting.dueAtMs > untilMs || !mayFire(waiting)) continue;
      if (next === null || waiting.dueAtMs < next.dueAtMs) next = waiting;
    }
    if (next === null) return false;
    this.#waiting.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
    next.onFire();
    return true;
  }
}

/** After a whole turn of the event loop no promise of in-memory code is left waiting. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
