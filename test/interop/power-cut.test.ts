/** Real power cuts under load, of one node and of all: what was acknowledged is still there. */
import { deepEqual, equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { CuttableDisk, powerCutObstacle } from './power-cut.ts';
import { TestCluster } from './test-cluster.ts';

const LANES = 16;
const NODE_IDS = ['n1', 'n2', 'n3'] as const;

const obstacle = powerCutObstacle();
const skip = obstacle === null ? false : `power cut: ${obstacle}`;

/** Runs with each node's data on a disk of its own. */
async function withCuttableCluster(
  body: (cluster: TestCluster, cut: (nodeIds: readonly string[]) => Promise<void>) => Promise<void>,
): Promise<void> {
  const disks = new Map<string, CuttableDisk>();
  let cluster: TestCluster | null = null;
  try {
    for (const nodeId of NODE_IDS) disks.set(nodeId, new CuttableDisk(nodeId));
    const directoryOf = (nodeId: string): string => `${disks.get(nodeId)!.mountPoint}/data`;
    cluster = await TestCluster.start({ directoryOf });
    const running = cluster;
    await body(running, async (nodeIds) => {
      const kills = nodeIds.map((nodeId) => running.kill(nodeId));
      for (const nodeId of nodeIds) disks.get(nodeId)!.cut();
      await Promise.all(kills);
      for (const nodeId of nodeIds) disks.get(nodeId)!.remount();
    });
  } finally {
    await cluster?.close();
    for (const disk of disks.values()) disk.destroy();
  }
}

suite('power cut under load', { timeout: 300_000, skip }, () => {
  test('of the leader: the others go on, it comes back and catches up, nothing is lost', async (t) => {
    await withCuttableCluster(async (cluster, cut) => {
      const leader = await cluster.leader();
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const producer = await startProducer(t, survivor.grpc, 'power-one');
      const load = new LoadProducer(t, producer, 'power-one', LANES);
      await sentMore(load, 300);
      await cut([leader]);
      await sentMore(load, 200);
      await cluster.startNode(leader);
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged`);
      deepEqual(load.failures, []);
      await allReceived(t, load, cluster, survivor.grpc, 'power-one');
    });
  });

  test('of all three at once: everything acknowledged is there after the restart', async (t) => {
    await withCuttableCluster(async (cluster, cut) => {
      const producer = await startProducer(t, cluster.nodes[0]!.grpc, 'power-all');
      const load = new LoadProducer(t, producer, 'power-all', LANES);
      await sentMore(load, 500);
      await cut(NODE_IDS);
      await Promise.all(NODE_IDS.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      await allReceived(t, load, cluster, cluster.nodes[0]!.grpc, 'power-all');
      equal(
        cluster.nodes.every(({ nodeId }) => cluster.isRunning(nodeId)),
        true,
      );
    });
  });
});
