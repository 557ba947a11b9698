/**
 * Four machines and a name server, each with an address of its own on the loopback network, so that every
 * process listens on the ports that an operator knows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const binFolder = fileURLToPath(new URL('../../src/bin/', import.meta.url));
export const NAME_SERVER = '127.0.0.10:9876';
export const FOUNDERS = ['n1', 'n2', 'n3'] as const;
const SEGMENT_SIZE_BYTES = 16 * 1024 * 1024;

export class Machines {
  readonly #root: string;
  readonly #processes = new Map<string, ChildProcess>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Of the port for peers. */
  static raftOf(node: string): string {
    return `127.0.0.1${node.slice(1)}:10912`;
  }

  startNameServer(): Promise<void> {
    return this.#spawn('namesrv', 'namesrv.js', ['--listen', NAME_SERVER, '--supervised']);
  }

  startFounder(node: string): Promise<void> {
    const members = FOUNDERS.map((id) => `${id}=${Machines.raftOf(id)}`).join(',');
    const raft = Machines.raftOf(node);
    return this.#startBroker(node, [
      ...['--node-id', node, '--cluster-id', 'payments', '--group-id', 'broker-a'],
      ...['--members', members, '--raft', raft, '--dir', this.#directoryOf(node)],
      ...['--segment-size-bytes', String(SEGMENT_SIZE_BYTES)],
    ]);
  }

  /** As the line says that the command has printed; only the directory is one of ours. */
  startByLine(node: string, line: string): Promise<void> {
    const [, ...words] = line.replaceAll('\\\n', ' ').trim().split(/\s+/);
    const directoryAt = words.indexOf('--dir') + 1;
    const args = words.map((word, i) => (i === directoryAt ? this.#directoryOf(node) : word));
    // Four machines share one network here, so nobody may listen on all of it.
    const own = args.map((word) => (word.startsWith('0.0.0.0:') ? Machines.raftOf(node) : word));
    return this.#startBroker(node, own);
  }

  isRunning(node: string): boolean {
    const child = this.#processes.get(node);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async kill(node: string): Promise<void> {
    const child = this.#processes.get(node);
    if (child === undefined) return;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((node) => this.kill(node)));
  }

  #directoryOf(node: string): string {
    return join(this.#root, node);
  }

  #startBroker(node: string, args: readonly string[]): Promise<void> {
    mkdirSync(this.#directoryOf(node), { recursive: true });
    const [host] = Machines.raftOf(node).split(':');
    return this.#spawn(node, 'broker.js', [
      ...args,
      ...['--grpc', `${host}:8081`, '--http', `${host}:9910`, '--namesrv', NAME_SERVER],
      ...['--auto-create-topics', '--supervised'],
    ]);
  }

  async #spawn(name: string, script: string, args: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, [join(binFolder, script), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const path = join(this.#root, `${name}.log`);
    child.stderr.pipe(createWriteStream(path, { flags: 'a' }));
    this.#processes.set(name, child);
    const ready = once(child.stdout, 'data').then(() => null);
    const gone = once(child, 'exit').then(() => 'it ended');
    const why = await Promise.race([ready, gone]);
    if (why !== null)
      throw new Error(`${name}: ${why}\n${readFileSync(path, 'utf8').slice(-2_000)}`);
  }
}
