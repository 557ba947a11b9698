/** What one step costs on this machine: a small durable write, and a byte to another process and back. */
import { spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PAGE_SIZE_BYTES = 4096;
const PAGE_COUNT = 4096;
const SAMPLE_COUNT = 2000;
const NS_PER_MS = 1e6;

export interface Probes {
  readonly fdatasyncP50Ms: number;
  readonly loopbackP50Ms: number;
}

export async function probe(): Promise<Probes> {
  return { fdatasyncP50Ms: fdatasyncP50Ms(), loopbackP50Ms: await loopbackP50Ms() };
}

/** Write and sync of one page in a file that exists already. */
function fdatasyncP50Ms(): number {
  const directory = mkdtempSync(join(tmpdir(), 'mq-raft-probe-'));
  const file = openSync(join(directory, 'file'), 'w+');
  try {
    const page = Buffer.alloc(PAGE_SIZE_BYTES, 1);
    for (let i = 0; i < PAGE_COUNT; i++) writeSync(file, page, 0, page.length, i * page.length);
    fdatasyncSync(file);
    return medianOf(SAMPLE_COUNT, (i) => {
      writeSync(file, page, 0, page.length, (i % PAGE_COUNT) * page.length);
      fdatasyncSync(file);
    });
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function loopbackP50Ms(): Promise<number> {
  const script = fileURLToPath(new URL('./echo-server.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.once('data', (text) => resolve(Number(text)));
      child.once('error', reject);
      child.once('exit', () => reject(new Error('The echo server did not start')));
    });
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.setNoDelay(true);
    const samplesMs: number[] = [];
    for (let i = 0; i < SAMPLE_COUNT; i++) samplesMs.push(await roundTripMs(socket));
    socket.destroy();
    return median(samplesMs);
  } finally {
    child.stdin.end();
    await exited;
  }
}

function roundTripMs(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    const startedAt = process.hrtime.bigint();
    socket.once('data', () => resolve(Number(process.hrtime.bigint() - startedAt) / NS_PER_MS));
    socket.write('x');
  });
}

function medianOf(count: number, act: (i: number) => void): number {
  const samplesMs = Array.from({ length: count }, (_, i) => {
    const startedAtMs = performance.now();
    act(i);
    return performance.now() - startedAtMs;
  });
  return median(samplesMs);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!; // not empty
}
