/**
 * A follower loses its directory at the moment in which its acknowledgements decide (H22): two of three
 * hold what was acknowledged, and the wiped one is one of them. It must not make a majority with the one
 * that was away, or all of it is gone.
 */
import { deepEqual, equal } from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { LONG_BODY_TIMEOUT_MS, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const LANES = 8;
const REFUSED_BY_GROUP = 80;
/** It ends after 30 s of refusals. */
const REFUSAL_MS_MAX = 60_000;
/** A node tries to be elected every 1 to 2 s: that is at least twice, of each. */
const ELECTIONS_MS = 5_000;

suite('a follower that is wiped when it decides', { timeout: 290_000 }, () => {
  test('it elects nobody, is refused, and what it acknowledged is there', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start();
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const [wiped, away] = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
      const { nodeId: wipedId, directory } = wiped!;
      const { nodeId: awayId } = away!;
      const producer = await startProducer(owner, cluster.node(leader).grpc, 'decisive-wipe');
      const load = new LoadProducer(owner, producer, 'decisive-wipe', LANES);
      await sentMore(load, 200);
      await cluster.kill(awayId);
      // From here on the one that will be wiped decides about each of them.
      await sentMore(load, 300);
      await Promise.all([cluster.kill(wipedId), cluster.kill(leader)]);
      rmSync(directory, { recursive: true });
      await Promise.all([wipedId, awayId].map((nodeId) => cluster.startNode(nodeId)));
      const roles: string[] = [];
      const untilMs = performance.now() + ELECTIONS_MS;
      await waitFor('the time of several elections to pass', async () => {
        for (const nodeId of [wipedId, awayId]) {
          const metrics = await cluster.metrics(nodeId);
          if (metrics?.get('mqraft_raft_role{role="leader"}') === 1) roles.push(nodeId);
        }
        return performance.now() > untilMs ? true : null;
      });
      deepEqual(roles, [], 'nobody leads without the one that has everything');
      await cluster.startNode(leader);
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      equal(await cluster.exitOf(wipedId, REFUSAL_MS_MAX), REFUSED_BY_GROUP);
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      await allReceived(owner, load, cluster, cluster.node(leader).grpc, 'decisive-wipe');
      await everyReplicaHolds(cluster, 'decisive-wipe', load.sent, [leader, awayId]);
    }, LONG_BODY_TIMEOUT_MS);
  });
});
