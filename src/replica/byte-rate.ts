/** So many bytes a second, all who ask together, in the order of asking. Nothing is saved up. */
import type { Clock } from '../io/clock.ts';
import { Pauses } from './pauses.ts';

export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  readonly #pauses: Pauses;
  /** Monotonic: from then on the rate allows the next bytes. */
  #freeAtMs = 0;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#pauses = new Pauses(clock);
  }

  /** Resolves when the bytes may go. @returns false when the owner has closed */
  async take(sizeBytes: number): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const fromMs = Math.max(this.#freeAtMs, nowMs);
    this.#freeAtMs = fromMs + (sizeBytes * 1000) / this.#bytesPerSecond;
    // A timer of less than this is no more exact than none.
    if (fromMs - nowMs < 1) return !this.#pauses.closed;
    return this.#pauses.wait(fromMs - nowMs);
  }

  /** Idempotent. */
  close(): void {
    this.#pauses.close();
  }
}
