/**
 * W5: acknowledged progress as a register. Each queue of its own topic has one consumer, which takes one
 * message at a time: an acknowledgement of the message at offset n writes n + 1, and whoever describes
 * the group reads it.
 */
import { lane, makeTopic, pauseFor, type Workload } from './workload.ts';

const REGISTERS = [0, 1] as const;
const GROUP = 'offset-holders';
const READ_PAUSE_MS = 60;
const WRITE_PAUSE_MS = 40;
const FEED_PAUSE_MS = 80;
const topicOf = (register: number): string => `offsets-${register}`;

export const offsetsWorkload: Workload = {
  name: 'offsets',
  topics: REGISTERS.map(topicOf),
  prepare: async (context) => {
    for (const register of REGISTERS) {
      await makeTopic(context, 'offsets', topicOf(register), 1);
    }
  },
  run: async (context) => {
    const counter = { next: 0 };
    const { stopping } = context;
    await Promise.all([
      lane(context, 'offsets', 'feeder', 0, async (client, random) => {
        for (const register of REGISTERS) {
          const sequence = counter.next++;
          const message = { id: `offsets-${sequence}`, sequence, sizeBytes: 100 };
          await client.send(topicOf(register), [message]);
        }
        await pauseFor(random, FEED_PAUSE_MS, stopping);
      }),
      ...REGISTERS.map((register) =>
        lane(context, 'offsets', 'writer', register, async (client, random) => {
          const topic = topicOf(register);
          const held = await client.receive(topic, GROUP, { batchSize: 1 });
          if (held !== null && held.length > 0) await client.ack(topic, GROUP, held);
          await pauseFor(random, WRITE_PAUSE_MS, stopping);
        }),
      ),
      ...[0, 1, 2].map((number) =>
        lane(context, 'offsets', 'reader', number, async (client, random) => {
          await client.readOffsets(topicOf(random.pick(REGISTERS)), GROUP);
          await pauseFor(random, READ_PAUSE_MS, stopping);
        }),
      ),
    ]);
  },
};
