/** Who releases what a test has opened, last opened first, however the test ends. */
import { beginOwning, inTime } from './deadline.ts';

/** Three times what the longest of our tests takes on a quiet machine. */
const BODY_TIMEOUT_MS = 170_000;
/** For those of *.long.test.ts. */
export const LONG_BODY_TIMEOUT_MS = 270_000;
const RELEASE_TIMEOUT_MS = 30_000;

export interface Owner {
  after(release: () => Promise<void>): void;
}

/**
 * Runs `body` and then the releases in reverse order; the first error wins. A body that does not end
 * in time is given up: what it uses is released, and it fails by that.
 */
export async function owning(
  body: (owner: Owner) => Promise<void>,
  bodyTimeoutMs = BODY_TIMEOUT_MS,
): Promise<void> {
  const endOwning = beginOwning();
  const releases: (() => Promise<void>)[] = [];
  const errors: unknown[] = [];
  try {
    const running = body({ after: (release) => releases.push(release) });
    await inTime('the end of the test', running, bodyTimeoutMs);
  } catch (error) {
    errors.push(error);
  }
  for (const release of releases.reverse()) {
    try {
      await inTime('what the test has opened to close', release(), RELEASE_TIMEOUT_MS);
    } catch (error) {
      errors.push(error);
    }
  }
  endOwning();
  if (errors.length > 0) throw errors[0];
}
