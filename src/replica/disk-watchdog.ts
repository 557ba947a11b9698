/**
 * Notices a disk that hangs (H11). A leader whose own writes make no progress must not keep others
 * from taking over: it falls silent, loses its quorum of replies, and steps down.
 */
import { FatalError } from '../base/errors.ts';
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

  /** @throws FatalError `diskFailed` when waiting any longer makes no sense. */
  check(): void {
    const pendingMs = this.#stats.oldestPendingMs();
    if (pendingMs > DISK_FAILED_MS) {
      throw new FatalError(
        'diskFailed',
        `Cannot write the log: the disk has not finished a write for ${Math.round(pendingMs)} ms`,
      );
    }
    const stalled = pendingMs > DISK_STALLED_MS;
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#onEvent(stalled ? { kind: 'diskStalled', pendingMs } : { kind: 'diskRecovered' });
  }
}
