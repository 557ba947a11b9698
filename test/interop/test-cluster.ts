/**
 * A real cluster for tests: name server and brokers as processes on loopback, each broker in a
 * directory of its own, to be killed and restarted one by one. Everything is stopped by `close`,
 * and the children stop by themselves when the test process dies (`--supervised`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LogIndex } from '../../src/base/units.ts';
import { beginOwning } from './deadline.ts';

const READY_TIMEOUT_MS = 30_000;
const EXIT_TIMEOUT_MS = 15_000;
const POLL_INTERVAL_MS = 50;
/** Small, so that a test goes through several. */
const SEGMENT_SIZE_BYTES_DEFAULT = 4 * 1024 * 1024;

const binFolder = fileURLToPath(new URL('../../src/bin/', import.meta.url));

export interface NodePlan {
  readonly nodeId: string;
  readonly directory: string;
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
}

export interface TestClusterOptions {
  readonly nodeCount?: 1 | 3 | 5;
  /** `n` by default: n1, n2, ... */
  readonly nodePrefix?: string;
  readonly segmentSizeBytes?: number;
  /** Until a process has opened its listeners. */
  readonly readyTimeoutMs?: number;
  /** Default: yes. */
  readonly autoCreateTopics?: boolean;
  /** More options of every broker. */
  readonly brokerArgs?: readonly string[];
  /** Where node `i` keeps its data; a directory below the cluster's by default. */
  readonly directoryOf?: (nodeId: string) => string;
}

export class TestCluster {
  /** Those that are running or may be started again. */
  nodes: readonly NodePlan[];
  /** With whom the group was founded. */
  readonly #founders: readonly NodePlan[];
  readonly nameServer: string;
  readonly #directory: string;
  readonly #segmentSizeBytes: number;
  readonly #autoCreateTopics: boolean;
  readonly #readyTimeoutMs: number;
  readonly #brokerArgs: readonly string[];
  readonly #processes = new Map<string, ChildProcess>();
  readonly #exits = new Map<string, number | NodeJS.Signals>();
  readonly #endOwning = beginOwning();
  #closing: Promise<void> | null = null;

  private constructor(
    directory: string,
    nodes: readonly NodePlan[],
    nameServer: string,
    options: TestClusterOptions,
  ) {
    this.#directory = directory;
    this.nodes = nodes;
    this.#founders = nodes;
    this.nameServer = nameServer;
    this.#segmentSizeBytes = options.segmentSizeBytes ?? SEGMENT_SIZE_BYTES_DEFAULT;
    this.#autoCreateTopics = options.autoCreateTopics ?? true;
    this.#readyTimeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS;
    this.#brokerArgs = options.brokerArgs ?? [];
  }

  /** Plans ports and directories and starts everything. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.plan(options);
    try {
      await cluster.startNameServer();
      await Promise.all(cluster.nodes.map(({ nodeId }) => cluster.startNode(nodeId)));
      await cluster.leader();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  static async plan(options: TestClusterOptions = {}): Promise<TestCluster> {
    const { nodeCount = 3 } = options;
    const directory = mkdtempSync(join(tmpdir(), 'mq-raft-test-'));
    const ports = await freePorts(3 * nodeCount + 1);
    const nodes = Array.from({ length: nodeCount }, (_, i): NodePlan => {
      const nodeId = `${options.nodePrefix ?? 'n'}${i + 1}`;
      const [grpc, raft, http] = ports.slice(3 * i).map((port) => `127.0.0.1:${port}`);
      return {
        nodeId,
        directory: options.directoryOf?.(nodeId) ?? join(directory, nodeId),
        grpc: grpc!,
        raft: raft!,
        http: http!,
      };
    });
    const nameServer = `127.0.0.1:${ports.at(-1)}`;
    return new TestCluster(directory, nodes, nameServer, options);
  }

  async startNameServer(): Promise<void> {
    const args = ['--listen', this.nameServer, '--supervised'];
    await this.#spawn('namesrv', 'namesrv.js', args);
  }

  startNode(nodeId: string): Promise<void> {
    return this.#startBroker(nodeId, this.node(nodeId), this.#founding());
  }

  /** One more process that says it is `nodeId`, from a directory and at ports of its own. */
  async startDouble(name: string, nodeId: string, directory: string): Promise<void> {
    const [grpc, raft, http] = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
    const node = { nodeId, directory, grpc: grpc!, raft: raft!, http: http! };
    await this.#startBroker(name, node, this.#founding());
  }

