/**
 * Trouble that the endpoint has seen since it started; read by the metrics page, never reset. What
 * happens to messages is counted by the broker (broker/counters.ts).
 */

export interface EndpointCounts {
  /** Requests that were not answered OK, by status code. Bounded by the number of codes. */
  readonly rejectedByCode: ReadonlyMap<number, number>;
  /** Notices to the group that failed or found the queue full. */
  readonly backgroundFailures: number;
  /** Requests that met a bug of ours; each is logged with its stack. */
  readonly unexpectedErrors: number;
}

export class EndpointCounters implements EndpointCounts {
  backgroundFailures = 0;
  unexpectedErrors = 0;
  readonly #rejectedByCode = new Map<number, number>();

  get rejectedByCode(): ReadonlyMap<number, number> {
    return this.#rejectedByCode;
  }

  countRejection(code: number): void {
    this.#rejectedByCode.set(code, (this.#rejectedByCode.get(code) ?? 0) + 1);
  }
}
