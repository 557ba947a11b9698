/** A node that joins a running group and leaves it again: on the machine of the clients, past all partitions. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DISK_RESERVE_BYTES } from '../limits.ts';
import { exitInTime, type Ticket } from './broker-node.ts';
import type { Cluster } from './cluster.ts';

const BROKER = fileURLToPath(new URL('../../../src/bin/broker.js', import.meta.url));

export class SpareNode {
  readonly name: string;
  readonly raft: string;
  readonly #directory: string;
  readonly #args: readonly string[];
  readonly #cluster: Cluster;
  #child: ChildProcess | null = null;

  private constructor(
    cluster: Cluster,
    place: { readonly name: string; readonly raft: string; readonly directory: string },
    args: readonly string[],
  ) {
    this.#cluster = cluster;
    this.name = place.name;
    this.raft = place.raft;
    this.#directory = place.directory;
    this.#args = args;
  }

  static async plan(cluster: Cluster, name: string, directory: string): Promise<SpareNode> {
    const host = cluster.nameServers[0]?.split(':')[0] ?? '127.0.0.1';
    const [raft, grpc, http] = await Promise.all([0, 1, 2].map(() => freePort(host)));
    return new SpareNode(cluster, { name, raft: `${host}:${raft}`, directory }, [
      ...['--node-id', name, '--dir', directory],
      ...['--raft', `${host}:${raft}`, '--grpc', `${host}:${grpc}`, '--http', `${host}:${http}`],
      ...['--namesrv', cluster.nameServers.join(',')],
      ...['--disk-reserve-bytes', String(DISK_RESERVE_BYTES), '--supervised'],
    ]);
  }

  async start({ join: addresses, token }: Ticket): Promise<void> {
    const { slot, recorder } = this.#cluster;
    const args = [BROKER, ...this.#args, '--join', addresses, '--token', token];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.on('error', () => {}); // Its end says more than a pipe that breaks.
    child.stderr.pipe(createWriteStream(join(recorder.folder, `${this.name}.log`), { flags: 'a' }));
    if (child.pid !== undefined) slot.noteProcess(child.pid);
    this.#child = child;
  }

  /** It may have ended by itself: it was told that it is no member any more. */
  async stop(): Promise<void> {
    if (this.#child === null) return;
    this.#child.kill('SIGKILL');
    await exitInTime(this.#child);
  }

  /** Its disk is gone with it. Requires that it was stopped. */
  forget(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('No port');
  return address.port;
}
