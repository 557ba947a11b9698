/**
 * A directory that is there twice, or comes back after the group has moved on (H21, H23), under load: a
 * clone runs beside its original, and an older copy returns under another leader than the one it knew.
 */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { LONG_BODY_TIMEOUT_MS, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const LANES = 4;
const DIRECTORY_LOCKED = 75;
const REFUSED_BY_GROUP = 80;
/** It ends after 30 s of refusals. */
const REFUSAL_MS_MAX = 60_000;

suite('directories that are there twice', { timeout: 290_000 }, () => {
  test('one of a clone and its original is refused, and an older copy under a new leader too', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({ nodeCount: 5 });
      owner.after(() => cluster.close());
      const first = await cluster.leader();
      const others = cluster.nodes.filter(({ nodeId }) => nodeId !== first);
      const [cloned, restored, ...healthy] = others;
      const whole = [first, ...healthy.map(({ nodeId }) => nodeId)];
      const producer = await startProducer(owner, healthy[0]!.grpc, 'doubled');
      const load = new LoadProducer(owner, producer, 'doubled', LANES);
      await sentMore(load, 200);
      await cluster.kill(restored!.nodeId, 'SIGTERM');
      const copy = `${restored!.directory}-copy`;
      cpSync(restored!.directory, copy, { recursive: true });
      await cluster.startNode(restored!.nodeId);
      await sentMore(load, 100);
      // Another leader than at the time of the copy.
      await cluster.kill(first);
      await sentMore(load, 100);
      await cluster.startNode(first);
      await cluster.kill(restored!.nodeId);
      rmSync(restored!.directory, { recursive: true });
      cpSync(copy, restored!.directory, { recursive: true });
      await cluster.startNode(restored!.nodeId);

      // As a machine is cloned: at one moment, while it runs.
      process.kill(cluster.pidOf(cloned!.nodeId), 'SIGSTOP');
      const clone = `${cloned!.directory}-clone`;
      cpSync(cloned!.directory, clone, { recursive: true });
      process.kill(cluster.pidOf(cloned!.nodeId), 'SIGCONT');
      // On the machine of its original it does not even start.
      const started = cluster.startDouble('clone', cloned!.nodeId, clone);
      await rejects(started, new RegExp(`exited with ${DIRECTORY_LOCKED}.* is using it`));
      // On another one nobody knows the process that its lock names.
      rmSync(join(clone, 'LOCK'));
      await cluster.startDouble('clone', cloned!.nodeId, clone);
      load.slow();
      const ended = await waitFor(
        'the end of the clone or of its original',
        async () => ['clone', cloned!.nodeId].find((name) => !cluster.isRunning(name)) ?? null,
        REFUSAL_MS_MAX,
      );
      equal(await cluster.exitOf(ended), REFUSED_BY_GROUP, ended);
      equal(await cluster.exitOf(restored!.nodeId, REFUSAL_MS_MAX), REFUSED_BY_GROUP);
      for (const name of [ended, restored!.nodeId]) {
        match(cluster.logOf(name), /"event":"process\.fatal".*"kind":"refusedByGroup"/);
      }
      load.fast();
      await sentMore(load, 200);
      await load.stop();
      t.diagnostic(`${load.sent.length} acknowledged; of clone and original ended: ${ended}`);
      deepEqual(load.failures, []);
      await cluster.converged(whole);
      await allReceived(owner, load, cluster, healthy[0]!.grpc, 'doubled');
      await cluster.kill('clone');
      await everyReplicaHolds(cluster, 'doubled', load.sent, whole);
    }, LONG_BODY_TIMEOUT_MS);
  });
});
