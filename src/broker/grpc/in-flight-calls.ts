/**
 * Owner of the promises behind the calls being served, so that closing can wait for them. A promise
 * that rejects is left to the process: only bugs get that far.
 */

export class InFlightCalls {
  readonly #calls = new Set<Promise<void>>();

  get count(): number {
    return this.#calls.size;
  }

  track(work: Promise<void>): void {
    const tracked = work.finally(() => {
      this.#calls.delete(tracked);
    });
    this.#calls.add(tracked);
  }

  /** Resolves when everything that is being served now, and comes meanwhile, is done. */
  async idle(): Promise<void> {
    while (this.#calls.size > 0) await Promise.all(this.#calls);
  }
}
