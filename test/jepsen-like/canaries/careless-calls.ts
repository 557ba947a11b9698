/** Bugs below the modules: calls of the system that do less than they say. */
import { syncBuiltinESMExports } from 'node:module';
import workers from 'node:worker_threads';
import type { CanaryId } from './cases.ts';

const CARELESS: readonly CanaryId[] = ['ack-before-fsync', 'vote-not-synced', 'sync-error-ignored'];

/** The thread that writes the log is started with calls of its own. */
export function carelessCalls(id: CanaryId): void {
  if (!CARELESS.includes(id)) return;
  const { Worker } = workers;
  class CarelessWorker extends Worker {
    constructor(url: string | URL, options?: workers.WorkerOptions) {
      const isDisk = String(url).endsWith('/disk-worker.js');
      super(isDisk ? new URL('./careless-disk-worker.js', import.meta.url) : url, options);
    }
  }
  workers.Worker = CarelessWorker;
  syncBuiltinESMExports();
}
