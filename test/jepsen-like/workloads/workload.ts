/** What a workload is: clients that work until they are told to stop, on topics that are read to the end. */
import { Prng } from '../../../src/base/prng.ts';
import type { Recorder } from '../history/recorder.ts';
import type { WorkloadName } from '../plan.ts';
import { Bookkeeper, type Endpoints } from './client.ts';

export interface WorkloadContext {
  readonly recorder: Recorder;
  readonly endpoints: Endpoints;
  /** For clients that speak the RocketMQ protocol. */
  readonly grpcEndpoints: readonly string[];
  readonly seed: number;
  /** Aborted when the clients shall stop. */
  readonly stopping: AbortSignal;
}

export interface Workload {
  readonly name: WorkloadName;
  /** Read to the end when everything is healed. */
  readonly topics: readonly string[];
  /** Before the first fault. */
  readonly prepare: (context: WorkloadContext) => Promise<void>;
  /** Resolves when all clients have stopped; rejects with a bug of ours. */
  readonly run: (context: WorkloadContext) => Promise<void>;
}

/** Clients do not run in lockstep, and leave the processor to the nodes. */
export function pauseFor(random: Prng, msMax: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(end, 1 + random.below(msMax));
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
    signal.addEventListener('abort', end);
  });
}

/** One lane of a workload: a client with a random stream of its own, working until the stop. */
export async function lane(
  context: WorkloadContext,
  workload: WorkloadName,
  role: string,
  number: number,
  turn: (client: Bookkeeper, random: Prng) => Promise<void>,
): Promise<void> {
  const { recorder, endpoints, seed, stopping } = context;
  const name = `${workload}-${role}${number}`;
  const client = new Bookkeeper({ recorder, workload, name, endpoints, number });
  const random = new Prng(seed, name);
  try {
    while (!stopping.aborted) await turn(client, random);
  } finally {
    client.close();
  }
}

const PREPARE_ATTEMPTS_MAX = 10;

/** @throws when it cannot be made in a healthy system */
export async function makeTopic(
  context: WorkloadContext,
  workload: WorkloadName,
  topic: string,
  queueCount: number,
): Promise<void> {
  const { recorder, endpoints } = context;
  const client = new Bookkeeper({
    ...{ recorder, workload, name: `${workload}-maker`, endpoints, number: 0 },
  });
  try {
    for (let attempt = 0; attempt < PREPARE_ATTEMPTS_MAX; attempt++) {
      if (await client.topicPut(topic, queueCount)) return;
    }
    throw new Error(`Cannot make the topic ${topic}`);
  } finally {
    client.close();
  }
}
