/** Waiting that ends at once when its owner closes, with word of which it was. */
import type { Clock } from '../io/clock.ts';

export class Pauses {
  readonly #clock: Clock;
  readonly #endings = new Set<(isOver: boolean) => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @returns false when the owner has closed */
  wait(delayMs: number): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (isOver: boolean): void => {
        timer.cancel();
        this.#endings.delete(end);
        resolve(isOver);
      };
      const timer = this.#clock.setTimer(delayMs, () => end(true));
      this.#endings.add(end);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    for (const end of [...this.#endings]) end(false);
  }
}
