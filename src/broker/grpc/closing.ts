/**
 * That the endpoint is about to close, for those who wait long. Not an AbortSignal, which warns of a
 * leak when more than ten listeners are there: ours are as many as open polls, and go with them.
 */

export class Closing {
  readonly #listeners = new Set<() => void>();
  #isClosing = false;

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Calls at once when it is closing already.
   *
   * @returns takes the listener away
   */
  onClose(listener: () => void): () => void {
    if (this.#isClosing) listener();
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Idempotent. */
  begin(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}
