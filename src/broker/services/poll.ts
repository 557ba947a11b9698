/**
 * One receive that waits for its answer. Settles once: with messages, empty when its waiting time is
 * over, or with an error.
 *
 * An empty answer means that somebody looked and found nothing: even a poll that may not wait at all
 * is looked at once, and while the broker is delivering to it, the end of the waiting time is put off.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { DeliveredMessage, ReceiveRequest } from '../verbs.ts';

export interface PollOptions {
  readonly request: ReceiveRequest;
  readonly waitMs: number;
  readonly clock: Clock;
  /** Aborted when nobody will read the answer. */
  readonly signal: AbortSignal;
  readonly resolve: (messages: readonly DeliveredMessage[]) => void;
  readonly reject: (error: unknown) => void;
  /** Runs once, when the poll needs nothing more. */
  readonly onSettled: (poll: Poll) => void;
}

export class Poll {
  readonly request: ReceiveRequest;
  readonly #options: PollOptions;
  readonly #timer: Timer | null;
  readonly #onAbort = () => this.deliver([]);
  #settled = false;
  /** The last look found nothing, and no later one is under way. */
  #isEmptyHanded = false;
  #isWaitOver: boolean;

  constructor(options: PollOptions) {
    this.request = options.request;
    this.#options = options;
    this.#isWaitOver = options.waitMs <= 0;
    this.#timer = this.#isWaitOver
      ? null
      : options.clock.setTimer(options.waitMs, () => {
          this.#isWaitOver = true;
          this.#endIfOver();
        });
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Nobody reads the answer any more. */
  get isGone(): boolean {
    return this.#settled || this.#options.signal.aborted;
  }

  /** Messages are on their way to it, or its filter is being moved past some. */
  onFound(): void {
    this.#isEmptyHanded = false;
  }

  onNothingFound(): void {
    this.#isEmptyHanded = true;
    this.#endIfOver();
  }

  deliver(messages: readonly DeliveredMessage[]): void {
    this.#end(() => this.#options.resolve(messages));
  }

  fail(error: unknown): void {
    this.#end(() => this.#options.reject(error));
  }

  #endIfOver(): void {
    if (this.#isWaitOver && this.#isEmptyHanded) this.deliver([]);
  }

  #end(answer: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#timer?.cancel();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    answer();
    this.#options.onSettled(this);
  }
}
