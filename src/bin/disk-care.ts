/**
 * What a broker process does about its disk beside writing to it: remembers failures (H2), watches for
 * hangs from a thread of its own (H11), and keeps an eye on the room that is left (H10).
 */

import { FatalError } from '../base/errors.ts';
import type { Clock } from '../io/clock.ts';
import { DiskError } from '../io/disk.ts';
import { NodeDisk } from '../io/node/node-disk.ts';
import { type ProcessWatchdog, startProcessWatchdog } from '../io/node/process-watchdog.ts';
import { DISK_FAILED_MS } from '../replica/limits.ts';
import { DiskSpaceGuard } from '../store/disk-space.ts';
import { logRoomEvent } from './broker-logging.ts';
import type { BrokerOptions } from './broker-options.ts';
import { diskFailureOf, noteDiskFailure, readDiskFailures, requireTrust } from './disk-failures.ts';
import { beforeTheEnd } from './exit.ts';
import type { Logger } from './logger.ts';

/** The event loop looks at the same limit, knows more, and shall have the first word. */
const WATCHDOG_MARGIN_MS = 1_500;

/** Before the directory is touched. @throws FatalError diskDistrusted */
export function startDiskCare(
  { directory }: BrokerOptions,
  clock: Clock,
  logger: Logger,
): DiskCare {
  const failures = readDiskFailures(directory);
  const last = failures.at(-1);
  if (last !== undefined) {
    const { atMs, ...facts } = last;
    logger.warn(
      { event: 'store.disk_failed_before', count: failures.length, ...facts, at: new Date(atMs) },
      'The disk of this directory has failed before; what may be lost is written again',
    );
  }
  requireTrust(directory, failures);
  const watchdog = startProcessWatchdog({ diskMsMax: DISK_FAILED_MS + WATCHDOG_MARGIN_MS });
  beforeTheEnd((error) => {
    watchdog.expectEnd();
    const failure = diskFailureOf(error, clock.wallMs());
    if (failure === null) return null;
    const problems = noteDiskFailure(directory, failure);
    return problems.length === 0 ? 'noted' : `not noted in ${problems.join(', ')}`;
  });
  return new DiskCare(watchdog, directory, clock, logger);
}

export class DiskCare {
  /** For the log: its calls are watched. */
  readonly logDisk: NodeDisk;
  readonly #stopping = new AbortController();
  readonly #watchdog: ProcessWatchdog;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #guard: DiskSpaceGuard | null = null;

  constructor(watchdog: ProcessWatchdog, directory: string, clock: Clock, logger: Logger) {
    this.#watchdog = watchdog;
    this.#directory = directory;
    this.#clock = clock;
    this.#logger = logger;
    this.logDisk = new NodeDisk(watchdog.memory);
  }

  /** Requires the directory. @throws FatalError when its file system says nothing */
  async watchRoom(options: BrokerOptions): Promise<DiskSpaceGuard> {
    const { segmentSizeBytes, diskReserveBytes: reserveBytes } = options;
    try {
      this.#guard = await DiskSpaceGuard.start({
        ...{ disk: new NodeDisk(), directory: this.#directory, clock: this.#clock },
        ...{ segmentSizeBytes, reserveBytes },
        onEvent: (event) => logRoomEvent(this.#logger, event),
      });
      return this.#guard;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      throw new FatalError('diskFailed', error.message, { cause: error });
    }
  }

  /** As far as it is watched already. */
  get isRoomScarce(): boolean {
    return this.#guard !== null && this.#guard.room.level !== 'ok';
  }

  /** How a commit of derived state waits for room. */
  get roomWait(): { readonly clock: Clock; readonly stopping: AbortSignal } {
    return { clock: this.#clock, stopping: this.#stopping.signal };
  }

  /** Nobody waits for room any more. */
  stopWaiting(): void {
    this.#stopping.abort();
    this.#guard?.close();
  }

  close(): void {
    this.stopWaiting();
    this.#watchdog.close();
  }
}
