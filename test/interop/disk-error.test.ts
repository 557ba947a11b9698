/** Disks that refuse a sync (H2) or hang (H11) under load, as the kernel tells it. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { failurePathsOf, readDiskFailures } from '../../src/bin/disk-failures.ts';
import type { MqClient } from '../../src/client/mq-client.ts';
import { anomaliesOf, clientOf, readWholeTopic } from './audit.ts';
import { inTime } from './deadline.ts';
import { failNextSync } from './failing-sync.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { type Acknowledged, everyReplicaHolds } from './replica-audit.ts';
import { SmallDisk, smallDiskObstacle } from './small-disk.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const MIB = 1024 * 1024;
const LANES = 8;
const DISK_FAILED = 74;
/** The watchdog's 20 s, with a busy machine's slack. */
const HANG_MS_MAX = 45_000;
const SLOW_PAUSE_MS = 200;

const noStrace = smallDiskObstacle('strace');
const noFreeze = smallDiskObstacle('fsfreeze');

/**
 * Sends with the project's own client, which rides out everything within its time: the official one
 * reports a connection that breaks in the middle of a stream where no test can catch it.
 */
class OwnLoad {
  readonly sent: Acknowledged[] = [];
  readonly #client: MqClient;
  readonly #lanes: readonly Promise<void>[];
  #isStopping = false;
  #isSlow = false;

  /** @param nodes whom it asks: a node that keeps silent would cost each send its time */
  constructor(owner: Owner, nodes: TestCluster['nodes'], topic: string) {
    this.#client = clientOf({ nodes });
    owner.after(async () => {
      this.#isStopping = true;
      this.#client.close();
      await inTime('the last sends to settle', Promise.allSettled(this.#lanes));
    });
    this.#lanes = Array.from({ length: LANES }, () => this.#run(topic));
  }

  async more(count: number): Promise<void> {
    const goal = this.sent.length + count;
    await waitFor(`${count} more sends`, async () => (this.sent.length >= goal ? true : null));
  }

  /** As LoadProducer. */
  slow(): void {
    this.#isSlow = true;
  }

  /** Rejects when a send has failed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await inTime('the last sends to settle', Promise.all(this.#lanes));
  }

  async #run(topic: string): Promise<void> {
    while (!this.#isStopping) {
      const messageId = randomUUID();
      const [receipt] = await this.#client.send([
        {
          ...{ topic, messageId, tag: null, keys: [], userProperties: {}, traceContext: null },
          ...{ body: Buffer.from(messageId), bodyEncoding: 'identity' },
          ...{ bornTimestampMs: Date.now(), bornHost: '127.0.0.1:1' },
        },
      ]);
      this.sent.push({ messageId, body: messageId, offset: receipt?.queueOffset ?? null });
      if (this.#isSlow) await delay(SLOW_PAUSE_MS);
    }
  }
}

/** Held by the disk, or on their way out. */
const ENDED = 'DZXI';

/** R, S, D, Z and so on; Z also when the thread is gone. */
function stateOf(pid: number, tid: string): string {
  const path = `/proc/${pid}/task/${tid}/stat`;
  return existsSync(path) ? (/\) (\S)/.exec(readFileSync(path, 'utf8'))?.[1] ?? 'Z') : 'Z';
}

/** Two at a time: one of them waits for most of its time. */
suite('disks that fail or hang under load', { timeout: 290_000, concurrency: 2 }, () => {
  test('a sync fails: the process ends with 74 and a note; the next start writes again, and nothing is lost', {
    skip: noStrace ?? false,
  }, async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({ segmentSizeBytes: 64 * MIB });
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const { directory } = cluster.node(leader);
      const survivor = cluster.nodes.find(({ nodeId }) => nodeId !== leader)!;
      const producer = await startProducer(owner, survivor.grpc, 'sync-error');
      const load = new LoadProducer(owner, producer, 'sync-error', LANES);
      await sentMore(load, 200);
      await failNextSync(owner, cluster, leader);
      equal(await cluster.exitOf(leader), DISK_FAILED);

      match(cluster.logOf(leader), /"kind":"diskFailed".*Cannot sync .*EIO.*"note":"noted"/);
      for (const path of failurePathsOf(directory)) {
        match(readFileSync(path, 'utf8'), /^\{"time":"20.*"operation":"sync".*"code":"EIO"/);
      }
      await sentMore(load, 200);
      await cluster.startNode(leader);
      match(cluster.logOf(leader), /store\.disk_failed_before.*"count":1/);
      await sentMore(load, 100);
      await load.stop();
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, gap ${Math.round(load.longestGapMs())} ms`);
      deepEqual(load.failures, []);
      await allReceived(owner, load, cluster, survivor.grpc, 'sync-error');
      await everyReplicaHolds(cluster, 'sync-error', load.sent);
    });
  });

  test('the disk of the leader hangs: another one leads, and the process ends itself while the disk still hangs', {
    skip: noFreeze ?? false,
  }, async (t) => {
    await owning(async (owner) => {
      const disks = new Map<string, SmallDisk>();
      const directoryOf = (nodeId: string): string => {
        const disk = new SmallDisk(nodeId, 192 * MIB);
        owner.after(async () => disk.destroy());
        disks.set(nodeId, disk);
        return `${disk.mountPoint}/data`;
      };
      const cluster = await TestCluster.start({ directoryOf });
      owner.after(async () => {
        for (const disk of disks.values()) disk.thaw();
        await cluster.close();
      });
      const leader = await cluster.leader();
      const pid = cluster.pidOf(leader);
      const survivors = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
      const load = new OwnLoad(owner, survivors, 'hang');
      await load.more(200);
      const frozenAtMs = performance.now();
      disks.get(leader)!.freeze();
      await load.more(200);
      const goesOnAfterMs = performance.now() - frozenAtMs;
      load.slow();

      // A thread that the disk holds keeps the kernel from telling the exit code, or even that the
      // process has ended: until the disk answers, its last words have to do.
      await waitFor(
        'the last words of the process',
        async () => (cluster.logOf(leader).includes('"event":"process.fatal"') ? true : null),
        HANG_MS_MAX,
      );
      const endedAfterMs = performance.now() - frozenAtMs;
      ok(endedAfterMs > 19_000, `ended after ${endedAfterMs} ms`);
      match(cluster.logOf(leader), /"kind":"diskFailed".* for \d+ ms/);
      await waitFor('the end of all threads that can end', async () => {
        return readdirSync(`/proc/${pid}/task`).every((tid) => ENDED.includes(stateOf(pid, tid)))
          ? true
          : null;
      });
      disks.get(leader)!.thaw();
      // No exit with a code gets past threads that hang.
      equal(await cluster.exitOf(leader), 'SIGKILL');
      equal(
        readDiskFailures(cluster.node(leader).directory).length,
        0,
        'a hang is no failed write',
      );
      await cluster.startNode(leader);
      await load.stop();
      await cluster.converged();
      t.diagnostic(
        `${load.sent.length} acknowledged; 200 more after ${Math.round(goesOnAfterMs)} ms; ` +
          `the process ended after ${Math.round(endedAfterMs)} ms`,
      );
      const stored = await readWholeTopic(cluster, 'hang');
      deepEqual(anomaliesOf(stored), []);
      await everyReplicaHolds(cluster, 'hang', load.sent);
    });
  });
});
