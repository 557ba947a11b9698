/** Real brokers that keep little of their log: who was away for too long catches up by a snapshot. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { readWholeTopic } from './audit.ts';
import { LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 256 * 1024;
const KEPT_SIZE_BYTES = 1024 * 1024;
const GRACE_SECONDS = 3;
const LANES = 8;
/** Retention looks every ten seconds. */
const PATIENCE_MS = 60_000;

async function metricOf(cluster: TestCluster, nodeId: string, name: string): Promise<number> {
  return (await cluster.metrics(nodeId))?.get(name) ?? Number.NaN;
}

/** Of the generation that counts. */
function segmentsOf(cluster: TestCluster, nodeId: string): ReadonlyMap<string, Buffer> {
  const { directory } = cluster.node(nodeId);
  const folders = readdirSync(directory).filter((name) => /^data(-\d+)?$/.test(name));
  equal(folders.length, 1, `one generation is left: ${folders.join()}`);
  const folder = join(directory, folders[0]!);
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

/** From where all of them begin; each has the next segment prepared, or not. */
function assertSameLogs(cluster: TestCluster): void {
  const all = cluster.nodes.map(({ nodeId }) => segmentsOf(cluster, nodeId));
  const names = [...all[0]!.keys()].filter((name) => all.every((each) => each.has(name)));
  ok(names.length >= 3, `${names.length} segments in common`);
  for (const name of names) {
    for (const each of all) ok(each.get(name)!.equals(all[0]!.get(name)!), name);
  }
}

suite('snapshots between brokers', { timeout: 170_000 }, () => {
  test('a follower is killed, the log is compacted past it under load, it comes back and has everything', async () => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({
        segmentSizeBytes: SEGMENT_SIZE_BYTES,
        brokerArgs: [
          ...['--retention-bytes', String(KEPT_SIZE_BYTES)],
          ...['--member-grace-seconds', String(GRACE_SECONDS)],
        ],
      });
      owner.after(() => cluster.close());
      const topic = 'snapshot-load';
      const producer = await startProducer(owner, cluster.nodes[0]!.grpc, topic);
      const load = new LoadProducer(owner, producer, topic, LANES, 'x'.repeat(2_000));
      await sentMore(load, 200);
      const leader = await cluster.leader();
      const victim = cluster.nodes.map(({ nodeId }) => nodeId).find((id) => id !== leader)!;
      const lastIndex = await metricOf(cluster, victim, 'mqraft_raft_last_index');
      await cluster.kill(victim);

      await waitFor(
        'the log to begin behind what the follower has',
        async () => {
          const firstIndex = await metricOf(cluster, leader, 'mqraft_log_first_index');
          return firstIndex > lastIndex + 1 ? true : null;
        },
        PATIENCE_MS,
      );
      await cluster.startNode(victim);
      await waitFor(
        'the follower to have everything by a snapshot',
        async () => {
          const metrics = await cluster.metrics(victim);
          const isInstalled = metrics?.get('mqraft_snapshots_installed_total') === 1;
          const applied = metrics?.get('mqraft_raft_applied_index') ?? 0;
          const committed = await metricOf(cluster, leader, 'mqraft_raft_commit_index');
          return isInstalled && applied > committed - 100 ? true : null;
        },
        PATIENCE_MS,
      );
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      deepEqual(load.failures, []);
      for (const event of ['snapshot.pulled', 'snapshot.installed', 'snapshot.state_rebuilt']) {
        match(cluster.logOf(victim), new RegExp(`"${event}"`));
      }

      // What is unexpired is there, each message once.
      const read = await readWholeTopic(cluster, topic);
      const readIds = new Set(read.map(({ messageId }) => messageId));
      equal(readIds.size, read.length, 'no message twice');
      const firstIds = new Map<number, number>();
      for (const { queueId, queueOffset } of read) {
        firstIds.set(queueId, Math.min(firstIds.get(queueId) ?? queueOffset, queueOffset));
      }
      const newest = load.sent.slice(-200);
      for (const { messageId } of newest) ok(readIds.has(messageId), `${messageId} is readable`);
      for (const [queueId, first] of firstIds) {
        const inQueue = read.filter((message) => message.queueId === queueId);
        const offsets = inQueue.map(({ queueOffset }) => queueOffset).sort((a, b) => a - b);
        deepEqual(
          offsets,
          offsets.map((_, i) => first + i),
          `queue ${queueId} has no hole`,
        );
        ok(first > 0, 'the beginning of the queue is gone');
      }
      // And on the one that was away, when it leads.
      await cluster.kill(leader);
      await cluster.leader();
      const again = await readWholeTopic(cluster, topic);
      deepEqual(
        again.map(({ messageId }) => messageId).sort(),
        read.map(({ messageId }) => messageId).sort(),
      );
      await cluster.startNode(leader);
      await cluster.converged();
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.kill(nodeId, 'SIGTERM')));
      assertSameLogs(cluster);
    });
  });
});
