/** Processes are killed with SIGKILL under load; nothing acknowledged may be missing or doubled. */
import { deepEqual, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster } from './test-cluster.ts';

const LANES = 16;
/** The promise of the design, section 6: election timeout 1-2 s. */
const WRITE_GAP_MS_MAX = 3_000;

suite('fail-over under load', { timeout: 300_000 }, () => {
  test('kill -9 of the leader: no failed send, a short gap, nothing lost, nothing twice', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start();
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const producer = await startProducer(owner, survivor.grpc, 'failover');
      const load = new LoadProducer(owner, producer, 'failover', LANES);
      await sentMore(load, 200);
      await cluster.kill(leader);
      await sentMore(load, 500);
      await cluster.startNode(leader);
      await sentMore(load, 200);
      await load.stop();
      await cluster.converged();
      t.diagnostic(
        `${load.sent.length} messages, longest gap ${Math.round(load.longestGapMs())} ms`,
      );
      deepEqual(load.failures, []);
      ok(load.longestGapMs() < WRITE_GAP_MS_MAX, `gap of ${load.longestGapMs()} ms`);
      await allReceived(owner, load, cluster, survivor.grpc, 'failover');
      await everyReplicaHolds(cluster, 'failover', load.sent);
    });
  });

  test('kill -9 of all three at once: everything acknowledged is there after the restart', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start();
      owner.after(() => cluster.close());
      const producer = await startProducer(owner, cluster.nodes[0]!.grpc, 'blackout');
      const load = new LoadProducer(owner, producer, 'blackout', LANES);
      await sentMore(load, 500);
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.kill(nodeId)));
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, 'blackout');
      await everyReplicaHolds(cluster, 'blackout', load.sent);
    });
  });
});
