/** Sends and receives: over many queues; in the order of each producer; each message twice or more. */
import type { Prng } from '../../../src/base/prng.ts';
import type { WorkloadName } from '../plan.ts';
import { Bookkeeper, type Message } from './client.ts';
import { lane, makeTopic, pauseFor, type Workload, type WorkloadContext } from './workload.ts';

const SIZE_BYTES_MAX = 2_000;
const BATCH_MAX = 8;
const SEND_PAUSE_MS = 25;
const RECEIVE_PAUSE_MS = 50;
/** Of a group that falls behind: what is sent is far more than it takes. */
const LAGGARD_SIZE_BYTES = 4_000;
const LAGGARD_PAUSE_MS = 800;
/** A consumer that forgets to acknowledge once in so many times sees its messages again. */
const FORGETS_ONE_IN = 20;
/** The same message, from so many clients at once. */
const COPIES_MAX = 3;

/** W1: producers of single messages and batches, and two consumers of one group, on eight queues. */
export const queueWorkload: Workload = {
  name: 'queue',
  topics: ['queue'],
  prepare: (context) => makeTopic(context, 'queue', 'queue', 8),
  run: async (context) => {
    const counter = { next: 0 };
    await Promise.all([
      ...[0, 1, 2].map((number) =>
        lane(context, 'queue', 'producer', number, async (client, random) => {
          const count = random.chance(1, 4) ? 1 + random.below(BATCH_MAX) : 1;
          const messages = Array.from({ length: count }, () =>
            nextMessage('queue', counter, random),
          );
          await client.send('queue', messages);
          await pauseFor(random, SEND_PAUSE_MS, context.stopping);
        }),
      ),
      ...[0, 1].map((number) => consumer(context, 'queue', 'queue', number)),
    ]);
  },
};

/** W2: what one producer sends one after the other keeps its order in each queue. */
export const orderedWorkload: Workload = {
  name: 'ordered',
  topics: ['ordered'],
  prepare: (context) => makeTopic(context, 'ordered', 'ordered', 2),
  run: async (context) => {
    const counter = { next: 0 };
    await Promise.all([
      ...[0, 1, 2].map((number) =>
        lane(context, 'ordered', 'producer', number, async (client, random) => {
          await client.send('ordered', [nextMessage('ordered', counter, random)]);
          await pauseFor(random, SEND_PAUSE_MS, context.stopping);
        }),
      ),
      consumer(context, 'ordered', 'ordered', 0),
    ]);
  },
};

/** W7: each message is sent several times, by several clients at once, and again after the answer. */
export const idempotentWorkload: Workload = {
  name: 'idempotent',
  topics: ['idempotent'],
  prepare: (context) => makeTopic(context, 'idempotent', 'idempotent', 4),
  run: async (context) => {
    const counter = { next: 0 };
    await Promise.all([
      ...[0, 1].map((number) => sender(context, counter, number)),
      consumer(context, 'idempotent', 'idempotent', 0),
    ]);
  },
};

/** A group that has begun and does not keep up: what it has left to consume must not go by size. */
export const laggardWorkload: Workload = {
  name: 'laggard',
  topics: ['laggard'],
  prepare: (context) => makeTopic(context, 'laggard', 'laggard', 2),
  run: async (context) => {
    const counter = { next: 0 };
    const { stopping } = context;
    await Promise.all([
      lane(context, 'laggard', 'producer', 0, async (client, random) => {
        const sequence = counter.next++;
        const sizeBytes = LAGGARD_SIZE_BYTES;
        await client.send('laggard', [{ id: `laggard-${sequence}`, sequence, sizeBytes }]);
        await pauseFor(random, SEND_PAUSE_MS, stopping);
      }),
      lane(context, 'laggard', 'consumer', 0, async (client, random) => {
        const held = await client.receive('laggard', 'laggards', { batchSize: 1 });
        if (held !== null && held.length > 0) await client.ack('laggard', 'laggards', held);
        await pauseFor(random, LAGGARD_PAUSE_MS, stopping);
      }),
    ]);
  },
};

async function sender(
  context: WorkloadContext,
  counter: { next: number },
  number: number,
): Promise<void> {
  const { recorder, endpoints } = context;
  // Each copy has a client of its own, so that copies meet at different nodes.
  const copies = Array.from(
    { length: COPIES_MAX },
    (_, i) =>
      new Bookkeeper({
        ...{ recorder, workload: 'idempotent', name: `idempotent-copy${number}-${i}`, endpoints },
        number: 2 * (number + i),
      }),
  );
  try {
    await lane(context, 'idempotent', 'producer', number, async (client, random) => {
      const message = nextMessage('idempotent', counter, random);
      const together = copies.slice(0, random.below(COPIES_MAX));
      await Promise.all([client, ...together].map((each) => each.send('idempotent', [message])));
      if (random.chance(1, 3)) await client.send('idempotent', [message]);
      await pauseFor(random, SEND_PAUSE_MS * 2, context.stopping);
    });
  } finally {
    for (const copy of copies) copy.close();
  }
}

export function consumer(
  context: WorkloadContext,
  workload: WorkloadName,
  topic: string,
  number: number,
): Promise<void> {
  const group = `${workload}-consumers`;
  return lane(context, workload, 'consumer', number, async (client, random) => {
    const held = await client.receive(topic, group);
    if (held !== null && held.length > 0 && !random.chance(1, FORGETS_ONE_IN)) {
      await client.ack(topic, group, held);
    }
    await pauseFor(random, RECEIVE_PAUSE_MS, context.stopping);
  });
}

function nextMessage(workload: string, counter: { next: number }, random: Prng): Message {
  const sequence = counter.next++;
  const sizeBytes = 100 + random.below(SIZE_BYTES_MAX);
  return { id: `${workload}-${sequence}`, sequence, sizeBytes };
}
