/**
 * The unmodified official client, in processes of its own: it reports a connection that breaks in the
 * middle of a stream where nobody can catch it, and then its process ends, as it would for a user.
 * Another one with another name takes its place. Its lines become the history.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Prng } from '../../../src/base/prng.ts';
import type { Action, Outcome } from '../history/operation.ts';
import { makeTopic, pauseFor, type Workload, type WorkloadContext } from './workload.ts';

const CHILD = fileURLToPath(new URL('./official-child.js', import.meta.url));
const RESTART_PAUSE_MS = 1_000;

/** What a child says of one operation. */
export interface OfficialLine {
  readonly client: string;
  readonly tookMs: number;
  readonly outcome: Outcome;
  readonly error: string | null;
  readonly action: Action;
}

export const officialWorkload: Workload = {
  name: 'official',
  topics: ['official'],
  prepare: (context) => makeTopic(context, 'official', 'official', 4),
  run: async (context) => {
    await Promise.all(
      (['producer', 'consumer'] as const).map((role) => keepRunning(context, role)),
    );
  },
};

async function keepRunning(context: WorkloadContext, role: 'producer' | 'consumer'): Promise<void> {
  const random = new Prng(context.seed, `official-${role}`);
  for (let life = 0; !context.stopping.aborted; life++) {
    await runChild(context, role, life);
    await pauseFor(random, RESTART_PAUSE_MS, context.stopping);
  }
}

async function runChild(context: WorkloadContext, role: string, life: number): Promise<void> {
  const { recorder, grpcEndpoints, stopping } = context;
  const endpoints = grpcEndpoints[life % grpcEndpoints.length]!; // a remainder
  const name = `official-${role}.${life}`;
  const child = spawn(process.execPath, [CHILD, role, endpoints, name], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {}); // Its end says more than a pipe that breaks.
  const stop = (): void => {
    child.stdin.end();
  };
  stopping.addEventListener('abort', stop);
  for await (const text of createInterface({ input: child.stdout })) {
    const { tookMs, ...line } = JSON.parse(text) as OfficialLine; // our own child
    const endMs = recorder.nowMs();
    recorder.operation({ ...line, workload: 'official', startMs: endMs - tookMs, endMs });
  }
  stopping.removeEventListener('abort', stop);
  child.kill('SIGKILL');
}
