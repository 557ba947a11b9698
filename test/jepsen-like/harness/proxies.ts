/**
 * Where there are no namespaces: everybody on loopback, and a relay for every ordered pair of ends. A
 * cut direction is a relay that does not read, so what was sent waits, as in a full buffer of a dead
 * way; it can be slowed and delayed as well, which the other network cannot.
 *
 * Clients that learn addresses from a name server or a broker get the real ones and pass the relays
 * by: such clients see no partition here.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { type Badness, CLIENTS, type End, type Network, type NodeAddresses } from './network.ts';

interface Way {
  isBlocked: boolean;
  badness: Badness;
}

const GOOD: Badness = { lossPercent: 0, bytesPerSecond: 0, delayMs: 0 };
/** How often a relay looks whether its way is good again. */
const BLOCKED_POLL_MS = 20;
const PORTS_PER_NODE = 3;

export class ProxyNetwork implements Network {
  readonly kind = 'proxies';
  readonly #nodes: readonly string[];
  readonly #ports: readonly number[];
  readonly #ways = new Map<string, Way>();
  readonly #relays = new Map<string, Relay>();

  private constructor(nodes: readonly string[], ports: readonly number[]) {
    this.#nodes = nodes;
    this.#ports = ports;
  }

  static async create(nodes: readonly string[]): Promise<ProxyNetwork> {
    const ports = await freePorts(nodes.length * PORTS_PER_NODE + 4);
    const network = new ProxyNetwork(nodes, ports);
    for (const to of nodes) {
      for (const from of [...nodes, CLIENTS]) {
        if (from === to) continue;
        await network.#relay(from, to, 'raft');
      }
      await network.#relay(CLIENTS, to, 'grpc');
    }
    return network;
  }

  async #relay(from: End, to: string, port: 'raft' | 'grpc'): Promise<void> {
    const target = this.addressesOf(to)[port];
    const relay = new Relay(target, this.#way(from, to), this.#way(to, from));
    await relay.listen();
    this.#relays.set(`${from} ${to} ${port}`, relay);
  }

  launcherOf(): readonly string[] {
    return [];
  }

  addressesOf(node: string): NodeAddresses {
    const [grpc, raft, http] = this.#ports
      .slice(PORTS_PER_NODE * this.#nodes.indexOf(node))
      .map((port) => `127.0.0.1:${port}`);
    return { grpc: grpc!, raft: raft!, http: http! }; // three for each node
  }

  nameServerAddress(number: number): string {
    return `127.0.0.1:${this.#ports[this.#nodes.length * PORTS_PER_NODE + number]}`;
  }

  forClients(node: string): { raft: string; grpc: string } {
    return {
      raft: this.#addressOf(CLIENTS, node, 'raft'),
      grpc: this.#addressOf(CLIENTS, node, 'grpc'),
    };
  }

  peerAddress(from: string, to: string): string {
    return from === to ? this.addressesOf(to).raft : this.#addressOf(from, to, 'raft');
  }

  async block(from: End, to: End): Promise<void> {
    this.#way(from, to).isBlocked = true;
  }

  async worsen(from: End, to: End, badness: Badness): Promise<void> {
    this.#way(from, to).badness = badness;
  }

  lacks({ lossPercent }: Badness): string | null {
    return lossPercent > 0 ? 'a relay of streams loses nothing: loss only in namespaces' : null;
  }

  async heal(from: End, to: End): Promise<void> {
    const way = this.#way(from, to);
    way.isBlocked = false;
    way.badness = GOOD;
  }

  async healAll(): Promise<void> {
    for (const way of this.#ways.values()) {
      way.isBlocked = false;
      way.badness = GOOD;
    }
  }

  async close(): Promise<void> {
    for (const relay of this.#relays.values()) relay.close();
  }

  #addressOf(from: End, to: string, port: 'raft' | 'grpc'): string {
    const relay = this.#relays.get(`${from} ${to} ${port}`);
    if (relay === undefined) throw new Error(`No relay from ${from} to ${to}`);
    return relay.address;
  }

  #way(from: End, to: End): Way {
    const name = `${from} ${to}`;
    let way = this.#ways.get(name);
    if (way === undefined) {
      way = { isBlocked: false, badness: GOOD };
      this.#ways.set(name, way);
    }
    return way;
  }
}

class Relay {
  readonly #target: string;
  readonly #there: Way;
  readonly #back: Way;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(target: string, there: Way, back: Way) {
    this.#target = target;
    this.#there = there;
    this.#back = back;
    this.#server = createServer((client) => this.#onClient(client));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay is closed');
    return `127.0.0.1:${address.port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #onClient(client: Socket): void {
    const [host, port] = this.#target.split(':');
    const server = createConnection({ host: host!, port: Number(port) }); // ours, host:port
    const end = (): void => {
      client.destroy();
      server.destroy();
      this.#sockets.delete(client);
      this.#sockets.delete(server);
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      // Either end may be killed at any moment; the other one learns of it.
      socket.on('error', end);
      socket.on('close', end);
    }
    void pump(client, server, this.#there).then(end, end);
    void pump(server, client, this.#back).then(end, end);
  }
}

/** Rejects when a socket breaks. */
async function pump(from: Socket, to: Socket, way: Way): Promise<void> {
  for await (const chunk of from) {
    const bytes = chunk as Buffer; // no encoding is set
    while (way.isBlocked && !to.destroyed) await after(BLOCKED_POLL_MS);
    const { delayMs, bytesPerSecond } = way.badness;
    const waitMs = delayMs + (bytesPerSecond > 0 ? (1000 * bytes.length) / bytesPerSecond : 0);
    if (waitMs > 0) await after(waitMs);
    if (to.destroyed) return;
    if (!to.write(bytes))
      await new Promise((resolve) => to.once('drain', resolve).once('close', resolve));
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function freePorts(count: number): Promise<readonly number[]> {
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
