/** Real power cuts under load, of two nodes and of all: what was acknowledged is still there. */
import { equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { NODE_IDS, skipPowerCut, startCuttableCluster } from './cuttable-cluster.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { waitFor } from './test-cluster.ts';

const LANES = 16;

suite('power cut under load', { timeout: 290_000, skip: skipPowerCut }, () => {
  test('of the leader and a follower at once: nothing is served, they come back, nothing is lost', async (t) => {
    await owning(async (owner) => {
      const { cluster, cut } = await startCuttableCluster(owner);
      const leader = await cluster.leader();
      const [follower, left] = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
      const both = [leader, follower!.nodeId];
      const producer = await startProducer(owner, left!.grpc, 'power-two');
      const load = new LoadProducer(owner, producer, 'power-two', LANES);
      await sentMore(load, 300);
      await cut(both);
      await waitFor('the one that is left to stop following', async () => {
        const metrics = await cluster.metrics(left!.nodeId);
        return metrics?.get('mqraft_raft_role{role="follower"}') === 0 ? true : null;
      });
      const acknowledged = load.sent.length;
      await waitFor('sends to fail', async () => (load.failures.length >= LANES ? true : null));
      equal(load.sent.length, acknowledged, 'one of three acknowledges nothing');
      await Promise.all(both.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      await allReceived(owner, load, cluster, left!.grpc, 'power-two');
      await everyReplicaHolds(cluster, 'power-two', load.sent);
    });
  });

  test('of all three at once: everything acknowledged is there after the restart', async (t) => {
    await owning(async (owner) => {
      const { cluster, cut } = await startCuttableCluster(owner);
      const producer = await startProducer(owner, cluster.nodes[0]!.grpc, 'power-all');
      const load = new LoadProducer(owner, producer, 'power-all', LANES);
      await sentMore(load, 500);
      await cut(NODE_IDS);
      await Promise.all(NODE_IDS.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      equal(
        cluster.nodes.every(({ nodeId }) => cluster.isRunning(nodeId)),
        true,
      );
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, 'power-all');
      await everyReplicaHolds(cluster, 'power-all', load.sent);
    });
  });
});
