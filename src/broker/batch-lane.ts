/**
 * Jobs in flushes, in the order in which they came; what cannot be flushed at once goes together into
 * the next one. Group commit without a timer: alone, a job does not wait; in a crowd, the batches
 * grow.
 *
 * Flushes begin in order, each in one turn up to its first pause. One is open at a time unless it
 * calls `onQueued`: from then on the next may begin beside it, up to `openMax` of them.
 */
import { LANE_BATCH_BYTES_MAX, LANE_WAITING_BYTES_MAX } from './limits.ts';
import { BrokerError } from './verbs.ts';

interface WaitingJob<Job, Result> {
  readonly job: Job;
  readonly sizeBytes: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gives one result per job, in their order; its error becomes the error of each.
 *
 * @param onQueued the flush has its place: the next one may count on it
 */
export type Flush<Job, Result> = (
  jobs: readonly Job[],
  onQueued: () => void,
) => Promise<readonly Result[]>;

export class BatchLane<Job, Result> {
  readonly #flush: Flush<Job, Result>;
  readonly #onIdle: () => void;
  readonly #openMax: number;
  #waiting: WaitingJob<Job, Result>[] = [];
  #waitingBytes = 0;
  #openCount = 0;
  /** The youngest open flush has not got its place yet. */
  #isPlacing = false;
  #isDraining = false;

  /** @param onIdle nothing is waiting and nothing is open */
  constructor(flush: Flush<Job, Result>, onIdle: () => void, openMax = 1) {
    this.#flush = flush;
    this.#onIdle = onIdle;
    this.#openMax = openMax;
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
    this.#drain();
    return result;
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#waiting.length > 0 && !this.#isPlacing && this.#openCount < this.#openMax) {
      // Every path of a flush settles its jobs, so its own promise never rejects.
      void this.#flushNext();
    }
    this.#isDraining = false;
  }

  async #flushNext(): Promise<void> {
    const batch = this.#take();
    this.#openCount++;
    this.#isPlacing = true;
    let isPlacing = true;
    const onPlaced = (): void => {
      if (!isPlacing) return;
      isPlacing = false;
      this.#isPlacing = false;
    };
    try {
      const jobs = batch.map(({ job }) => job);
      const results = await this.#flush(jobs, () => {
        onPlaced();
        this.#drain();
      });
      // The flush promises one result per job.
      for (const [at, { resolve }] of batch.entries()) resolve(results[at]!);
    } catch (error) {
      // Whoever asked decides what the error means.
      for (const { reject } of batch) reject(error);
    }
    onPlaced();
    this.#openCount--;
    this.#drain();
    if (this.#openCount === 0 && this.#waiting.length === 0) this.#onIdle();
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
