import { equal, match, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';

const watchdog = JSON.stringify(new URL('./process-watchdog.js', import.meta.url).href);
const ending = JSON.stringify(new URL('./end-process.js', import.meta.url).href);
const judging = JSON.stringify(new URL('./stall-judge.js', import.meta.url).href);

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** A process of its own that runs `script`, whose first line of output says that it is under way. */
async function start(t: TestContext, script: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]): Ended => ({ code, signal, stderr }));
  await once(createInterface({ input: child.stdout }), 'line');
  return { child, ended };
}

/** Never ends by itself, and notes in its memory that a call of the disk hangs when it is told to. */
const watched = (limits: string, then: string): string => `
  import { startProcessWatchdog } from ${watchdog};
  import { DISK_CALLS } from ${judging};
  const { memory } = startProcessWatchdog(${limits});
  setInterval(() => {}, 1000);
  const hang = () => Atomics.add(new Int32Array(memory), DISK_CALLS, 1);
  console.log('up');
  ${then}`;

test('a process is ended with the code from its main thread while a worker hangs', async (t) => {
  const script = `
    import { Worker } from 'node:worker_threads';
    import { endProcess } from ${ending};
    const hang = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
    new Worker(hang, { eval: true }).once('online', () => endProcess(74));
    console.log('up');`;
  const { ended } = await start(t, script);
  equal((await ended).code, 74);
});

test('a hung event loop is ended by the watchdog, which says so', async (t) => {
  const then = 'setTimeout(() => { for (;;); }, 100);';
  const { ended } = await start(t, watched('{ diskMsMax: 60000, mainMsMax: 1500 }', then));
  const { code, stderr } = await ended;
  equal(code, 70, stderr);
  match(stderr, /"level":"fatal".*the event loop has not turned for 2000 ms/);
});

test('a hung call of the disk is ended by the watchdog while the event loop hangs too', async (t) => {
  const then = 'setTimeout(() => { hang(); for (;;); }, 100);';
  const { ended } = await start(t, watched('{ diskMsMax: 1000, mainMsMax: 60000 }', then));
  const { signal, stderr } = await ended;
  equal(signal, 'SIGKILL', stderr);
  match(stderr, /one write or sync has not ended for 1500 ms/);
});

test('an end that is announced and does not come is made to come', async (t) => {
  const script = `
    import { startProcessWatchdog } from ${watchdog};
    startProcessWatchdog({ diskMsMax: 60000 }).expectEnd();
    console.log('up');
    setTimeout(() => { for (;;); }, 100);`;
  const { ended } = await start(t, script);
  equal((await ended).signal, 'SIGKILL');
});

test('a process that was stopped and continued is not taken for a hung one', async (t) => {
  // In a call all the time, but never in one for long: as a busy disk looks.
  const then = `hang(); setInterval(() => { hang(); hang(); }, 100);
    process.on('SIGTERM', () => process.exit(5));`;
  const { child, ended } = await start(t, watched('{ diskMsMax: 1000, mainMsMax: 1000 }', then));
  child.kill('SIGSTOP');
  // Longer than either limit; nothing in the process can be waited for meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  child.kill('SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  equal(code, 5, stderr);
  equal(stderr, '');
});

test('a watched process ends when it has nothing to do', async (t) => {
  const script = `
    import { startProcessWatchdog } from ${watchdog};
    const { close } = startProcessWatchdog({ diskMsMax: 1000 });
    close();
    close();
    console.log('up');`;
  const { ended } = await start(t, script);
  const { code, stderr } = await ended;
  ok(code === 0, stderr);
});
