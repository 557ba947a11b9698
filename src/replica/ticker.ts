/**
 * Raft's clock. After a pause of the process Node runs expired timers before it drains the sockets,
 * so a tick right then would start an election although heartbeats lie in the socket (H26). A late
 * timer therefore credits nothing, lets the sockets be polled, and starts a new interval.
 */
import type { Clock, Timer } from '../io/clock.ts';

export interface TickerOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** A gap longer than this is a pause, not a delay: half the shortest election timeout. */
  readonly gapMsMax: number;
  readonly onTick: () => void;
  /** The process did not run for a while; the sockets have been polled since. */
  readonly onResume: () => void;
}

export class Ticker {
  readonly #options: TickerOptions;
  #timer: Timer | null = null;
  #stopped = false;
  #dueAtMs = 0;
  /** Pauses seen, and the longest delay of a tick beyond its time. */
  pauseCount = 0;
  delayMsMax = 0;

  constructor(options: TickerOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, tickMs } = this.#options;
    this.#dueAtMs = clock.monotonicMs() + tickMs;
    this.#timer = clock.setTimer(tickMs, () => this.#fire());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #fire(): void {
    const { clock, tickMs, gapMsMax, onTick, onResume } = this.#options;
    const delayMs = clock.monotonicMs() - this.#dueAtMs;
    this.delayMsMax = Math.max(this.delayMsMax, delayMs);
    if (delayMs + tickMs > gapMsMax) {
      this.pauseCount++;
      // One turn of the loop polls the sockets; the next interval begins after it.
      this.#timer = clock.setTimer(0, () => {
        onResume();
        if (!this.#stopped) this.start();
      });
      return;
    }
    onTick();
    if (!this.#stopped) this.start();
  }
}
