/** Drives yardstick-server.ts: what this machine can do at all with durable 1 KiB frames. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LoadPlan, type LoadResult, runLoad } from './load.ts';

/** Answered requests are dropped from the front of the queue in batches of this many. */
const WAITING_TRIM_COUNT = 65_536;

export async function measureYardstick(
  plans: readonly LoadPlan[],
  frameSizeBytes: number,
): Promise<readonly LoadResult[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mq-raft-yardstick-'));
  const script = fileURLToPath(new URL('./yardstick-server.js', import.meta.url));
  const child = spawn(process.execPath, [script, join(directory, 'file'), String(frameSizeBytes)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', (text) => resolve(Number(text)));
      child.once('error', reject);
      child.once('exit', () => reject(new Error('The yardstick server did not start')));
    });
    const results: LoadResult[] = [];
    for (const plan of plans) results.push(await measure(port, plan, frameSizeBytes));
    return results;
  } finally {
    child.stdin.end();
    await exited;
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(port: number, plan: LoadPlan, frameSizeBytes: number): Promise<LoadResult> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const frame = Buffer.alloc(frameSizeBytes, 7);
  const waiting: (() => void)[] = [];
  let oldest = 0;
  socket.on('data', (answers) => {
    for (let i = 0; i < answers.length; i++) waiting[oldest++]!();
    if (oldest > WAITING_TRIM_COUNT) {
      waiting.splice(0, oldest);
      oldest = 0;
    }
  });
  const result = await runLoad(plan, () => {
    socket.write(frame);
    return new Promise<void>((resolve) => waiting.push(resolve));
  });
  socket.destroy();
  return result;
}
