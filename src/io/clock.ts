/** Time as the process sees it. Monotonic values are never stored or sent. */
export interface Clock {
  /** Milliseconds with a fraction since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Wall clock, ms since the Unix epoch; may jump. Only ever a payload, never a timeout. */
  wallMs(): number;
  /** Calls back once, no earlier than `delayMs`. */
  setTimer(delayMs: number, onFire: () => void): Timer;
}

export interface Timer {
  /** Idempotent; after it returns the callback will not run. */
  cancel(): void;
}
