/** How fast a repair goes: what was put back within the last seconds. */
import type { Clock } from '../../io/clock.ts';
import { REPAIR_RATE_WINDOW_MS } from './limits.ts';

const STEP_MS = 1_000;

export class RepairPace {
  readonly #clock: Clock;
  /** By whole seconds, ascending; those of the window only. */
  #steps: { readonly step: number; sizeBytes: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(sizeBytes: number): void {
    const step = this.#forgetOld();
    const last = this.#steps.at(-1);
    if (last?.step === step) last.sizeBytes += sizeBytes;
    else this.#steps.push({ step, sizeBytes });
  }

  /** 0 when nothing came within the window. */
  bytesPerSecond(): number {
    this.#forgetOld();
    const [first] = this.#steps;
    if (first === undefined) return 0;
    let sizeBytes = 0;
    for (const each of this.#steps) sizeBytes += each.sizeBytes;
    const durationMs = this.#clock.monotonicMs() - first.step * STEP_MS;
    return Math.round((sizeBytes * 1000) / Math.max(STEP_MS, durationMs));
  }

  /** @returns the step of now */
  #forgetOld(): number {
    const step = Math.floor(this.#clock.monotonicMs() / STEP_MS);
    const oldest = step - REPAIR_RATE_WINDOW_MS / STEP_MS;
    this.#steps = this.#steps.filter((each) => each.step > oldest);
    return step;
  }
}
