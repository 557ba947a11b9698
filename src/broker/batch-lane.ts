/**
 * One flush at a time; what arrives meanwhile goes together into the next one. Group commit without
 * a timer: alone, a job does not wait; in a crowd, the batches grow.
 */
import { LANE_BATCH_BYTES_MAX, LANE_WAITING_BYTES_MAX } from './limits.ts';
import { BrokerError } from './verbs.ts';

interface WaitingJob<Job, Result> {
  readonly job: Job;
  readonly sizeBytes: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class BatchLane<Job, Result> {
  readonly #flush: (jobs: readonly Job[]) => Promise<readonly Result[]>;
  readonly #onIdle: () => void;
  #waiting: WaitingJob<Job, Result>[] = [];
  #waitingBytes = 0;
  #running = false;

  /**
   * @param flush gives one result per job, in their order; its error becomes the error of each
   * @param onIdle nothing is waiting and nothing runs
   */
  constructor(flush: (jobs: readonly Job[]) => Promise<readonly Result[]>, onIdle: () => void) {
    this.#flush = flush;
    this.#onIdle = onIdle;
  }

  run(job: Job, sizeBytes: number): Promise<Result> {
    if (this.#waitingBytes + sizeBytes > LANE_WAITING_BYTES_MAX) {
      return Promise.reject(
        new BrokerError(
          'busy',
          `${this.#waitingBytes} bytes already wait for this queue, the most is ${LANE_WAITING_BYTES_MAX}. Send slower.`,
        ),
      );
    }
    const result = new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ job, sizeBytes, resolve, reject });
    });
    this.#waitingBytes += sizeBytes;
    // Every path of the loop settles its jobs, so the promise of the loop itself never rejects.
    if (!this.#running) void this.#runAll();
    return result;
  }

  async #runAll(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        const results = await this.#flush(batch.map(({ job }) => job));
        // The flush promises one result per job.
        for (const [at, { resolve }] of batch.entries()) resolve(results[at]!);
      } catch (error) {
        // Whoever asked decides what the error means.
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
    this.#onIdle();
  }

  /** As much as fits in one entry, at least one job. */
  #take(): readonly WaitingJob<Job, Result>[] {
    let count = 0;
    let sizeBytes = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && sizeBytes + waiting.sizeBytes > LANE_BATCH_BYTES_MAX) break;
      sizeBytes += waiting.sizeBytes;
      count++;
    }
    this.#waitingBytes -= sizeBytes;
    return this.#waiting.splice(0, count);
  }
}
