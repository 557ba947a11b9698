/** Gateways that tell clients what they cannot know. */
import { advance } from '../../../src/base/units.ts';
import type { Gateway } from '../../../src/broker/gateway.ts';
import { BrokerError } from '../../../src/broker/verbs.ts';
import { recordsOf } from '../../../src/protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../../src/raft/entry.ts';
import type { Replica } from '../../../src/replica/replica.ts';
import type { CommitLog, StoredEntry } from '../../../src/store/commit-log.ts';
import { withOverrides } from './with-overrides.ts';

/** A call that has run out of time is said to have had no effect (H29). */
export function callsTimeoutsFailures(gateway: Gateway): Gateway {
  return withOverrides(gateway, {
    call: async (request, context) => {
      try {
        return await gateway.call(request, context);
      } catch (error) {
        const isTimeout = error instanceof BrokerError && error.code === 'timeout';
        throw isTimeout ? new BrokerError('busy', error.message) : error;
      }
    },
  });
}

/** What was written to each log in this life and is not cut. */
const written = new WeakMap<CommitLog, StoredEntry[]>();

export function remembersWrites(log: CommitLog): CommitLog {
  const entries: StoredEntry[] = [];
  const spied = withOverrides(log, {
    persist: (write) => {
      const { truncateFrom } = write;
      while (truncateFrom !== null && (entries.at(-1)?.desc.index ?? 0) >= truncateFrom) {
        entries.pop();
      }
      entries.push(...write.entries);
      log.persist(write);
    },
  });
  written.set(spied, entries);
  return spied;
}

/** Descriptions of topics count messages that are written and not committed. */
export function showsUncommitted(gateway: Gateway, replica: Replica): Gateway {
  return withOverrides(gateway, {
    call: async (request, context) => {
      const response = await gateway.call(request, context);
      if (response.kind !== 'topic' || replica.leadership() === null) return response;
      const entries = written.get(replica.log) ?? [];
      const open = entries.filter(({ desc }) => desc.index > replica.state.appliedIndex);
      const counts = new Map<number, number>();
      for (const { desc, bytes } of open) {
        if (desc.type !== 'data') continue;
        const from = ENTRY_HEADER_SIZE_BYTES;
        for (const record of recordsOf(bytes.subarray(from, from + desc.payloadSizeBytes))) {
          if (record.kind !== 'message' || record.message.topic !== response.topic.topic) continue;
          const { queueId } = record.message;
          counts.set(queueId, (counts.get(queueId) ?? 0) + 1);
        }
      }
      const queues = response.topic.queues.map((queue) => ({
        ...queue,
        nextOffset: advance(queue.nextOffset, counts.get(queue.queueId) ?? 0),
      }));
      return { ...response, topic: { ...response.topic, queues } };
    },
  });
}
