/** Disks that fill up under load, and are freed: of a leader, of a follower, of all (H10). */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  allReceived,
  drain,
  LoadProducer,
  sentMore,
  startProducer,
  startSimpleConsumer,
} from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { SmallDisk, smallDiskObstacle } from './small-disk.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const MIB = 1024 * 1024;
const DISK_SIZE_BYTES = 192 * MIB;
const LANES = 8;
const NODE_IDS = ['n1', 'n2', 'n3'] as const;
/** Below the reserve of such a disk with segments of 4 MiB, 24 MiB. */
const ALMOST_FULL_BYTES = 18 * MIB;
/** To fill two segments, or to catch up with several. */
const SEEN_TIMEOUT_MS = 60_000;
const REFUSED = /42900.*The disk of the leader is full: \d+ of \d+ bytes are free/;
const FULL = 'mqraft_disk_room{level="full"}';

const obstacle = smallDiskObstacle();
const skip = obstacle === null ? false : `full disk: ${obstacle}`;

interface SmallCluster {
  readonly cluster: TestCluster;
  readonly pids: readonly number[];
  disk(nodeId: string): SmallDisk;
  /** The node has seen how full its disk is. */
  sees(nodeId: string, sample: string, value: number): Promise<void>;
}

async function startSmallCluster(owner: Owner): Promise<SmallCluster> {
  const disks = new Map<string, SmallDisk>();
  for (const nodeId of NODE_IDS) {
    const disk = new SmallDisk(nodeId, DISK_SIZE_BYTES);
    owner.after(async () => disk.destroy());
    disks.set(nodeId, disk);
  }
  const directoryOf = (nodeId: string): string => `${disks.get(nodeId)!.mountPoint}/data`;
  const cluster = await TestCluster.start({ directoryOf });
  owner.after(() => cluster.close());
  return {
    cluster,
    pids: pidsOf(cluster),
    disk: (nodeId) => disks.get(nodeId)!,
    sees: async (nodeId, sample, value) => {
      await waitFor(
        `${sample} ${value} at ${nodeId}`,
        async () => {
          if (!cluster.isRunning(nodeId)) {
            throw new Error(
              `${nodeId} ended and said last: ${cluster.logOf(nodeId).slice(-2_000)}`,
            );
          }
          return (await cluster.metrics(nodeId))?.get(sample) === value ? true : null;
        },
        SEEN_TIMEOUT_MS,
      );
    },
  };
}

function pidsOf(cluster: TestCluster): readonly number[] {
  return NODE_IDS.map((nodeId) => cluster.pidOf(nodeId));
}

async function refusedMore(load: LoadProducer, count: number): Promise<void> {
  const goal = load.failures.length + count;
  await waitFor(`${count} refused sends`, async () => (load.failures.length >= goal ? true : null));
}

function onlyRefusals(load: LoadProducer): void {
  for (const { name, message } of load.failures) match(`${name} ${message}`, REFUSED);
}

/** Two at a time: one of them waits for most of its time. */
suite('full disk under load', { timeout: 290_000, concurrency: 2, skip }, () => {
  test('of the leader: sends are refused with the number, consumers go on, room cures it', async (t) => {
    await owning(async (owner) => {
      const { cluster, pids, disk, sees } = await startSmallCluster(owner);
      const leader = await cluster.leader();
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const producer = await startProducer(owner, survivor.grpc, 'full-leader');
      const load = new LoadProducer(owner, producer, 'full-leader', LANES);
      await sentMore(load, 300);
      disk(leader).fill(ALMOST_FULL_BYTES);
      await sees(leader, FULL, 1);
      await refusedMore(load, 3 * LANES);

      const stored = new Set(load.sent.map(({ messageId }) => messageId));
      const consumer = await startSimpleConsumer(owner, survivor.grpc, 'full-leader', 'meanwhile');
      const received = await drain(consumer, stored, 60_000);
      ok(received.length >= stored.size, 'receives and acknowledgements need no more room');

      disk(leader).free();
      await sees(leader, FULL, 0);
      await sentMore(load, 300);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} refused`);
      onlyRefusals(load);
      equal(await cluster.leader(), leader, 'a full disk moves no leader');
      deepEqual(pidsOf(cluster), pids, 'no process has ended');
      await allReceived(owner, load, cluster, survivor.grpc, 'full-leader');
      await everyReplicaHolds(cluster, 'full-leader', load.sent);
    });
  });

  test('of a follower, to the last byte: the group goes on, and it catches up without a restart', async (t) => {
    await owning(async (owner) => {
      const { cluster, pids, disk, sees } = await startSmallCluster(owner);
      const leader = await cluster.leader();
      const follower = NODE_IDS.find((nodeId) => nodeId !== leader)!;
      const producer = await startProducer(owner, cluster.node(leader).grpc, 'full-follower');
      // So large that two prepared segments are used up soon, also by a machine that is slow.
      const padding = 'x'.repeat(32 * 1024);
      const load = new LoadProducer(owner, producer, 'full-follower', 2, padding);
      await sentMore(load, 20);
      disk(follower).fill(0);
      await sees(follower, FULL, 1);
      await sees(follower, 'mqraft_log_waits_for_room', 1);
      await sentMore(load, 20);
      // No more of it: how much a machine sends in the time below differs, and the disks of the others,
      // and what is freed on this one, must have room for it.
      await load.stop();
      // Longer than a stalled disk may hang: what waits for room is not a stalled disk.
      const oldestPending = 'mqraft_oldest_pending_write_seconds';
      await waitFor('a write that waits for 22 s', async () => {
        const seconds = (await cluster.metrics(follower))?.get(oldestPending) ?? 0;
        return seconds > 22 ? true : null;
      });
      deepEqual(load.failures, []);
      deepEqual(pidsOf(cluster), pids, 'no process has ended');
      disk(follower).free();
      await sees(follower, 'mqraft_log_waits_for_room', 0);
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged`);
      deepEqual(pidsOf(cluster), pids);
      await allReceived(owner, load, cluster, cluster.node(leader).grpc, 'full-follower');
      await everyReplicaHolds(cluster, 'full-follower', load.sent);
    });
  });

  test('of all, to the last byte: nothing acknowledged is lost, and room cures it', async (t) => {
    await owning(async (owner) => {
      const { cluster, pids, disk, sees } = await startSmallCluster(owner);
      const producer = await startProducer(owner, cluster.nodes[0]!.grpc, 'full-all');
      const load = new LoadProducer(owner, producer, 'full-all', LANES);
      await sentMore(load, 300);
      for (const nodeId of NODE_IDS) disk(nodeId).fill(0);
      for (const nodeId of NODE_IDS) await sees(nodeId, FULL, 1);
      await refusedMore(load, 3 * LANES);
      deepEqual(pidsOf(cluster), pids, 'no process has ended');
      for (const nodeId of NODE_IDS) disk(nodeId).free();
      await sentMore(load, 300);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} refused`);
      deepEqual(pidsOf(cluster), pids);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, 'full-all');
      await everyReplicaHolds(cluster, 'full-all', load.sent);
    });
  });
});
