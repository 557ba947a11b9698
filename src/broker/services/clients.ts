/**
 * Which clients are alive, in the eyes of the leader. Every node passes on what it hears, so a client
 * that moved from one node to another stays alive. In memory only: a new leader gives everybody the
 * benefit of the doubt until the longest allowed silence has passed.
 */
import type { Clock } from '../../io/clock.ts';
import { AUTO_RENEW, CLIENTS_MAX } from '../limits.ts';

export class ClientTable {
  readonly #clock: Clock;
  /** Monotonic time of the last sign of life; the longest unmentioned first. */
  readonly #lastSeenMs = new Map<string, number>();
  #leadingSinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#leadingSinceMs = clock.monotonicMs();
  }

  /** What was heard in an earlier leadership says nothing now. */
  reset(): void {
    this.#lastSeenMs.clear();
    this.#leadingSinceMs = this.#clock.monotonicMs();
  }

  seen(clientId: string): void {
    this.#note(clientId, this.#clock.monotonicMs());
  }

  /** Known to be dead, unlike one that a new leader has not heard of yet. */
  gone(clientId: string): void {
    this.#note(clientId, Number.NEGATIVE_INFINITY);
  }

  isAlive(clientId: string): boolean {
    const lastSeenMs = this.#lastSeenMs.get(clientId) ?? this.#leadingSinceMs;
    return this.#clock.monotonicMs() - lastSeenMs < AUTO_RENEW.clientSilenceMsMax;
  }

  #note(clientId: string, seenMs: number): void {
    this.#lastSeenMs.delete(clientId);
    this.#lastSeenMs.set(clientId, seenMs);
    if (this.#lastSeenMs.size <= CLIENTS_MAX) return;
    const [oldest] = this.#lastSeenMs.keys();
    if (oldest !== undefined) this.#lastSeenMs.delete(oldest);
  }
}