  /** A place for a node that joins later: ports and an empty directory. */
  async addNode(nodeId: string): Promise<NodePlan> {
    const [grpc, raft, http] = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
    const directory = join(this.#directory, nodeId);
    const node = { nodeId, directory, grpc: grpc!, raft: raft!, http: http! };
    this.nodes = [...this.nodes, node];
    return node;
  }

  /** The node has left the group. */
  dropNode(nodeId: string): void {
    this.nodes = this.nodes.filter((each) => each.nodeId !== nodeId);
  }

  /** @param group what says which group it is of: nothing for a node that has joined before */
  startNodeWith(nodeId: string, group: readonly string[]): Promise<void> {
    return this.#startBroker(nodeId, this.node(nodeId), group);
  }

  /** As its configuration file says, and nothing else. */
  startFrom(nodeId: string, configPath: string): Promise<void> {
    return this.#spawn(nodeId, 'broker.js', ['--config', configPath, '--supervised']);
  }

  /** After its cluster got another id. */
  startRenamed(nodeId: string, clusterId: string): Promise<void> {
    return this.#startBroker(nodeId, this.node(nodeId), this.#founding(clusterId));
  }

  #founding(clusterId = 'test'): readonly string[] {
    const members = this.#founders.map((each) => `${each.nodeId}=${each.raft}`).join(',');
    return [
      ...['--cluster-id', clusterId, '--group-id', 'broker-a', '--members', members],
      ...['--segment-size-bytes', String(this.#segmentSizeBytes)],
    ];
  }

  async #startBroker(name: string, node: NodePlan, group: readonly string[]): Promise<void> {
    mkdirSync(node.directory, { recursive: true });
    await this.#spawn(name, 'broker.js', [
      ...['--node-id', node.nodeId, '--dir', node.directory, ...group],
      ...['--grpc', node.grpc, '--raft', node.raft, '--http', node.http],
      ...['--namesrv', this.nameServer],
      ...(this.#autoCreateTopics ? ['--auto-create-topics'] : []),
      ...this.#brokerArgs,
      '--supervised',
    ]);
  }

  node(nodeId: string): NodePlan {
    const node = this.nodes.find((each) => each.nodeId === nodeId);
    if (node === undefined) throw new Error(`No node ${nodeId} in this cluster`);
    return node;
  }

  pidOf(nodeId: string): number {
    const pid = this.#processes.get(nodeId)?.pid;
    if (pid === undefined) throw new Error(`${nodeId} does not run`);
    return pid;
  }

  isRunning(nodeId: string): boolean {
    return this.#processes.has(nodeId);
  }

  /** Resolves when the process is gone. */
  async kill(nodeId: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#processes.get(nodeId);
    if (child === undefined) return;
    child.kill(signal);
    await exitInTime(child);
  }

  /** How the process of the node ended, as soon as it has. */
  exitOf(nodeId: string, timeoutMs = READY_TIMEOUT_MS): Promise<number | NodeJS.Signals> {
    return waitFor(`the end of ${nodeId}`, async () => this.#exits.get(nodeId) ?? null, timeoutMs);
  }

  /** The node that serves as leader, as soon as the running nodes agree that there is one. */
  async leader(): Promise<string> {
    return waitFor('a leader', async () => {
      for (const { nodeId } of this.nodes) {
        if (!this.isRunning(nodeId)) continue;
        const metrics = await this.metrics(nodeId);
        if (metrics?.get('mqraft_raft_role{role="leader"}') !== 1) continue;
        if ((await this.#statusCode(nodeId, '/readyz')) === 200) return nodeId;
      }
      return null;
    });
  }

  /** Prometheus samples by name and labels; null while the node does not answer. */
  async metrics(nodeId: string): Promise<ReadonlyMap<string, number> | null> {
    const text = await httpGet(`http://${this.node(nodeId).http}/metrics`);
    if (text === null) return null;
    const lines = text.body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => {
        const cut = line.lastIndexOf(' ');
        return [line.slice(0, cut), Number(line.slice(cut + 1))] as const;
      }),
    );
  }

  async #statusCode(nodeId: string, path: string): Promise<number | null> {
    return (await httpGet(`http://${this.node(nodeId).http}${path}`))?.status ?? null;
  }

