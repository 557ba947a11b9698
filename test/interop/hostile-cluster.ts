/**
 * A cluster under attack: what its processes were before, and the proof that they are unharmed
 * afterwards. Memory and descriptors are compared with a generous bound, because a collector frees
 * when it likes; a leak per connection or request grows far beyond it.
 */
import { deepEqual, equal } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { RawClient } from '../../src/broker/grpc/testing/raw-client.ts';
import { clientOf, readWholeTopic } from './audit.ts';
import { sendRaw } from './raw-calls.ts';
import { TestCluster, type TestClusterOptions, waitFor } from './test-cluster.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const DESCRIPTORS_MORE_MAX = 24;
const MEMORY_MORE_BYTES_MAX = 256 * MIB;
const RECOVERY_TIMEOUT_MS = 20_000;
const NAME_SERVER = 'namesrv';

interface Vitals {
  readonly pid: number;
  readonly descriptorCount: number;
  readonly memoryBytes: number;
}

export class HostileCluster {
  readonly cluster: TestCluster;
  readonly #before: ReadonlyMap<string, Vitals>;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
    this.#before = new Map(this.processes.map((name) => [name, this.#vitalsOf(name)]));
  }

  static async start(options: TestClusterOptions = {}): Promise<HostileCluster> {
    const cluster = await TestCluster.start(options);
    await Promise.all(cluster.nodes.map(({ nodeId }) => readyz(cluster, nodeId)));
    return new HostileCluster(cluster);
  }

  get processes(): readonly string[] {
    return [NAME_SERVER, ...this.cluster.nodes.map(({ nodeId }) => nodeId)];
  }

  /** Every listener of the cluster, by a name for messages. */
  get ports(): readonly (readonly [name: string, address: string])[] {
    const ofNodes = this.cluster.nodes.flatMap(({ nodeId, grpc, raft, http }) => [
      [`grpc of ${nodeId}`, grpc] as const,
      [`raft of ${nodeId}`, raft] as const,
      [`http of ${nodeId}`, http] as const,
    ]);
    return [['name server', this.cluster.nameServer], ...ofNodes];
  }

  /** All processes are the ones that were started, and ready. */
  async alive(): Promise<void> {
    for (const name of this.processes) {
      equal(this.cluster.isRunning(name), true, `${name} runs: ${this.cluster.logOf(name)}`);
      equal(this.cluster.pidOf(name), this.#before.get(name)?.pid, `pid of ${name}`);
    }
    await Promise.all(this.cluster.nodes.map(({ nodeId }) => readyz(this.cluster, nodeId)));
  }

  /** @param expectedEvents events that the attack must leave in the log as errors */
  async unharmed(topic: string, expectedEvents: readonly string[] = []): Promise<void> {
    await this.alive();
    await this.#serves(topic);
    await waitFor(
      'descriptors and memory to come back',
      async () => (this.#excesses().length === 0 ? true : null),
      RECOVERY_TIMEOUT_MS,
    ).catch((error: unknown) => {
      throw new Error(this.#excesses().join('; '), { cause: error });
    });
    for (const name of this.processes) {
      deepEqual(alarmingLines(this.cluster.logOf(name), expectedEvents), [], `log of ${name}`);
    }
  }

  close(): Promise<void> {
    return this.cluster.close();
  }

  /** A message through each node, and all of them back. */
  async #serves(topic: string): Promise<void> {
    const client = clientOf(this.cluster);
    await client.topicPut(topic, 4).finally(() => client.close());
    const before = (await readWholeTopic(this.cluster, topic)).length;
    for (const { grpc } of this.cluster.nodes) {
      const raw = new RawClient(grpc, `after-${randomUUID()}`);
      try {
        await sendRaw(raw, topic, randomUUID());
      } finally {
        raw.close();
      }
    }
    const after = (await readWholeTopic(this.cluster, topic)).length;
    equal(after, before + this.cluster.nodes.length);
  }

  #excesses(): string[] {
    return [...this.#before].flatMap(([name, before]) => {
      const now = this.#vitalsOf(name);
      const descriptors = now.descriptorCount - before.descriptorCount;
      const memory = now.memoryBytes - before.memoryBytes;
      const excesses: string[] = [];
      if (descriptors > DESCRIPTORS_MORE_MAX) excesses.push(`${name}: ${descriptors} descriptors`);
      if (memory > MEMORY_MORE_BYTES_MAX) excesses.push(`${name}: ${memory / MIB} MiB more`);
      return excesses;
    });
  }

  #vitalsOf(name: string): Vitals {
    const pid = this.cluster.pidOf(name);
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return {
      pid,
      descriptorCount: readdirSync(`/proc/${pid}/fd`).length,
      memoryBytes: Number(resident?.[1] ?? 0) * KIB,
    };
  }
}

/** Errors that nobody expects, and whatever is no log line at all: a stack trace, a warning of Node. */
function alarmingLines(log: string, expectedEvents: readonly string[]): string[] {
  return log.split('\n').filter((line) => {
    if (line === '') return false;
    if (!line.startsWith('{')) return true;
    const { level, event } = JSON.parse(line) as { level: string; event: string };
    return (level === 'error' || level === 'fatal') && !expectedEvents.includes(event);
  });
}

async function readyz(cluster: TestCluster, nodeId: string): Promise<void> {
  const url = `http://${cluster.node(nodeId).http}/readyz`;
  await waitFor(
    `${nodeId} to be ready`,
    async () => {
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
        await response.text();
        return response.status === 200 ? true : null;
      } catch (error) {
        // Too busy with an attack to answer in time, or refused for too many connections.
        if (error instanceof TypeError || error instanceof DOMException) return null;
        throw error;
      }
    },
    RECOVERY_TIMEOUT_MS,
  );
}
