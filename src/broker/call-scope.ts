/**
 * One try of one call: ends early when the caller has gone, its time is over, or the node that was
 * asked is no longer the right one. The signal tells whoever works for it; `ended` tells the gateway.
 */
import type { Clock } from '../io/clock.ts';

/** `moved`: ask again, somewhere else. `closed`: this node shuts down. */
export type ScopeEnd = 'gone' | 'timedOut' | 'moved' | 'closed';

export interface ScopeOptions {
  readonly clock: Clock;
  readonly remainingMs: number;
  readonly callerSignal: AbortSignal;
  /** Runs once, with `dispose`. */
  readonly onDispose: (scope: CallScope) => void;
  /** Asked at every change of leadership. */
  readonly isStillRight: () => boolean;
}

export class CallScope {
  readonly ended: Promise<ScopeEnd>;
  /** Made for those who look at it: it costs more than the rest of a send's bookkeeping. */
  #controller: AbortController | null = null;
  readonly #options: ScopeOptions;
  readonly #dispose: () => void;
  #resolve: (end: ScopeEnd) => void = () => {};
  #isOver = false;
  /** Over before there was an answer. */
  #wasCut = false;

  constructor(options: ScopeOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const { clock, callerSignal, remainingMs } = options;
    const timer = clock.setTimer(Math.max(0, remainingMs), () => this.end('timedOut'));
    const onAbort = () => this.end('gone');
    callerSignal.addEventListener('abort', onAbort, { once: true });
    this.#dispose = () => {
      timer.cancel();
      callerSignal.removeEventListener('abort', onAbort);
      options.onDispose(this);
    };
    if (callerSignal.aborted) this.end('gone');
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#wasCut) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  end(end: ScopeEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wasCut = true;
    this.#dispose();
    this.#resolve(end);
    this.#controller?.abort();
  }

  onLeadershipChange(): void {
    if (!this.#options.isStillRight()) this.end('moved');
  }

  /** The answer is there: nobody is told to stop. */
  complete(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dispose();
  }
}
