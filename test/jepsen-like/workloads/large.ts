/** W6: messages and batches near the limits of size, until so much is stored; then small ones. */
import { MESSAGE_LIMITS } from '../../../src/broker/limits.ts';
import type { Message } from './client.ts';
import { consumer } from './queues.ts';
import { lane, makeTopic, pauseFor, type Workload } from './workload.ts';

const MIB = 1024 * 1024;
/** The disks of a run hold this several times over. */
const STORED_BYTES_MAX = 160 * MIB;
const PAUSE_MS = 600;
const MANY = 64;

export const largeWorkload: Workload = {
  name: 'large',
  topics: ['large'],
  prepare: (context) => makeTopic(context, 'large', 'large', 4),
  run: async (context) => {
    const counter = { next: 0 };
    let storedBytes = 0;
    await Promise.all([
      ...[0, 1].map((number) =>
        lane(context, 'large', 'producer', number, async (client, random) => {
          const isSmall = storedBytes > STORED_BYTES_MAX;
          const messages = isSmall
            ? [messageOf(counter, 1_000)]
            : random.chance(1, 2)
              ? // The largest that is allowed, or nearly.
                [messageOf(counter, MESSAGE_LIMITS.bodySizeBytesMax - random.below(3))]
              : Array.from({ length: MANY }, () =>
                  messageOf(counter, 20_000 + random.below(60_000)),
                );
          storedBytes += messages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
          await client.send('large', messages);
          await pauseFor(random, PAUSE_MS, context.stopping);
        }),
      ),
      consumer(context, 'large', 'large', 0),
    ]);
  },
};

function messageOf(counter: { next: number }, sizeBytes: number): Message {
  const sequence = counter.next++;
  return { id: `large-${sequence}`, sequence, sizeBytes };
}
