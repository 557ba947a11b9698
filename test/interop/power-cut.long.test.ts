/** A real power cut under load, of one node: the others go on. */
import { deepEqual } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { skipPowerCut, startCuttableCluster } from './cuttable-cluster.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';

const LANES = 16;

suite('power cut of one under load', { timeout: 290_000, skip: skipPowerCut }, () => {
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
});
