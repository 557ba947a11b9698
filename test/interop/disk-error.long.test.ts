/** A disk that refuses a sync again and again (H2) under load, as the kernel tells it. */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { failurePathsOf, readDiskFailures } from '../../src/bin/disk-failures.ts';
import { failNextSync } from './failing-sync.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { smallDiskObstacle } from './small-disk.ts';
import { TestCluster } from './test-cluster.ts';

const MIB = 1024 * 1024;
const LANES = 8;
const DISK_FAILED = 74;
const DISK_DISTRUSTED = 81;

const noStrace = smallDiskObstacle('strace');

suite('syncs that fail under load', { timeout: 290_000, skip: noStrace ?? false }, () => {
  test('three times within an hour: the node stays down until somebody has looked', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({ segmentSizeBytes: 64 * MIB });
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const sick = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const endpoint = cluster.node(leader).grpc;
      const producer = await startProducer(owner, endpoint, 'sync-errors');
      const load = new LoadProducer(owner, producer, 'sync-errors', LANES);
      for (let count = 1; count <= 3; count++) {
        await sentMore(load, 50);
        await failNextSync(owner, cluster, sick.nodeId);
        equal(await cluster.exitOf(sick.nodeId), DISK_FAILED);
        equal(readDiskFailures(sick.directory).length, count);
        if (count < 3) await cluster.startNode(sick.nodeId);
      }
      for (let attempt = 1; attempt <= 2; attempt++) {
        await rejects(cluster.startNode(sick.nodeId), (error: unknown) => {
          const { message } = error as Error;
          match(message, new RegExp(`exited with ${DISK_DISTRUSTED}`));
          match(
            message,
            /failed 3 times within an hour.*stays down.*Then delete .*DISK_FAILED and/,
          );
          return true;
        });
      }
      equal(readDiskFailures(sick.directory).length, 3, 'a refused start is no failure');
      await sentMore(load, 50);
      for (const path of failurePathsOf(sick.directory)) rmSync(path);
      await cluster.startNode(sick.nodeId);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged`);
      deepEqual(load.failures, []);
      await allReceived(owner, load, cluster, endpoint, 'sync-errors');
      await everyReplicaHolds(cluster, 'sync-errors', load.sent);
    });
  });
});
