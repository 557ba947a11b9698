/**
 * Owner of the calls that nobody waits for: a client was seen, a client is gone, a delivery that its
 * receiver never got goes back. Losing one costs a delay (invisible times run out by themselves), so
 * they are bounded and never retried; failures are counted.
 *
 * Invariant: a notice about a client replaces an older one about the same client that still waits.
 */
import type { Clock } from '../../io/clock.ts';
import { BrokerError, type BrokerGateway, type BrokerRequest } from '../verbs.ts';
import type { EndpointCounters } from './counters.ts';
import { BACKGROUND_CALL_MS, BACKGROUND_CALLS_MAX, BACKGROUND_QUEUE_MAX } from './limits.ts';

export class BackgroundCalls {
  readonly #gateway: BrokerGateway;
  readonly #clock: Clock;
  readonly #counters: EndpointCounters;
  readonly #waiting = new Map<string, BrokerRequest>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(gateway: BrokerGateway, clock: Clock, counters: EndpointCounters) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.#counters = counters;
  }

  /** @param subject what the call is about: a later one about it takes the place of one that waits */
  submit(subject: string, request: BrokerRequest): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.size >= BACKGROUND_QUEUE_MAX && !this.#waiting.has(subject)) {
      this.#counters.backgroundFailures++;
      return;
    }
    this.#waiting.set(subject, request);
    this.#startMore();
  }

  /** Drops what waits, lets go of what runs. Idempotent. */
  async close(): Promise<void> {
    this.#waiting.clear();
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #startMore(): void {
    for (const [subject, request] of this.#waiting) {
      if (this.#running.size >= BACKGROUND_CALLS_MAX) return;
      this.#waiting.delete(subject);
      const running = this.#perform(request).finally(() => {
        this.#running.delete(running);
        this.#startMore();
      });
      this.#running.add(running);
    }
  }

  async #perform(request: BrokerRequest): Promise<void> {
    const deadlineAtMonotonicMs = this.#clock.monotonicMs() + BACKGROUND_CALL_MS;
    try {
      await this.#gateway.call(request, { deadlineAtMonotonicMs, signal: this.#stop.signal });
    } catch (error) {
      // No leader, or the delivery was acknowledged meanwhile: nobody is left to be told.
      if (!(error instanceof BrokerError)) throw error;
      this.#counters.backgroundFailures++;
    }
  }
}
