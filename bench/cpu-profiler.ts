/**
 * Loaded into a broker with `NODE_OPTIONS=--import=<this file>`: SIGUSR2 starts a CPU profile of the
 * main thread, the next SIGUSR2 writes it to PROFILE_DIR/<pid>.cpuprofile.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const directory = process.env['PROFILE_DIR'];
const SAMPLING_INTERVAL_MICROS = 1000;

if (isMainThread && directory !== undefined && process.argv[1]?.endsWith('broker.js') === true) {
  const session = new Session();
  session.connect();
  let isRunning = false;
  process.on('SIGUSR2', () => {
    isRunning = !isRunning;
    if (isRunning) {
      session.post('Profiler.enable');
      session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_MICROS });
      session.post('Profiler.start');
      return;
    }
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) throw error;
      writeFileSync(join(directory, `${process.pid}.cpuprofile`), JSON.stringify(result.profile));
    });
  });
}
