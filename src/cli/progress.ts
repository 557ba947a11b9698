/**
 * Signs of life on stderr for what takes longer than a second: a line that rewrites itself on a
 * terminal, a plain line every few seconds elsewhere.
 */
import type { Clock, Timer } from '../io/clock.ts';
import type { Output } from './environment.ts';

const FIRST_AFTER_MS = 1_000;
const TTY_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 5_000;
const ERASE_LINE = '\r\u001b[2K';

export class Progress {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #text: () => string;
  #timer: Timer;
  #isShown = false;

  constructor(output: Output, clock: Clock, text: () => string) {
    this.#output = output;
    this.#clock = clock;
    this.#text = text;
    this.#timer = clock.setTimer(FIRST_AFTER_MS, () => this.#show());
  }

  /** Leaves no trace on a terminal. Idempotent. */
  stop(): void {
    this.#timer.cancel();
    if (this.#isShown && this.#output.isTty) this.#output.write(ERASE_LINE);
    this.#isShown = false;
  }

  /** A line that stays, above the sign of life. */
  say(text: string): void {
    if (this.#isShown && this.#output.isTty) this.#output.write(ERASE_LINE);
    this.#output.write(`${text}\n`);
  }

  #show(): void {
    const { isTty, columns } = this.#output;
    // A line that wraps could not be rewritten.
    const line = isTty ? this.#text().slice(0, columns - 1) : this.#text();
    this.#output.write(isTty ? `${ERASE_LINE}${line}` : `${line}\n`);
    this.#isShown = true;
    const intervalMs = isTty ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS;
    this.#timer = this.#clock.setTimer(intervalMs, () => this.#show());
  }
}
