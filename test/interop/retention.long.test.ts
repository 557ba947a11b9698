/** Messages that expire by age while a consumer is away: it goes on with what is kept, and nothing hangs. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConsumeResult } from 'rocketmq-client-nodejs';
import { readWholeTopic } from './audit.ts';
import { inTime } from './deadline.ts';
import {
  closeClients,
  drain,
  INVISIBLE_MS,
  sentMore,
  startPushConsumer,
  startSimpleConsumer,
} from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { unexpiredOf } from './retention-audit.ts';
import { metricOf, PATIENCE_MS, startSmallLog } from './small-log.ts';
import { waitFor } from './test-cluster.ts';

/** 10.8 s: the newest message is read before it is so old. What nobody has consumed goes as well. */
const RETENTION_HOURS = '0.003';
const DRAIN_TIMEOUT_MS = 60_000;

suite('expired messages', { timeout: 170_000 }, () => {
  test('consumers that are before the beginning of their queues go on with what is kept', async (t) => {
    await owning(async (owner) => {
      const topic = 'expiring';
      const brokerArgs = ['--retention-hours', RETENTION_HOURS];
      const { cluster, load, leader } = await startSmallLog(owner, topic, { brokerArgs });
      const endpoints = cluster.node(leader).grpc;
      await sentMore(load, 200);
      const consumer = await startSimpleConsumer(owner, endpoints, topic, 'away');
      const views = await inTime('messages', consumer.receive(32, INVISIBLE_MS));
      ok(views.length > 1, `${views.length} messages`);
      const held = views.slice(1);
      await consumer.ack(views[0]!);
      const pushed = new Set<string>();
      const consume = ({ messageId }: { readonly messageId: string }): ConsumeResult => {
        pushed.add(messageId);
        return ConsumeResult.SUCCESS;
      };
      const push = () => startPushConsumer(owner, endpoints, topic, 'pushed', consume);
      const before = await push();
      await waitFor('pushed messages', async () => (pushed.size > 0 ? true : null));
      await inTime('the consumer to stop', before.shutdown());

      const lastIndex = await metricOf(cluster, leader, 'mqraft_raft_last_index');
      load.slow();
      await waitFor(
        'all of it to expire',
        async () => {
          const start = await metricOf(cluster, leader, 'mqraft_log_start_index');
          return start > lastIndex ? true : null;
        },
        PATIENCE_MS,
      );
      await sentMore(load, 10);
      await load.stop();
      const newest = load.sent.at(-1)!.messageId;
      // Late, and of messages that are gone: whatever the answer is, there is one.
      const late = Promise.allSettled(held.map((view) => consumer.ack(view)));
      await inTime('late acknowledgements', late);
      const received = await drain(consumer, new Set([newest]), DRAIN_TIMEOUT_MS);
      await push();
      await waitFor('the newest message, pushed', async () => (pushed.has(newest) ? true : null));

      // What is there now was there while they read.
      const kept = (await readWholeTopic(cluster, topic)).map(({ messageId }) => messageId);
      const gone = load.sent.length - kept.length;
      ok(gone >= 200, `${gone} have expired`);
      const readBy = new Set(received.map(({ view }) => view.messageId));
      deepEqual(
        kept.filter((messageId) => !readBy.has(messageId)),
        [],
      );
      await waitFor('all that is kept, pushed', async () => {
        return kept.every((messageId) => pushed.has(messageId)) ? true : null;
      });
      deepEqual(load.failures, []);
      equal(await cluster.leader(), leader);
      t.diagnostic(`${load.sent.length} acknowledged, ${kept.length} kept`);
      await closeClients(owner);
      await everyReplicaHolds(cluster, topic, (isThere) => unexpiredOf(load.sent, isThere));
    });
  });
});
