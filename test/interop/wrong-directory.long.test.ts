/**
 * Directories that are not what they were (H21 to H23), under load: one was wiped, another one is an older
 * copy. The group refuses both for good and goes on without them; and a clone does not start where its
 * original runs.
 */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster } from './test-cluster.ts';

const LANES = 4;
const DIRECTORY_LOCKED = 75;
const REFUSED_BY_GROUP = 80;
/** It ends after 30 s of refusals. */
const REFUSAL_MS_MAX = 60_000;

suite('directories that are not what they were', { timeout: 170_000 }, () => {
  test('a wiped node and one restored from an older copy are refused, and end with 80; a clone does not start', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({ nodeCount: 5 });
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const others = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
      const [wiped, restored, ...healthy] = others;
      const producer = await startProducer(owner, cluster.node(leader).grpc, 'wrong-directory');
      const load = new LoadProducer(owner, producer, 'wrong-directory', LANES);
      await sentMore(load, 200);

      await cluster.kill(restored!.nodeId, 'SIGTERM');
      const copy = `${restored!.directory}-copy`;
      cpSync(restored!.directory, copy, { recursive: true });
      // It serves on after the copy: what it acknowledges from now on the copy does not know.
      await cluster.startNode(restored!.nodeId);
      await sentMore(load, 200);
      // As a machine is cloned: at one moment, while it runs. Where its original is, it does not even start.
      const original = healthy[0]!;
      const clone = `${original.directory}-clone`;
      process.kill(cluster.pidOf(original.nodeId), 'SIGSTOP');
      cpSync(original.directory, clone, { recursive: true });
      process.kill(cluster.pidOf(original.nodeId), 'SIGCONT');
      await rejects(
        cluster.startDouble('clone', original.nodeId, clone),
        new RegExp(`exited with ${DIRECTORY_LOCKED}.* is using it`),
      );
      await Promise.all([wiped!, restored!].map(({ nodeId }) => cluster.kill(nodeId)));
      rmSync(wiped!.directory, { recursive: true });
      rmSync(restored!.directory, { recursive: true });
      cpSync(copy, restored!.directory, { recursive: true });
      await Promise.all([wiped!, restored!].map(({ nodeId }) => cluster.startNode(nodeId)));
      load.slow();
      for (const { nodeId } of [wiped!, restored!]) {
        equal(await cluster.exitOf(nodeId, REFUSAL_MS_MAX), REFUSED_BY_GROUP, nodeId);
        match(cluster.logOf(nodeId), /"event":"process\.fatal".*"kind":"refusedByGroup"/);
      }
      match(cluster.logOf(leader), /"otherStore"/);
      match(cluster.logOf(leader), /"olderStore"/);
      load.fast();
      await sentMore(load, 200);
      await load.stop();
      t.diagnostic(`${load.sent.length} acknowledged`);
      deepEqual(load.failures, []);
      equal(await cluster.leader(), leader, 'neither of them could disturb the leader');
      const whole = [leader, ...healthy.map(({ nodeId }) => nodeId)];
      await cluster.converged(whole);
      await allReceived(owner, load, cluster, cluster.node(leader).grpc, 'wrong-directory');
      await everyReplicaHolds(cluster, 'wrong-directory', load.sent, whole);
    });
  });
});
