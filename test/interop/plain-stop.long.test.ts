/**
 * Nodes that are told to stop without having been drained take their leave within a grace: no send of the official
 * client fails, though it has nowhere else to go when the last one stops.
 */
import { deepEqual, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConsumeResult } from 'rocketmq-client-nodejs';
import {
  allReceived,
  LoadProducer,
  sentMore,
  startProducer,
  startPushConsumer,
} from './official-client.ts';
import { owning } from './owner.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TOPIC = 'stopped';
const GRACE_SECONDS = 5;

suite('a plain stop', { timeout: 170_000 }, () => {
  test('of each node in turn under official clients: no send fails', async (t) => {
    await owning(async (owner) => {
      const grace = ['--stop-grace-seconds', String(GRACE_SECONDS)];
      const cluster = await TestCluster.start({ brokerArgs: grace });
      owner.after(() => cluster.close());
      const producer = await startProducer(owner, cluster.nodes[0]!.grpc, TOPIC);
      const load = new LoadProducer(owner, producer, TOPIC, 4);
      const pushed = new Set<string>();
      await startPushConsumer(owner, cluster.nodes[1]!.grpc, TOPIC, 'pushed', ({ messageId }) => {
        pushed.add(messageId);
        return ConsumeResult.SUCCESS;
      });
      await sentMore(load, 100);
      load.slow();
      for (const { nodeId } of cluster.nodes) {
        await cluster.leader();
        const stoppedAtMs = performance.now();
        await cluster.kill(nodeId, 'SIGTERM');
        const tookMs = performance.now() - stoppedAtMs;
        await sentMore(load, 20);
        await cluster.startNode(nodeId);
        t.diagnostic(`${nodeId} took its leave in ${Math.round(tookMs)} ms`);
      }
      await load.stop();
      t.diagnostic(`${load.sent.length} sends, longest gap ${Math.round(load.longestGapMs())} ms`);
      deepEqual(
        load.failures.map(({ message }) => message),
        [],
      );
      ok(load.sent.length > 0);
      await waitFor('the consumer', async () =>
        load.sent.every(({ messageId }) => pushed.has(messageId)) ? true : null,
      );
      await cluster.converged();
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, TOPIC);
    });
  });
});
