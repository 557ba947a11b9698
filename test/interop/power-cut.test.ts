/** Real power cuts under load, of one node, of two and of all: what was acknowledged is still there. */
import { deepEqual, equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { CuttableDisk, powerCutObstacle } from './power-cut.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const LANES = 16;
const NODE_IDS = ['n1', 'n2', 'n3'] as const;

const obstacle = powerCutObstacle();
const skip = obstacle === null ? false : `power cut: ${obstacle}`;

interface CuttableCluster {
  readonly cluster: TestCluster;
  /** Kills the nodes and cuts the power of their disks, then gives the power back. */
  cut(nodeIds: readonly string[]): Promise<void>;
}

/** Each node's data is on a disk of its own. */
async function startCuttableCluster(owner: Owner): Promise<CuttableCluster> {
  const disks = new Map<string, CuttableDisk>();
  for (const nodeId of NODE_IDS) {
    const disk = new CuttableDisk(nodeId);
    owner.after(async () => disk.destroy());
    disks.set(nodeId, disk);
  }
  const directoryOf = (nodeId: string): string => `${disks.get(nodeId)!.mountPoint}/data`;
  const cluster = await TestCluster.start({ directoryOf });
  owner.after(() => cluster.close());
  return {
    cluster,
    cut: async (nodeIds) => {
      const kills = nodeIds.map((nodeId) => cluster.kill(nodeId));
      for (const nodeId of nodeIds) disks.get(nodeId)!.cut();
      await Promise.all(kills);
      for (const nodeId of nodeIds) disks.get(nodeId)!.remount();
    },
  };
}

suite('power cut under load', { timeout: 300_000, skip }, () => {
  test('of the leader: the others go on, it comes back and catches up, nothing is lost', async (t) => {
    await owning(async (owner) => {
      const { cluster, cut } = await startCuttableCluster(owner);
      const leader = await cluster.leader();
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const producer = await startProducer(owner, survivor.grpc, 'power-one');
      const load = new LoadProducer(owner, producer, 'power-one', LANES);
      await sentMore(load, 300);
      await cut([leader]);
      await sentMore(load, 200);
      await cluster.startNode(leader);
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged`);
      deepEqual(load.failures, []);
      await allReceived(owner, load, cluster, survivor.grpc, 'power-one');
      await everyReplicaHolds(cluster, 'power-one', load.sent);
    });
  });

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
