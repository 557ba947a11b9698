/** A pause that ends early when its owner stops. */
import type { Clock } from '../../io/clock.ts';

/** @returns whether it came to its end */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isOver: boolean): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(isOver);
    };
    const onAbort = (): void => end(false);
    const timer = clock.setTimer(delayMs, () => end(true));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
