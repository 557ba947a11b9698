/**
 * Work that nobody waits for: renewals, dead letters, taking back. It may fail for want of
 * leadership or room, because a later round does it again; anything else is a bug and ends the
 * process as an unhandled rejection.
 */
import { CorruptionError } from '../base/errors.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { BrokerError } from './verbs.ts';

/** What a service may fail with. CorruptionError: a record could not be read here. */
export function isExpected(error: unknown): boolean {
  return (
    error instanceof LeadershipLost ||
    error instanceof BrokerError ||
    error instanceof CorruptionError
  );
}

export class Background {
  /** Never rejects for what is expected; its proposals end at the latest when the replica closes. */
  run(act: () => Promise<void>): void {
    // A rejection stays unhandled on purpose: the runtime ends this program.
    void guarded(act);
  }
}

async function guarded(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isExpected(error)) throw error;
  }
}
