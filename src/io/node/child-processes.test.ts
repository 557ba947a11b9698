import { deepEqual, equal, match } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LOG_SIZE_BYTES_MAX, logTail, startChild } from './child-processes.ts';

/** A child that runs `source` as a module. */
async function aChild(t: TestContext, source: string, logBefore?: (path: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'mq-raft-child-'));
  const script = join(folder, 'child.mjs');
  const logPath = join(folder, 'logs', 'child.log');
  writeFileSync(script, source);
  logBefore?.(folder);
  const child = await startChild({ name: 'child', script, args: ['--flag'], logPath });
  t.after(async () => {
    child.kill('SIGKILL');
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  });
  return child;
}

const WAITS = "process.stdin.resume(); process.stdin.on('end', () => process.exit(7));";

test('the first line that a child prints says that it is ready', async (t) => {
  const child = await aChild(t, `console.log(process.argv[2]); console.log('more'); ${WAITS}`);
  equal(await child.readyLine, '--flag');
  equal(child.isRunning, true);
});

test('a child that ends without a line is not ready; its log tells why', async (t) => {
  const child = await aChild(t, "console.error('no\\nluck'); process.exit(3)");
  equal(await child.readyLine, null);
  deepEqual(await child.exited, { kind: 'code', code: 3 });
  equal(child.isRunning, false);
  deepEqual(logTail(child.logPath, 1), ['luck']);
});

test('a signal is told as a signal', async (t) => {
  const child = await aChild(t, `console.log('ready'); ${WAITS}`);
  await child.readyLine;
  child.kill('SIGKILL');
  deepEqual(await child.exited, { kind: 'signal', signal: 'SIGKILL' });
});

test('a child that prints a lot is not stopped by a full pipe', async (t) => {
  const child = await aChild(t, "console.log('x\\n'.repeat(500_000)); process.exit(0)");
  deepEqual(await child.exited, { kind: 'code', code: 0 });
});

test('when its parent is killed, a supervised child ends by itself', async (t) => {
  // The parent starts a grandchild through startChild, prints its pid and is killed.
  const module = new URL('./child-processes.js', import.meta.url).href;
  const parent = await aChild(
    t,
    `import { startChild } from ${JSON.stringify(module)};
     import { writeFileSync } from 'node:fs';
     const script = import.meta.filename + '.grandchild.mjs';
     writeFileSync(script, "console.log('up');" + ${JSON.stringify(WAITS)});
     const child = await startChild({ name: 'g', script, args: [], logPath: script + '.log' });
     await child.readyLine;
     console.log(child.pid);
     ${WAITS}`,
  );
  const pid = Number(await parent.readyLine);
  parent.kill('SIGKILL');
  await parent.exited;
  await gone(pid);
});

test('a log is appended to, and starts anew beyond its limit', async (t) => {
  const path = join(mkdtempSync(join(tmpdir(), 'mq-raft-log-')), 'child.log');
  t.after(() => rmSync(join(path, '..'), { recursive: true }));
  const script = join(path, '..', 'child.mjs');
  writeFileSync(script, "console.error('line')");
  const run = async (): Promise<string> => {
    await (await startChild({ name: 'c', script, args: [], logPath: path })).exited;
    return readFileSync(path, 'utf8');
  };
  await run();
  match(await run(), /^line\nline\n$/);
  truncateSync(path, LOG_SIZE_BYTES_MAX + 1); // grows it, without using the space
  equal(await run(), 'line\n');
});

/** The pid is no longer a running process (a zombie that nobody reaps counts as gone). */
async function gone(pid: number): Promise<void> {
  const deadlineAtMs = Date.now() + 10_000;
  for (;;) {
    const state = /^State:\s+(\w)/m.exec(statusOf(pid))?.[1] ?? null;
    if (state === null || state === 'Z') return;
    if (Date.now() > deadlineAtMs) throw new Error(`Process ${pid} still runs (${state})`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return '';
    throw error;
  }
}
