/**
 * The clock of the operating system. A timer without delay runs in the check phase of the event
 * loop, after sockets have been polled once (hazard H26 relies on that).
 */
import type { Clock, Timer } from '../clock.ts';

export class NodeClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    if (delayMs <= 0) {
      const immediate = setImmediate(onFire);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timeout = setTimeout(onFire, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  }
}
