/** W9: topics are made, described and deleted by several clients at once. */
import { lane, pauseFor, type Workload } from './workload.ts';

const TOPIC_COUNT = 4;
const PAUSE_MS = 100;

export const adminWorkload: Workload = {
  name: 'admin',
  topics: [],
  prepare: async () => {},
  run: async (context) => {
    await Promise.all(
      [0, 1, 2].map((number) =>
        lane(context, 'admin', 'operator', number, async (client, random) => {
          const topic = `admin-${random.below(TOPIC_COUNT)}`;
          switch (random.below(4)) {
            case 0:
              await client.topicPut(topic, 2);
              break;
            case 1:
              await client.topicDelete(topic);
              break;
            default:
              await client.topicDescribe(topic);
          }
          await pauseFor(random, PAUSE_MS, context.stopping);
        }),
      ),
    );
  },
};
