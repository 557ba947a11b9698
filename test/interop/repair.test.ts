/** Real brokers with damaged logs: they repair themselves from the others before they take part. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { aWorkingDirectory, mqRaft } from './dev-process.ts';
import { allReceived } from './official-client.ts';
import { owning } from './owner.ts';
import {
  ANSWER_TIMEOUT_MS,
  dataOf,
  entriesOf,
  eventsOf,
  flipIn,
  loaded,
  NODE_IDS,
  readiness,
  sameBytes,
  segmentNames,
} from './repair-scene.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { waitFor } from './test-cluster.ts';

suite('repair of damaged logs', { timeout: 290_000 }, () => {
  test('a deleted segment file comes back', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-file');
      const damaged = 'n3';
      await cluster.kill(damaged);
      rmSync(join(dataOf(cluster, damaged), segmentNames(cluster, damaged)[1]!));
      await cluster.startNode(damaged);
      await cluster.converged();
      ok(eventsOf(cluster, damaged).includes('repair.done'));
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.node(damaged).grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });

  test('a damaged node alone waits and says what it lacks; with another one it goes on', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-alone');
      await Promise.all(NODE_IDS.map((nodeId) => cluster.kill(nodeId, 'SIGTERM')));
      const victim = entriesOf(cluster, 'n1')[3]!;
      flipIn(cluster, 'n1', victim);
      const starting = cluster.startNode('n1');
      const said = await waitFor('an answer', () => readiness(cluster, 'n1'));
      equal(said, `503 [-] log: under repair, entry ${victim.index} missing\nfailed\n`);
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      equal((await fetch(`http://${cluster.node('n1').http}/livez`, { signal })).status, 200);
      const metrics = await cluster.metrics('n1');
      equal(metrics?.get('mqraft_repair_missing_entries'), 1);
      await waitFor('the wait', async () => {
        return eventsOf(cluster, 'n1').includes('repair.waiting') ? true : null;
      });
      const cwd = aWorkingDirectory(owner);
      const status = await mqRaft(owner, cwd, 'status', '--endpoints', cluster.node('n1').raft);
      equal(status.code, 6, status.stderr);
      match(status.stdout, / {2}under repair\n/, status.stdout);
      match(status.stdout, new RegExp(`Under repair: entry ${victim.index} missing`));
      const far = await mqRaft(
        owner,
        cwd,
        'repair',
        '--status',
        '--endpoints',
        cluster.node('n1').raft,
      );
      equal(far.code, 8, far.stdout + far.stderr);
      match(far.stdout, /Under repair: entry \d+ missing, [\d.]+ (KiB|bytes) left \(/);
      await cluster.startNode('n2');
      await starting;
      await cluster.leader();
      await cluster.startNode('n3');
      await cluster.converged();
      deepEqual(
        NODE_IDS.map((nodeId) => eventsOf(cluster, nodeId).includes('repair.done')),
        [true, false, false],
      );
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });
});
