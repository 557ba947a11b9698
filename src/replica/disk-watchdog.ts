/**
 * Notices a disk that hangs (H11), and one without room for the next segment (H10). A leader whose own
 * writes make no progress must not keep others from taking over: the core is told, and decides what a
 * node in this condition may do.
 *
 * A disk that hangs for long ends the process, which nothing else cures; one without room does not: the
 * write is performed when room returns. Should the event loop hang as well, a thread of its own ends the
 * process (io/node/process-watchdog.ts).
 */
import { FatalError } from '../base/errors.ts';
import { DiskError, STALLED } from '../io/disk.ts';
import type { DiskStats } from '../store/commit-log.ts';
import { DISK_FAILED_MS, DISK_STALLED_MS } from './limits.ts';
import type { ReplicaEvent } from './replica-options.ts';

export class DiskWatchdog {
  readonly #stats: DiskStats;
  readonly #onEvent: (event: ReplicaEvent) => void;
  #stalled = false;

  constructor(stats: DiskStats, onEvent: (event: ReplicaEvent) => void) {
    this.#stats = stats;
    this.#onEvent = onEvent;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /**
   * @returns whether `stalled` has changed
   * @throws FatalError `diskFailed` when waiting any longer makes no sense.
   */
  check(): boolean {
    const pendingMs = this.#stats.oldestPendingMs();
    if (pendingMs > DISK_FAILED_MS && !this.#stats.waitsForRoom()) {
      throw new FatalError(
        'diskFailed',
        `Cannot write the log: the disk has not finished a write for ${Math.round(pendingMs)} ms`,
        { cause: new DiskError('finish a write of', 'the log', STALLED) },
      );
    }
    const stalled = pendingMs > DISK_STALLED_MS;
    if (stalled === this.#stalled) return false;
    this.#stalled = stalled;
    this.#onEvent(stalled ? { kind: 'diskStalled', pendingMs } : { kind: 'diskRecovered' });
    return true;
  }
}
