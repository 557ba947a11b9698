/**
 * What systemd does with a `.socket` unit, in a few lines of shell: it keeps a listening socket open over the
 * ends of the process that serves it, and starts the next one with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { inTime } from './deadline.ts';

const BROKER = fileURLToPath(new URL('../../src/bin/broker.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/**
 * For each line on standard input one life of the process. It inherits the socket as number 3, and as standard
 * input number 4, whose end tells it that the test is gone.
 */
const KEEPER = `while read -r line; do
  LISTEN_FDS=1 sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$@" 0<&4
done`;

export class SocketHolder {
  /** `host:port` */
  readonly address: string;
  readonly #keeper: ChildProcess;
  #pid: number | null = null;

  private constructor(address: string, keeper: ChildProcess) {
    this.address = address;
    this.#keeper = keeper;
  }

  /** @param args of the broker, from the address of the socket */
  static async open(args: (address: string) => readonly string[]): Promise<SocketHolder> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('No port');
    const address = `127.0.0.1:${bound.port}`;
    const words = [process.execPath, BROKER, ...args(address), '--supervised'];
    const keeper = spawn('sh', ['-c', KEEPER, 'keeper', ...words], {
      stdio: ['pipe', 'pipe', 'ignore', fdOf(server), 'pipe'],
    });
    // In the same turn, before this process could accept anything: from now on the keeper has the socket.
    server.close();
    return new SocketHolder(address, keeper);
  }

  /** Resolves when the process serves. */
  async start(): Promise<void> {
    const { stdin, stdout } = this.#keeper;
    if (stdin === null || stdout === null) throw new Error('The keeper has no pipes');
    const ready = new Promise<string>((resolve, reject) => {
      stdout.once('data', (line: Buffer) => resolve(String(line)));
      this.#keeper.once('exit', () => reject(new Error('The keeper has ended')));
    });
    stdin.write('once\n');
    this.#pid = JSON.parse(await inTime('the broker to serve', ready, START_TIMEOUT_MS)).pid;
  }

  /** Ends the process, and resolves when the next one serves. */
  async restart(): Promise<void> {
    if (this.#pid === null) throw new Error('Nothing was started');
    process.kill(this.#pid, 'SIGTERM');
    await this.start();
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#keeper.once('exit', () => resolve()));
    this.#keeper.stdin?.end();
    const wish = this.#keeper.stdio[4];
    if (wish !== null && wish !== undefined && 'end' in wish) wish.end();
    await inTime('the broker to end', ended, START_TIMEOUT_MS);
  }
}

/** Node tells the number of an open file only inside the handle. */
function fdOf(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}
