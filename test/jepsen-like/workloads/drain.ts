/**
 * The end of a run: with everything healed, each topic is read by a fresh group until the reader has
 * seen every offset that the topic says it has. Without this nobody could tell a late message from a lost one.
 */
import { Bookkeeper } from './client.ts';
import type { Workload, WorkloadContext } from './workload.ts';

const GROUP = 'final-readers';

/** @returns what could not be read to the end */
export async function drainAll(
  workloads: readonly Workload[],
  context: Omit<WorkloadContext, 'stopping'>,
  timeoutMs: number,
): Promise<readonly string[]> {
  const deadlineAtMs = performance.now() + timeoutMs;
  const topics = workloads.flatMap(({ name, topics }) => topics.map((topic) => ({ name, topic })));
  const problems = await Promise.all(
    topics.map(({ name, topic }, number) => drain(context, name, topic, number, deadlineAtMs)),
  );
  return problems.flat();
}

async function drain(
  { recorder, endpoints }: Omit<WorkloadContext, 'stopping'>,
  workload: string,
  topic: string,
  number: number,
  deadlineAtMs: number,
): Promise<readonly string[]> {
  const name = `${workload}-final-${topic}`;
  const client = new Bookkeeper({ recorder, workload, name, endpoints, number });
  const seen = new Map<number, Set<number>>();
  let missing = Number.NaN;
  try {
    while (performance.now() < deadlineAtMs) {
      const held = await client.receive(topic, GROUP, { final: true });
      for (const { queueId, queueOffset } of held ?? []) {
        seen.set(queueId, (seen.get(queueId) ?? new Set()).add(queueOffset));
      }
      if (held === null || held.length > 0) {
        if (held !== null) await client.ack(topic, GROUP, held);
        continue;
      }
      const queues = await client.topicDescribe(topic);
      if (queues === null) continue;
      missing = 0;
      for (const { queueId, minOffset, nextOffset } of queues) {
        for (let at = minOffset; at < nextOffset; at++) if (!seen.get(queueId)?.has(at)) missing++;
      }
      if (missing === 0) return [];
    }
    return [`${topic} was not read to the end in time: ${missing} messages are missing`];
  } finally {
    client.close();
  }
}