  /**
   * All nodes have applied the same entries.
   *
   * @returns the last one
   */
  async converged(
    nodeIds: readonly string[] = this.nodes.map(({ nodeId }) => nodeId),
  ): Promise<LogIndex> {
    const want = await waitFor(`the same applied index at ${nodeIds.join(', ')}`, async () => {
      const all = await Promise.all(nodeIds.map((nodeId) => this.metrics(nodeId)));
      const applied = all.map((each) => each?.get('mqraft_raft_applied_index') ?? null);
      const last = all.map((each) => each?.get('mqraft_raft_last_index') ?? null);
      const first = applied[0] ?? null;
      return [...applied, ...last].every((index) => index === first) ? first : null;
    });
    return LogIndex(want);
  }

  /**
   * Resolves in the very moment in which the process, as it runs or starts now, says `text` in its log; the
   * log on disk is a moment later.
   */
  said(name: string, text: string, timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const stream = this.#processes.get(name)?.stderr;
    if (stream == null) throw new Error(`${name} does not run`);
    return new Promise((resolve, reject) => {
      let tail = '';
      const done = (error: Error | null): void => {
        clearTimeout(timer);
        stream.off('data', read);
        if (error === null) resolve();
        else reject(error);
      };
      const read = (chunk: Buffer): void => {
        tail = `${tail}${chunk}`;
        if (tail.includes(text)) done(null);
        tail = tail.slice(-text.length);
      };
      const late = () => done(new Error(`${name} did not say ${text} within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      stream.on('data', read);
    });
  }

  logOf(name: string): string {
    return readFileSync(join(this.#directory, `${name}.log`), 'utf8');
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close().finally(this.#endOwning);
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((name) => this.kill(name, 'SIGTERM')));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #spawn(name: string, script: string, args: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, [join(binFolder, script), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const log = createWriteStream(join(this.#directory, `${name}.log`), { flags: 'a' });
    child.stderr.pipe(log);
    this.#processes.set(name, child);
    this.#exits.delete(name);
    void exitOf(child).then(() => {
      const how = child.exitCode ?? child.signalCode;
      if (how !== null) this.#exits.set(name, how);
      if (this.#processes.get(name) === child) this.#processes.delete(name);
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => fail('is not ready in time'), this.#readyTimeoutMs);
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(new Error(`${name} ${why}; its log ends with: ${this.logOf(name).slice(-2000)}`));
      };
      child.stdout.once('data', () => {
        clearTimeout(timer);
        resolve();
      });
      child.once('exit', (code, signal) => fail(`exited with ${code ?? signal}`));
    });
  }
}

/** Asks until the answer is not null; fails after a deadline with what was awaited. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | null>,
  timeoutMs = READY_TIMEOUT_MS,
): Promise<T> {
  const deadlineAtMs = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadlineAtMs) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
    await delay(POLL_INTERVAL_MS);
  }
}

async function httpGet(url: string): Promise<{ status: number; body: string } | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    // A node that is down, starting or stopping: fetch rejects with TypeError or a timeout.
    if (error instanceof TypeError || error instanceof DOMException) return null;
    throw error;
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
  });
}

/** A process that ignores a signal for too long is killed, and the test told. */
async function exitInTime(child: ChildProcess): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`Process ${child.pid} did not exit within ${EXIT_TIMEOUT_MS} ms`));
    }, EXIT_TIMEOUT_MS);
  });
  try {
    await Promise.race([exitOf(child), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('No port');
      await new Promise<void>((resolve) => server.close(() => resolve()));
      return address.port;
    }),
  );
}
